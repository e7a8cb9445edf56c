//! What a store of whole session lives promises.

use std::{fmt, sync::Arc, time::Duration};

use super::{ListQuery, Page, SessionStore};
use crate::{
    audit::{AuditRecord, AuditSink, LogCategory},
    identity::{Scope, Scopes, StoreKey},
    maybe_ready::MaybeReady,
    policy::TimeoutOverrides,
    time::Timestamp,
};

/// Remembers sessions from sign-in to sign-out, refresh tokens, marks, account policies and logs.
///
/// A method is one step: it happens whole or not at all, whatever runs beside it and wherever the
/// process dies. What it is told to log is logged in the same step. A session is *live* where it
/// has not ended, no mark of its scopes revokes it, and neither its idle nor its absolute deadline
/// has passed. All instants come from the caller; a store reads no clock for its answers.
pub trait LifecycleStore: SessionStore {
    /// Begins a session: its epoch becomes the later of `record.epoch` and one millisecond past
    /// every mark of its scopes, and is the answer.
    fn begin(&self, record: SessionRecord, log: AuditRecord) -> MaybeReady<Timestamp>;

    /// What is known of a refresh token and of its session; changes nothing.
    fn refresh_state(&self, ask: RefreshAsk) -> MaybeReady<RefreshState>;

    /// Consumes a refresh token. Where it is consumed already, or its session is unknown (unless
    /// [`Rotation::adopt`] begins it) or revoked, nothing happens and the state is the answer.
    fn rotate(&self, rotation: Rotation) -> MaybeReady<Rotated>;

    /// Ends one session, as [`SessionStore::end`] does; whether it was live at `log.at`, and so
    /// logged.
    fn revoke(&self, session: StoreKey, until: Timestamp, log: AuditRecord) -> MaybeReady<bool>;

    /// Ends all live sessions of a scope and raises its mark, to the latest epoch of those that it
    /// ends if that is later (P29); how many were ended. Logged, with
    /// `revoked_count`, unless there were none. Costs the same whatever is in the scope, but for
    /// one indexed statement that counts.
    fn revoke_all(&self, revocation: BulkRevocation) -> MaybeReady<u64>;

    /// The live sessions of a scope, the latest sign-in first.
    fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
        now: Timestamp,
    ) -> MaybeReady<Page<SessionRecord>>;

    /// The record of a live session.
    fn session(&self, session: StoreKey, now: Timestamp) -> MaybeReady<Option<SessionRecord>>;

    /// The users of an account with a live session, each once, the latest sign-in first; at most
    /// `limit`.
    fn active_users(
        &self,
        account: StoreKey,
        limit: u32,
        now: Timestamp,
    ) -> MaybeReady<Vec<ActiveUser>>;

    /// What an account's owner has decided; the default if nothing.
    fn overrides(&self, account: StoreKey) -> MaybeReady<TimeoutOverrides>;

    /// Exchanges `change.old` for `change.new`; whether `change.old` was still in force, and so
    /// exchanged and logged.
    fn set_overrides(&self, change: OverridesChange) -> MaybeReady<bool>;

    /// Appends rows to the logs, and forgets rows beyond the store's age and count.
    fn append(&self, rows: Vec<AuditRecord>) -> MaybeReady<()>;

    /// Rows of a log, the latest first.
    fn log(&self, log: LogScope, query: ListQuery) -> MaybeReady<Page<AuditRecord>>;
}

impl<T> LifecycleStore for Arc<T>
where
    T: LifecycleStore + ?Sized,
{
    fn begin(&self, record: SessionRecord, log: AuditRecord) -> MaybeReady<Timestamp> {
        (**self).begin(record, log)
    }

    fn refresh_state(&self, ask: RefreshAsk) -> MaybeReady<RefreshState> {
        (**self).refresh_state(ask)
    }

    fn rotate(&self, rotation: Rotation) -> MaybeReady<Rotated> {
        (**self).rotate(rotation)
    }

    fn revoke(&self, session: StoreKey, until: Timestamp, log: AuditRecord) -> MaybeReady<bool> {
        (**self).revoke(session, until, log)
    }

    fn revoke_all(&self, revocation: BulkRevocation) -> MaybeReady<u64> {
        (**self).revoke_all(revocation)
    }

    fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
        now: Timestamp,
    ) -> MaybeReady<Page<SessionRecord>> {
        (**self).sessions(scope, query, now)
    }

    fn session(&self, session: StoreKey, now: Timestamp) -> MaybeReady<Option<SessionRecord>> {
        (**self).session(session, now)
    }

    fn active_users(
        &self,
        account: StoreKey,
        limit: u32,
        now: Timestamp,
    ) -> MaybeReady<Vec<ActiveUser>> {
        (**self).active_users(account, limit, now)
    }

    fn overrides(&self, account: StoreKey) -> MaybeReady<TimeoutOverrides> {
        (**self).overrides(account)
    }

    fn set_overrides(&self, change: OverridesChange) -> MaybeReady<bool> {
        (**self).set_overrides(change)
    }

    fn append(&self, rows: Vec<AuditRecord>) -> MaybeReady<()> {
        (**self).append(rows)
    }

    fn log(&self, log: LogScope, query: ListQuery) -> MaybeReady<Page<AuditRecord>> {
        (**self).log(log, query)
    }
}

