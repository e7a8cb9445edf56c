//! Legacy tokens: those without `sid` or `auth_time`.

use std::{fmt, sync::Arc};

use serde::de::DeserializeOwned;

use super::purpose::Purpose;

/// How to treat verified tokens without `sid` or `auth_time`.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum LegacyTokens {
    /// Rejects them with `invalid_token`. The default.
    #[default]
    Reject,
    /// Accepts those that predicates select: built by [`adopt`](Self::adopt).
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
    /// Adopts the tokens for which `is_access` returns true.
    ///
    /// A token of the same key may serve another purpose, such as a password reset, and must not
    /// become a session: the predicate decides by the claims. The `sid` of an adopted token is a
    /// digest of its signing input, its `auth_time` is its `iat`. Its first renewal writes the
    /// timeouts into the successor.
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

    /// Also adopts the refresh tokens (`typ` `rt+jwt`) for which `is_refresh` returns true. Each
    /// can be exchanged once, for tokens with all claims and the timeouts of that moment.
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

/// The claims of a verified legacy token. `Debug` does not show them.
pub struct LegacyClaims<'a> {
    payload: &'a str,
}

impl LegacyClaims<'_> {
    /// The claims as the application's own type; `None` if they do not deserialize into it.
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
