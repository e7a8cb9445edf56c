//! What happens to sessions that a store does not know.

/// What happens to sessions that the store does not know: a restart or an eviction lost them, or
/// another issuer or an earlier system started them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownSessions {
    /// They are active if they may have been, so a restart signs no active user out; the store knows
    /// them from then on. The last activity is assumed to be the latest one that leaves no trace in
    /// the token: `iat` plus the time in which no renewal is due, at most now. A session that is idle
    /// is thus noticed late by at most that time, once. No renewed access token leaves a trace in a refresh
    /// token: while [`Policy::renews`](crate::Policy::renews), that of an unknown session is good until the
    /// absolute deadline. The token of an earlier system is active
    /// until its `exp`. The default.
    #[default]
    Adopt,
    /// Their token decides: the last activity is its `iat`. A restart signs out users whose token is
    /// older than the idle timeout.
    JudgeByToken,
    /// They are rejected as `session_revoked`: for [durable](crate::store::SessionStore::is_durable)
    /// stores, and without tokens of an earlier system or of other issuers. `SlidingSessions` does
    /// not build otherwise.
    Reject,
}
