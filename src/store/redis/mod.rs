//! Redis and Valkey: what several nodes share, one round trip away.
//!
//! A [`Connection`](connection::Connection) to a server, or to the nodes of a cluster, replaces itself
//! when the server behind it is lost. Each step that must be atomic is one [`Script`](script::Script), whose
//! keys are all passed to it and lie in one slot: that of the user, or that of the feed. A script that must
//! not run after its caller gave up gets a deadline in the server's time; all others only raise what they
//! find, and each may run twice.
//!
//! | key | type | holds | life |
//! |---|---|---|---|
//! | `tss:{U}:sS` | string | a session: its record, or its last activity alone, or its tombstone ([`record`]) | until its absolute deadline; an activity alone until its token has expired |
//! | `tss:{U}:e` | hash | the tombstones of the user: of each until when, and the epoch; `f`, what of them is folded | the longest of them |
//! | `tss:{U}:tS` | list | the tickets of a session, at most 32 | 30 s + 2 min |
//! | `tss:{U}:kT` | string | a ticket: until when it is open; or whose use has closed it | 30 s + 2 min |
//! | `tss:{U}:a`, `:b`, `:v` | sorted set | rows of the user: of the audit log, of what a client can repeat there, and of the activity log, at most 1,000 each | 90 days after the last |
//! | `tss:{U}:l`, `:m` | sorted set, string | the sessions of a user, and how long the longest of them lives; of a subject, an account and everything of an issuer alike | the longest of them |
//! | `tss:{B}:i`, `:w` | sorted set | where the rows of a subject's audit and activity log are; of an account's alike; `tss:{i}:i` and `tss:{w}:w` of everything's | 90 days after the last |
//! | `tss:{B}:x` | string | the lease of a sign-in under `max_sessions` | 5 s at most |
//! | `tss:d:S` | string | the user of a session with a record: `revoke(sid)` knows only the session | until its absolute deadline |
//! | `tss:{g}:f` | stream | the feed: changes of the last time, at most about 100,000 | |
//! | `tss:{g}:c` | hash | the latest of each change that a node needs which starts now: cutoffs, exemptions, folded tombstones, claims numbers, overrides | a field until it has expired |
//! | `tss:{g}:q`, `:m` | string | the number of the last entry of the feed; the random name of the store | |
//! | `tss:{U}:gS` | string | the grant that blocks renewals of a session: until when, and its id | interval + 1 s |
//! | `tss:{U}:r` | string | the same for the user | interval + 1 s |
//!
//! `tss` is the namespace; `U` is the key of the user, `S` that of the session, `T` of the ticket and `B` of
//! the subject: in base64url within braces and in the grants, 16 bytes elsewhere. What expires is kept for
//! two minutes longer: the clock of a node may be behind.
//!
//! A session ends in two slots, so the order matters: its entry in the feed first, then its tombstone. The
//! node that stops in between has not answered, and the others reject the session already. A session is in
//! the lists before its record is written, and a list only says where to look.

mod account_policies;
mod answer;
mod audit_log;
mod builder;
mod bulk_revocation;
mod bytes;
mod connection;
mod endings;
mod endpoint;
mod failure;
mod feed;
mod join_all;
mod kept_change;
mod keys;
mod lifecycle;
mod limiter;
mod lists;
mod logs;
mod primaries;
mod push;
mod record;
mod rotation;
mod script;
mod server_info;
mod server_time;
mod sessions;
mod sign_in;
mod target;
#[cfg(test)]
mod tests;
mod tickets;

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use tokio::{
    sync::{Mutex, RwLock},
    task::AbortHandle,
};

pub use self::{
    builder::RedisStoreBuilder,
    limiter::{RedisLimiter, RedisLimiterBuilder},
};
use self::{connection::Connection, endpoint::Endpoint, feed::Position, keys::Keys};
use super::{
    AccountPolicies, ClaimsChanges, Revocations, SessionStore, StoredSession, Tombstone, Touch,
    TouchOutcome, UserLimit,
    node::{self, NodeState},
};
use crate::{
    identity::{SessionKeys, StoreKey},
    maybe_ready::{MaybeReady, StoreError},
    time::Timestamp,
};

/// How many lists of one user are in flight.
const LISTS_PER_USER: usize = 1;

/// How many other calls of one user to the lifecycle are in flight.
const CALLS_PER_USER: usize = 2;

