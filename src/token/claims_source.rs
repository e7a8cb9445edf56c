//! The application's source of current claims, and the function that asks it.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{app_claims::AppClaims, error::ClaimsError, verified::VerifiedToken};
use crate::{
    clock::Clock,
    maybe_ready::{MaybeReady, StoreError, within},
    store::ClaimsChanges,
    time::Timestamp,
};

/// Returns the application's current claims at each renewal and refresh, at a sign-in and a step-up
/// that give none, and after [`claims_changed`](crate::SlidingSessions::claims_changed). The default for
/// real applications: without it a demoted admin keeps the role until the session ends (P2).
///
/// After an error, or without an answer within the [time limit](Self::time_limit), a request is not
/// renewed this time and otherwise not affected; a request whose claims have changed, a refresh, a
/// sign-in and a step-up answer `store_unavailable`.
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

    /// How long one answer may take. Default: 1 s.
    fn time_limit(&self) -> Duration {
        Duration::from_secs(1)
    }
}

#[deny(clippy::missing_trait_methods, reason = "an Arc forwards every method")]
impl<T> ClaimsSource for Arc<T>
where
    T: ClaimsSource + ?Sized,
{
    fn current_claims(&self, token: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        (**self).current_claims(token)
    }

    fn time_limit(&self) -> Duration {
        (**self).time_limit()
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
    /// Do not renew: the token expires at its `exp`. A request whose claims have changed is rejected as
    /// `access_denied`, 403.
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

/// What a claims source has answered.
#[derive(Clone)]
pub(crate) enum CurrentClaims {
    Granted(GrantedClaims),
    /// The user gets no token.
    Denied,
    /// The user gets no token, and the session ends.
    Ended,
}

/// The application's claims of a token to be minted.
#[derive(Clone)]
pub(crate) struct GrantedClaims {
    /// `None` keeps those of the predecessor.
    pub(crate) app: Option<AppClaims>,
    /// The number of the last change of claims that they contain.
    pub(crate) claims_at: Option<Timestamp>,
}

impl GrantedClaims {
    /// The claims of `token` as they are.
    pub(crate) fn from_token(token: &VerifiedToken) -> Self {
        Self { app: None, claims_at: token.claims().claims_at }
    }
}

/// Asks `source` for the current claims of the user of `token`. Reads the number of its scopes before:
/// a change that comes while the source answers has a greater one (P37).
///
/// # Errors
/// The error of the source, or no answer within its time limit. It is logged here:
/// the caller only decides what it means for its request.
pub(crate) async fn ask_claims_source(
    source: &dyn ClaimsSource,
    token: &VerifiedToken,
    changes: Option<&ClaimsChanges>,
    clock: &dyn Clock,
) -> Result<CurrentClaims, StoreError> {
    let number = changes.and_then(|changes| changes.number_of(token.scopes()));
    // This node may not have read yet what the token contains.
    let claims_at = number.max(token.claims().claims_at);
    let answer = within(source.current_claims(token), clock, source.time_limit()).await;
    let update = answer.inspect_err(|error| {
        let error: &dyn std::error::Error = error;
        tracing::warn!(error, "the claims source failed");
    })?;
    Ok(match update {
        ClaimsUpdate::Keep => CurrentClaims::Granted(GrantedClaims { app: None, claims_at }),
        ClaimsUpdate::Replace(ReplacedClaims(app)) => {
            CurrentClaims::Granted(GrantedClaims { app: Some(app), claims_at })
        }
        ClaimsUpdate::Deny => CurrentClaims::Denied,
        ClaimsUpdate::End => CurrentClaims::Ended,
    })
}
