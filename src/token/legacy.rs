//! Tokens from before the sessions: without `sid` or `auth_time`.

use std::{fmt, sync::Arc};

use serde::de::DeserializeOwned;

/// What becomes of verified tokens that carry no `sid` or no `auth_time`.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum LegacyTokens {
    /// They are refused as `invalid_token`. The default.
    #[default]
    Reject,
    /// Those that the predicate names access tokens become sessions: see [`adopt`](Self::adopt).
    Adopt(Arc<dyn Fn(&LegacyClaims<'_>) -> bool + Send + Sync>),
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
        Self::Adopt(Arc::new(is_access))
    }

    pub(super) fn accepts(&self, payload: &str) -> bool {
        match self {
            Self::Reject => false,
            Self::Adopt(is_access) => is_access(&LegacyClaims { payload }),
        }
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