/// Stores sessions in Redis or Valkey, in a server or a cluster: several nodes share them.
///
/// It needs Redis 7.0 or Valkey 7.2, with scripts, `maxmemory-policy noeviction` and, so that a restart
/// ends no session and revives none, `appendonly yes`. A service that forbids scripts cannot serve; the
/// first call says so.
///
/// A request waits for one round trip if it is the first of its session on this node, and else for
/// none: activities are written in the background, one per session and touch interval (a sixtieth of
/// the idle timeout, at most a minute). A write that fails is repeated, and no request is rejected for it.
/// Call [`flush`](SessionStore::flush) at shutdown.
///
/// A revocation is effective on this node when the call returns, and on every other node as soon as it
/// has heard of it: each waits for changes on a connection of its own, and reads them in any case within the
/// [`sync_interval`](RedisStoreBuilder::sync_interval). A node that could not read the changes for three
/// intervals reads them before it admits a request, and returns an error if it cannot. It returns an
/// error, too, while its clock is further from that of Redis than the `max_clock_skew` of the policies.
///
/// Redis may lose what it has answered: in a failover, or at a power failure with `appendfsync
/// everysec`. So it does not count as [durable](SessionStore::is_durable), and unknown sessions are judged
/// by their tokens.
///
/// Clones share one store. The background tasks and the connections end with the last of them.
///
/// ```no_run
/// use tower_sliding_session::{JwtKeys, Policy, SlidingSessions, store::RedisStore};
///
/// # async fn build() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::connect("redis://redis.internal:6379").await?;
/// let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::long_lived())
///     .store(store)
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    node: NodeState,
    connection: Connection,
    keys: Keys,
    /// What this node has read of the feed; `None` until everything has been read once. Locked while
    /// changes are read and applied.
    position: Mutex<Option<Position>>,
    /// How many readings of the feed were begun, and which of them succeeded last.
    readings_begun: AtomicU64,
    readings_done: AtomicU64,
    /// Held by a bulk revocation alone, and by every sign-in: none begins while sessions are counted.
    counting: RwLock<()>,
    /// Held while the claims of a scope change.
    changing_claims: Mutex<()>,
    /// The lists, and the other calls to the lifecycle, of each user; the limited sign-ins of each
    /// subject.
    lists: UserLimit,
    calls: UserLimit,
    limited_sign_ins: UserLimit,
    /// Ended sessions whose user is not known, until when.
    unplaced: DashMap<StoreKey, Timestamp, RandomState>,
    /// Numbers the rows of the logs of this node, beside a random number.
    rows: AtomicU64,
    random: u64,
    tasks: OnceLock<[AbortHandle; 2]>,
}

impl RedisStore {
    /// Connects to `redis://user:password@host:port/database`, or over TLS with `rediss://`. Spawns the
    /// background task on the current Tokio runtime, and panics without one.
    ///
    /// # Errors
    /// If the address is malformed, or the server cannot be reached, is a replica, or is older than
    /// Redis 7.0.
    pub async fn connect(address: &str) -> Result<Self, StoreError> {
        Self::at(address).connect().await
    }

    /// Creates a builder for a store on the server at `address`.
    pub fn at(address: impl Into<String>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(Endpoint::new([address.into()], false, true))
    }

    /// Creates a builder for a store on a cluster, of which `addresses` are some nodes.
    pub fn cluster(addresses: impl IntoIterator<Item = impl Into<String>>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(Endpoint::new(addresses, true, true))
    }
}

impl SessionStore for RedisStore {
    fn touch(&self, keys: SessionKeys, touch: Touch) -> MaybeReady<TouchOutcome> {
        if self.0.is_up_to_date()
            && let Some(touched) = node::touch_cached(&self.0, keys, touch)
        {
            return MaybeReady::ready(Ok(touched));
        }
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { node::touch(&store, keys, touch).await })
    }

    fn get(&self, keys: SessionKeys) -> MaybeReady<StoredSession> {
        if self.0.is_up_to_date()
            && let Some(stored) = self.0.node_cache.get(&keys.session, self.0.clock.now())
        {
            return MaybeReady::ready(Ok(stored));
        }
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { node::get(&store, keys).await })
    }

    fn write_tombstone(&self, tombstone: Tombstone) -> MaybeReady<bool> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.revoke(tombstone, None).await })
    }

    fn flush(&self) -> MaybeReady<()> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { node::flush(&store).await })
    }

    fn revocations(&self) -> Option<Arc<Revocations>> {
        Some(Arc::clone(&self.0.revocations))
    }

    fn account_policies(&self) -> Option<Arc<AccountPolicies>> {
        Some(Arc::clone(&self.0.account_policies))
    }

    fn claims_changes(&self) -> Option<Arc<ClaimsChanges>> {
        Some(Arc::clone(&self.0.claims_changes))
    }

    fn activity_delay(&self, _: Duration) -> Duration {
        node::ACTIVITY_DELAY
    }

    fn set_max_clock_skew(&self, skew: Duration) {
        self.0.store_clock.set_max_skew(skew);
    }

    fn correct_time(&self, now: Timestamp) -> Timestamp {
        self.0.store_clock.correct_time(now)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("is_connected", &self.0.connection.is_connected())
            .finish_non_exhaustive()
    }
}

impl Deref for Inner {
    type Target = NodeState;

    fn deref(&self) -> &NodeState {
        &self.node
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for task in self.tasks.get().into_iter().flatten() {
            task.abort();
        }
    }
}
