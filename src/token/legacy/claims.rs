//! The claims of a legacy token, as the app sees them.

use std::{borrow::Cow, fmt};

use serde::de::DeserializeOwned;

use super::LegacyPayload;
use crate::{time::Timestamp, token::payload::seconds};

/// The claims of a verified legacy token. `Debug` does not show them.
pub struct LegacyClaims<'a>(&'a LegacyPayload<'a>);

impl<'a> LegacyClaims<'a> {
    pub(in crate::token) const fn new(payload: &'a LegacyPayload<'a>) -> Self {
        Self(payload)
    }

    /// The claim `name` if it is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.value(name)?.text().ok()
    }

    /// The claim `name` as an identifier: a string that is not empty, or a whole number as its decimal
    /// digits. `None` for every other value, such as `7.0`, `-7` or `null`.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<String> {
        let value = self.0.value(name)?.identifier()?;
        Some(value.into_owned()).filter(|id| !id.is_empty())
    }

    /// The claim `name` as a time: seconds since the Unix epoch, a fraction truncated (RFC 7519 section
    /// 2). `None` for every other value, and for a time before 1970 or after the year 9999.
    #[must_use]
    pub fn time(&self, name: &str) -> Option<Timestamp> {
        seconds(self.0.value(name)?).ok()
    }

    /// All claims as the application's own type; `None` if they do not deserialize into it.
    #[must_use]
    pub fn parse<T>(&self) -> Option<T>
    where
        T: DeserializeOwned,
    {
        serde_json::from_str(self.0.json).ok()
    }
}

impl fmt::Debug for LegacyClaims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LegacyClaims(..)")
    }
}
