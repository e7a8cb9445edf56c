//! What the store in memory knows of sessions beyond their last activity.

mod logs;
mod records;
mod tokens;

pub(super) use self::records::cursor;
use self::{logs::Logs, records::Records, tokens::Tokens};

/// Records, used refresh tokens and logs: whoever reads or changes any holds the lock of all.
pub(super) struct LifecycleState {
    pub(super) records: Records,
    pub(super) tokens: Tokens,
    pub(super) logs: Logs,
    /// How many bulk revocations there were: once in a while one clears the marks.
    pub(super) revocations: usize,
}

impl LifecycleState {
    pub(super) fn new(max_sessions: usize) -> Self {
        Self {
            records: Records::new(max_sessions),
            tokens: Tokens::new(max_sessions),
            logs: Logs::default(),
            revocations: 0,
        }
    }
}
