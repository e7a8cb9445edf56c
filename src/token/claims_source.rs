//! The application's source of current claims, and the function that asks it.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{app_claims::AppClaims, error::ClaimsError, verified::VerifiedToken};
use crate::{
    clock::Clock,
    maybe_ready::{MaybeReady, StoreError, within},
};

/// Returns the application's current claims at each renewal and refresh, and at a step-up that
/// gives none. The default for real applications: without it a demoted admin keeps the role until
/// the session ends (P2).
///
/// After an error, or without an answer within 250 ms, a request is not renewed this time and
/// otherwise not affected; a refresh and a step-up answer `store_unavailable`.
///
/// ```
/// use serde_json::json;
/// use tower_sliding_session::{MaybeReady, token::{ClaimsSource, ClaimsUpdate, VerifiedToken}};
///
/// struct Users;
///
/// impl ClaimsSource for Users {
///     fn current_claims(&self, token: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
///         MaybeReady::ready(Ok(match &*token.claims().sub {
///             "ada" => ClaimsUpdate::replace(&json!({ "role": "engineer" })).expect("an object"),
///             _ => ClaimsUpdate::Deny,
///         }))
///     }
/// }
///
/// // In a test of the source:
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let token = VerifiedToken::dangerous_from_payload(
///     r#"{"sub":"eve","sid":"s1","auth_time":1,"iat":1,"exp":2}"#,
/// )?;
/// assert!(matches!(Users.current_claims(&token).await?, ClaimsUpdate::Deny));
/// # Ok(()) }
/// ```
pub trait ClaimsSource: Send + Sync + 'static {
    /// Returns the current claims of the user of `token`.
    fn current_claims(&self, token: &VerifiedToken) -> MaybeReady<ClaimsUpdate>;
}

#[deny(clippy::missing_trait_methods, reason = "an Arc forwards every method")]
impl<T> ClaimsSource for Arc<T>
where
    T: ClaimsSource + ?Sized,
{
    fn current_claims(&self, token: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        (**self).current_claims(token)
    }
}

/// What to do with the application's claims and with the renewal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClaimsUpdate {
    /// Renew with the claims as they are, byte for byte.
    Keep,
    /// Renew with these in their place: built by [`replace`](Self::replace).
    Replace(ReplacedClaims),
    /// Do not renew: the token expires at its `exp`.
    Deny,
    /// Do not renew, and sign the session out.
    End,
}

impl ClaimsUpdate {
    /// Renew with `claims`, which serialize to a JSON object, in place of the application's claims.
    ///
    /// # Errors
    /// [`ClaimsError`] if they do not serialize to an object or contain a claim of the session.
    pub fn replace<T>(claims: &T) -> Result<Self, ClaimsError>
    where
        T: Serialize + ?Sized,
    {
        AppClaims::new(claims).map(|claims| Self::Replace(ReplacedClaims(claims)))
    }
}

/// The application's claims for a successor. `Debug` does not show them.
#[derive(Clone)]
pub struct ReplacedClaims(pub(crate) AppClaims);

impl std::fmt::Debug for ReplacedClaims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReplacedClaims(..)")
    }
}

/// How long a claims source may take.
pub(crate) const CLAIMS_SOURCE_TIME_LIMIT: Duration = Duration::from_millis(250);

/// Asks `source` for the current claims of the user of `token`.
///
/// # Errors
/// The error of the source, or no answer within `limit`. It is logged here:
/// the caller only decides what it means for its request.
pub(crate) async fn ask_claims_source(
    source: &dyn ClaimsSource,
    token: &VerifiedToken,
    clock: &dyn Clock,
    limit: Duration,
) -> Result<ClaimsUpdate, StoreError> {
    within(source.current_claims(token), clock, limit).await.inspect_err(|error| {
        let error: &dyn std::error::Error = error;
        tracing::warn!(error, "the claims source failed");
    })
}