/// The log of a lifecycle store.
impl AuditSink for Arc<dyn LifecycleStore> {
    fn record(&self, rows: Vec<AuditRecord>) -> MaybeReady<()> {
        self.append(rows)
    }
}

/// What is kept of a session from its sign-in on. `Debug` shows times only.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// [`StoreKey::session`].
    pub key: StoreKey,
    /// `sid`.
    pub sid: String,
    /// `sub`.
    pub sub: String,
    /// `tenant`.
    pub tenant: Option<String>,
    /// `session_profile`; `None` means `normal`.
    pub profile: Option<String>,
    /// What it can be revoked by.
    pub scopes: Scopes,
    /// When the user signed in.
    pub auth_time: Timestamp,
    /// When it began, for comparison with marks.
    pub epoch: Timestamp,
    /// Its idle timeout.
    pub idle: Duration,
    /// Its absolute deadline.
    pub ends_at: Timestamp,
    /// Its last activity.
    pub last_seen: Timestamp,
}

impl fmt::Debug for SessionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRecord")
            .field("auth_time", &self.auth_time)
            .field("ends_at", &self.ends_at)
            .field("last_seen", &self.last_seen)
            .finish_non_exhaustive()
    }
}

/// Which refresh token is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshAsk {
    /// [`StoreKey::session`] of its session.
    pub session: StoreKey,
    /// [`StoreKey::token`] of its `jti`.
    pub token: StoreKey,
    /// The session's epoch.
    pub epoch: Timestamp,
    /// What the session can be revoked by.
    pub scopes: Scopes,
}

/// What is known of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshState {
    /// Its session.
    pub session: RefreshedSession,
    /// The token itself.
    pub token: TokenState,
}

/// What is known of a refresh token's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshedSession {
    /// Nothing.
    Unknown,
    /// Ended, or revoked by a mark.
    Revoked,
    /// Neither; with its last activity.
    Known(Timestamp),
}

/// Whether a refresh token was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// Not yet.
    Unused,
    /// It was.
    Used {
        /// When.
        at: Timestamp,
        /// What it was exchanged for, if anything, and as long as that is unused.
        successor: Option<SuccessorPayloads>,
        /// Whether it was exchanged for anything.
        had_successor: bool,
    },
}

/// The payloads that a refresh token was exchanged for: unsigned, so that whoever reads the store
/// gains no token. `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
pub struct SuccessorPayloads {
    /// The access token's payload.
    pub access: String,
    /// The refresh token's payload.
    pub refresh: String,
    /// [`StoreKey::token`] of the refresh token.
    pub token: StoreKey,
}

impl fmt::Debug for SuccessorPayloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SuccessorPayloads(..)")
    }
}

/// A refresh token that is to be consumed.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Which one.
    pub ask: RefreshAsk,
    /// When.
    pub now: Timestamp,
    /// Its `exp`: until then it is remembered as used.
    pub until: Timestamp,
    /// What it is exchanged for; `None` consumes it alone.
    pub successors: Option<SuccessorPayloads>,
    /// Whether the exchange is an activity at `now`.
    pub is_activity: bool,
    /// The record of a session that is unknown because its token is older than this store.
    pub adopt: Option<SessionRecord>,
}

/// The answer to a [`Rotation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// The token is consumed.
    Done,
    /// Nothing happened; this is why.
    Refused(RefreshState),
}

/// All sessions of a scope that are to be ended.
#[derive(Clone, Debug)]
pub struct BulkRevocation {
    /// Which ones.
    pub scope: Scope,
    /// Those of the scope that live on.
    pub exempt: Exempt,
    /// When.
    pub now: Timestamp,
    /// The mark: sessions with an epoch up to here are revoked.
    pub mark: Timestamp,
    /// Until when the mark stands: no session from before it can be alive then.
    pub until: Timestamp,
    /// What to log; `revoked_count` is added.
    pub log: AuditRecord,
}

/// The sessions that a bulk revocation spares, of those alive at the call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Exempt {
    /// None.
    #[default]
    None,
    /// These, by [`StoreKey::session`].
    Sessions(Vec<StoreKey>),
    /// Those of one user, by [`StoreKey::user`].
    User(StoreKey),
}

/// A user with a live session.
#[derive(Clone, PartialEq, Eq)]
pub struct ActiveUser {
    /// `sub`.
    pub sub: String,
    /// The latest sign-in of the live sessions.
    pub last_login_at: Timestamp,
}

impl fmt::Debug for ActiveUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveUser")
            .field("last_login_at", &self.last_login_at)
            .finish_non_exhaustive()
    }
}

/// A change of an account's policy.
#[derive(Clone, Debug)]
pub struct OverridesChange {
    /// [`StoreKey::account`].
    pub account: StoreKey,
    /// What is in force, as the caller has read it.
    pub old: TimeoutOverrides,
    /// What is to be.
    pub new: TimeoutOverrides,
    /// What to log.
    pub log: AuditRecord,
}

/// Which rows of which log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogScope {
    /// The log.
    pub category: LogCategory,
    /// Whose rows: a user's, an account's, or everything.
    pub scope: Scope,
}
