//! Legacy tokens: those without `sid` or `auth_time`, of an earlier system with the same key.

mod adopted_session;
mod claims;
mod payload;

use std::{fmt, sync::Arc};

pub(super) use self::payload::LegacyPayload;
pub use self::{adopted_session::AdoptedSession, claims::LegacyClaims};
use super::purpose::Purpose;

/// How to treat verified tokens without a valid `sid` or `auth_time`.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum LegacyTokens {
    /// Rejects them with `invalid_token`. The default.
    #[default]
    Reject,
    /// Accepts those that a function of their claims selects: built by [`adopt`](Self::adopt).
    Adopt(Adoption),
}

/// Decides whether a token is adopted, and as which session.
pub(super) type Adopt = dyn Fn(&LegacyClaims<'_>) -> Option<AdoptedSession> + Send + Sync;

/// Which tokens are adopted, and as which session. Made by [`LegacyTokens::adopt`].
#[derive(Clone)]
pub struct Adoption {
    access: Option<Arc<Adopt>>,
    refresh: Option<Arc<Adopt>>,
}

impl LegacyTokens {
    /// Adopts the access tokens for which `adopt` returns a session; `None` rejects a token.
    ///
    /// A token of the same key may serve another purpose, such as a password reset, and must not
    /// become a session: `adopt` decides by the claims. It sees tokens without a valid `sid` or
    /// `auth_time` only, after their signature, `iss` and `aud` were checked. Each claim of such a
    /// token is unique.
    ///
    /// The user, the `sid` and the profile that it returns are believed. Take them from claims that
    /// the earlier system set: whoever can choose a claim, such as a display name, could name another
    /// user or end another user's session.
    ///
    /// It must be a pure function, because its answer is cached with the token, and it must not
    /// panic: a panic is one of the request.
    ///
    /// The successor of an adopted token has the claims of this crate in place of those of the same
    /// name, and every other claim as it is written; handlers see this form from the first request on.
    ///
    /// ```
    /// use tower_sliding_session::token::{AdoptedSession, LegacyTokens};
    ///
    /// let legacy = LegacyTokens::adopt(|claims| {
    ///     if claims.text("purpose")? != "access" {
    ///         return None;
    ///     }
    ///     Some(AdoptedSession::new(claims.id("user_id")?))
    /// });
    /// # drop(legacy);
    /// ```
    pub fn adopt<F>(adopt: F) -> Self
    where
        F: Fn(&LegacyClaims<'_>) -> Option<AdoptedSession> + Send + Sync + 'static,
    {
        Self::Adopt(Adoption { access: Some(Arc::new(adopt)), refresh: None })
    }

    /// Also adopts the refresh tokens (`typ` `rt+jwt`) for which `adopt` returns a session. Each
    /// can be exchanged once, for tokens with all claims and the timeouts of that moment.
    ///
    /// The two tokens of one sign-in are one session if both functions return the same
    /// [`sid`](AdoptedSession::sid).
    #[must_use]
    pub fn adopt_refresh<F>(self, adopt: F) -> Self
    where
        F: Fn(&LegacyClaims<'_>) -> Option<AdoptedSession> + Send + Sync + 'static,
    {
        let access = match self {
            Self::Reject => None,
            Self::Adopt(adoption) => adoption.access,
        };
        Self::Adopt(Adoption { access, refresh: Some(Arc::new(adopt)) })
    }

    /// The function that decides about tokens of `purpose`; `None` if none is adopted.
    pub(super) fn function(&self, purpose: Purpose) -> Option<&Adopt> {
        let Self::Adopt(Adoption { access, refresh }) = self else { return None };
        match purpose {
            Purpose::Access => access.as_deref(),
            Purpose::Refresh => refresh.as_deref(),
            Purpose::Ticket => None,
        }
    }

    /// Whether any tokens are adopted.
    pub(crate) const fn adopts(&self) -> bool {
        matches!(self, Self::Adopt(_))
    }
}

impl fmt::Debug for Adoption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Adoption(..)")
    }
}

impl fmt::Debug for LegacyTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reject => "Reject",
            Self::Adopt(_) => "Adopt(..)",
        })
    }
}
