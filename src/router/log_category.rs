//! The parameter `category` of `GET /activity`.

use std::str::FromStr;

/// Selects a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogCategory {
    /// The activity log.
    Activity,
    /// The audit log.
    Security,
}

impl FromStr for LogCategory {
    type Err = UnknownCategory;

    fn from_str(name: &str) -> Result<Self, UnknownCategory> {
        match name {
            "activity" => Ok(Self::Activity),
            "security" => Ok(Self::Security),
            _ => Err(UnknownCategory),
        }
    }
}

/// The category is neither `activity` nor `security`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownCategory;
