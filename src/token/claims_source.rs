//! Who the user is today: the app's claims, asked for again at each renewal.

use std::sync::Arc;

use serde::Serialize;

use super::{ClaimsError, VerifiedToken, successor::AppClaims};
use crate::maybe_ready::MaybeReady;

/// Tells, at each renewal, what the app's claims are by now. The default for real apps: without
/// it a demoted admin keeps the role for as long as the session lives (P2).
///
/// An error, or no answer within 250 ms, means no renewal this time; the request is not affected.
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
/// ```
pub trait ClaimsSource: Send + Sync + 'static {
    /// The app's claims for the user of `token`.
    fn current_claims(&self, token: &VerifiedToken) -> MaybeReady<ClaimsUpdate>;
}

impl<T> ClaimsSource for Arc<T>
where
    T: ClaimsSource + ?Sized,
{
    fn current_claims(&self, token: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        (**self).current_claims(token)
    }
}

/// What becomes of the app's claims, and of the renewal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClaimsUpdate {
    /// Renew with the claims as they are, byte for byte.
    Keep,
    /// Renew with these in their place: see [`replace`](Self::replace).
    Replace(ReplacedClaims),
    /// Do not renew: the token ends when it ends.
    Deny,
    /// Do not renew, and end the session.
    End,
}

impl ClaimsUpdate {
    /// Renew with `claims`, which serialize to a JSON object, in place of the app's claims.
    ///
    /// # Errors
    /// What does not serialize to an object, or names a claim that belongs to the session.
    pub fn replace<T>(claims: &T) -> Result<Self, ClaimsError>
    where
        T: Serialize + ?Sized,
    {
        AppClaims::new(claims).map(|claims| Self::Replace(ReplacedClaims(claims)))
    }
}

/// The app's claims for a successor. `Debug` does not show them.
#[derive(Clone)]
pub struct ReplacedClaims(pub(crate) AppClaims);

impl std::fmt::Debug for ReplacedClaims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReplacedClaims(..)")
    }
}
