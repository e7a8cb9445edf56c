//! Tokens from before the sessions: without `sid` or `auth_time`.

use std::{fmt, sync::Arc};

use serde::de::DeserializeOwned;

use super::purpose::Purpose;

/// What becomes of verified tokens that carry no `sid` or no `auth_time`.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum LegacyTokens {
    /// They are refused as `invalid_token`. The default.
    #[default]
    Reject,
    /// Those that the predicates name become sessions: see [`adopt`](Self::adopt).
    Adopt(Adoption),
}

type Predicate = Arc<dyn Fn(&LegacyClaims<'_>) -> bool + Send + Sync>;

/// Which tokens are adopted. Made by [`LegacyTokens::adopt`].
#[derive(Clone)]
pub struct Adoption {
    is_access: Predicate,
    is_refresh: Option<Predicate>,
}

impl LegacyTokens {
    /// Adopts the tokens for which `is_access` holds.
    ///
    /// A token under the same key may be for something else, a password reset say, and must not
    /// become a session: the predicate decides by the claims. An adopted token's `sid` is a digest
    /// of what was signed, its `auth_time` its `iat`; its limits are written at the first renewal.
    ///
    /// ```
    /// use serde::Deserialize;
    /// use tower_sliding_session::token::LegacyTokens;
    ///
    /// #[derive(Deserialize)]
    /// struct Old { purpose: String }
    ///
    /// let legacy = LegacyTokens::adopt(|claims| {
    ///     claims.parse::<Old>().is_some_and(|claims| claims.purpose == "access")
    /// });
    /// # drop(legacy);
    /// ```
    pub fn adopt<F>(is_access: F) -> Self
    where
        F: Fn(&LegacyClaims<'_>) -> bool + Send + Sync + 'static,
    {
        Self::Adopt(Adoption { is_access: Arc::new(is_access), is_refresh: None })
    }

    /// Adopts refresh tokens, too: those of `typ` `rt+jwt` for which `is_refresh` holds. Each is
    /// good for one rotation, whose tokens carry all claims, the limits as they are then among
    /// them.
    #[must_use]
    pub fn adopt_refresh<F>(self, is_refresh: F) -> Self
    where
        F: Fn(&LegacyClaims<'_>) -> bool + Send + Sync + 'static,
    {
        match self {
            Self::Reject => Self::adopt(|_| false).adopt_refresh(is_refresh),
            Self::Adopt(adoption) => {
                Self::Adopt(Adoption { is_refresh: Some(Arc::new(is_refresh)), ..adoption })
            }
        }
    }

    pub(super) fn accepts(&self, payload: &str, purpose: Purpose) -> bool {
        let Self::Adopt(Adoption { is_access, is_refresh }) = self else { return false };
        let predicate = match purpose {
            Purpose::Access => Some(is_access),
            Purpose::Refresh => is_refresh.as_ref(),
        };
        predicate.is_some_and(|predicate| predicate(&LegacyClaims { payload }))
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

/// The claims of a verified token that may become a session. `Debug` does not show them.
pub struct LegacyClaims<'a> {
    payload: &'a str,
}

impl LegacyClaims<'_> {
    /// The claims as the app's own type; `None` where they do not fit it.
    #[must_use]
    pub fn parse<T>(&self) -> Option<T>
    where
        T: DeserializeOwned,
    {
        serde_json::from_str(self.payload).ok()
    }
}

impl fmt::Debug for LegacyClaims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LegacyClaims(..)")
    }
}
