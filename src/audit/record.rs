//! What happened, row by row.

use std::{borrow::Cow, fmt};

use crate::{identity::StoreKey, time::Timestamp};

/// Which log a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogCategory {
    /// Requests that counted as activity.
    Activity,
    /// What began, changed or ended sessions, and what was refused.
    Security,
}

impl LogCategory {
    /// Its name in requests and tables: `activity` or `security`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Activity => "activity",
            Self::Security => "security",
        }
    }
}

impl std::str::FromStr for LogCategory {
    type Err = UnknownCategory;

    fn from_str(name: &str) -> Result<Self, UnknownCategory> {
        match name {
            "activity" => Ok(Self::Activity),
            "security" => Ok(Self::Security),
            _ => Err(UnknownCategory),
        }
    }
}

/// A log category is `activity` or `security`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCategory;

impl fmt::Display for UnknownCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a log category is `activity` or `security`")
    }
}

impl std::error::Error for UnknownCategory {}

/// One row of a log. It holds no text of a client, and nobody's name: who it is about is said by
/// digests. `Debug` shows the event alone.
#[derive(Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When it happened.
    pub at: Timestamp,
    /// Which log it is of.
    pub category: LogCategory,
    /// [`StoreKey::session`] of the session it is about, if there is one.
    pub session: Option<StoreKey>,
    /// [`StoreKey::user`] of the user it is about, if there is one.
    pub user: Option<StoreKey>,
    /// [`StoreKey::account`] of the account it is about, if there is one.
    pub account: Option<StoreKey>,
    /// What happened, such as `session_started`.
    pub event: Cow<'static, str>,
    /// What there is to say about it: a JSON object.
    pub detail: Cow<'static, str>,
}

impl AuditRecord {
    /// The row with one more number in its detail.
    #[must_use]
    pub fn with_count(mut self, name: &str, count: u64) -> Self {
        let rest = self.detail.trim_end().strip_suffix('}').unwrap_or("{").to_owned();
        let comma = if rest.trim_end().ends_with('{') { "" } else { "," };
        self.detail = format!("{rest}{comma}\"{name}\":{count}}}").into();
        self
    }
}

impl fmt::Debug for AuditRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditRecord")
            .field("at", &self.at)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_joins_the_detail() {
        let row = |detail: &str| AuditRecord {
            at: Timestamp::EPOCH,
            category: LogCategory::Security,
            session: None,
            user: None,
            account: None,
            event: "sessions_revoked_bulk".into(),
            detail: detail.to_owned().into(),
        };
        assert_eq!(row("{}").with_count("n", 7).detail, r#"{"n":7}"#);
        assert_eq!(row(r#"{"a":1}"#).with_count("n", 7).detail, r#"{"a":1,"n":7}"#);
    }
}
