//! Redis and Valkey: what several nodes share, one round trip away.
//!
//! A [`Connection`](connection::Connection) to a server, or to each primary of a cluster, is replaced when the
//! server behind it is lost. Each step that must be atomic is one [`Script`](script::Script), whose
//! keys are all passed to it and lie in one slot: that of the user, or that of the feed. A script that must
//! not run after its caller gave up gets a deadline in the server's time; all others only raise what they
//! find, and each may run twice.
//!
//! The keys are documented at [`RedisStore`]; `keys.rs` names them.
//!
//! A session ends in two slots, so the order matters: its entry in the feed first, then its tombstone. The
//! node that stops in between has not answered, and the others reject the session already. Only a step-up
//! publishes afterwards: while the new session has not begun, its user needs the old one. It publishes until
//! that succeeds; a node that has not heard of it ends the session when it writes an activity. A session is
//! in the lists before its record is written, and a list only says where to look.

mod account_policies;
mod answer;
mod assertions;
mod audit_log;
mod builder;
mod bulk_revocation;
mod bytes;
mod commands;
mod connection;
mod counts;
mod endings;
mod endpoint;
mod failure;
mod feed;
mod folding;
mod kept_change;
mod keys;
mod late_rows;
mod lease;
mod lifecycle;
mod limiter;
mod lists;
mod logs;
mod new_store;
mod past_endings;
mod primaries;
mod push;
mod record;
mod repairs;
mod replicas;
mod rotation;
mod rounds;
mod script;
mod server;
mod server_info;
mod server_time;
mod server_watch;
mod servers;
mod sessions;
mod sign_in;
mod slot_map;
mod target;
#[cfg(test)]
mod tests;
mod tickets;
mod unplaced;
mod unpublished_ending;
mod write_back;

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

use self::{
    assertions::Assertions, connection::Connection, counts::Counts, endpoint::Endpoint,
    feed::Position, keys::Keys, late_rows::LateRows, repairs::Repairs, replicas::Replicas,
    rounds::Rounds, server_watch::ServerWatch, unpublished_ending::Publishing,
};
pub use self::{
    builder::RedisStoreBuilder,
    limiter::{RedisLimiter, RedisLimiterBuilder},
    new_store::OnDataLoss,
};
use super::{
    AccountPolicies, ClaimsChanges, Revocations, SessionStore, StoreOutage, StoredSession,
    Tombstone, Touch, TouchOutcome, UserLimit,
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
/// everysec`. Each node holds what it has heard of: tombstones (at most 1,088 of a user and 1,048,576 in
/// all), cutoffs, exemptions, numbers of claims and account policies, until they expire; and of each session
/// whose refresh token it has exchanged, or has read of, the last exchange and the record (at most 64 of a user
/// and 262,144 in all, in some 700 bytes each). When it finds that Redis has lost data, it writes back what is
/// missing, and refreshes fail for two sync intervals; and each change of its own it asserts once more after
/// 30 s. Exchanges and records are written last, in the background. What no node holds, [`OnDataLoss`] decides. So the
/// store does not count as [durable](SessionStore::is_durable), and unknown sessions are judged by their
/// tokens.
///
/// # Keys, and what a session costs
///
/// A session of a user needs at most 450 bytes of `used_memory` with all that a sign-in writes by
/// default: some 425 with a `sid` and a `sub` that are UUIDs and 20,000 sessions, some 390 with a million.
/// A further session of the same user needs half of that, a refreshed one some 50 bytes more.
///
/// | key | type | holds | life | bytes |
/// |---|---|---|---|---|
/// | `tss:{U}` | string | the records of a user, at most 1,000 | the longest of them | 295 with one, 140 for each further one; the label, the account and longer names as they are |
/// | `tss:d:xyz` | hash | of each session its user, in 4,096 buckets: `revoke(sid)` knows only the session | until the absolute deadline | 45 to 70 |
/// | `tss:b:xyz` | hash | of each subject its users, in 4,096 buckets | until the last absolute deadline | 45 to 70 |
/// | `tss:{A}:l`, `:m` | sorted set, hash | the sessions of an account; the longest life and the latest epoch of one | the longest of them | 150 with the account in the record |
/// | `tss:{I}:l`, `:m` | sorted set, hash | the same of everything of an issuer, with [`list_everything`](RedisStoreBuilder::list_everything) | the longest of them | 150 |
/// | `tss:{U}:a`, `:b` | list | the audit log of a user, with [`audit_log`](RedisStoreBuilder::audit_log); what a client can repeat in it: at most 1,000 rows each | 90 days after the last | 330 with one row, 120 for each further one |
/// | `tss:{U}:v` | list | the activity log of a user, at most 1,000 rows | 90 days after the last | 330 with one row, 120 for each further one |
/// | `tss:{A}:i`, `:w` | sorted set | where the rows of an account's audit and activity log are; `tss:{i}:i` and `tss:{w}:w` those of everything | 90 days after the last | 150 a row |
/// | `tss:{U}:sS` | string | the activity of a session that has no record, such as one of another issuer | until its token has expired | 190 |
/// | `tss:{U}:e` | hash | the tombstones of a user, at most 64 that can be folded and 1,024 others; `f`, what is folded; `d`, until when sessions began that may be active without a record | the longest of them | 190 with one, 35 for each further one |
/// | `tss:{U}:tS`, `:kT` | list, string | the tickets of a session, at most 32; a ticket | 30 s + 2 min | 300 |
/// | `tss:{U}:gS`, `:r` | string | the grants that block renewals of a session and of a user | interval + 1 s | 193 each |
/// | `tss:{B}:x` | string | the lease of a sign-in under `max_sessions` | 5 s at most | 150 |
/// | `tss:{g}:f` | stream | the feed: changes of the last time, at most about 100,000 | | 110 a change |
/// | `tss:{g}:c` | hash | the latest of each change that a node needs which starts now: cutoffs, exemptions, folded tombstones, claims numbers, overrides | a field until it has expired | 150 a field |
/// | `tss:{U}:p`, `tss:{g}:p` | string | what is written last where an ending [waits for replicas](RedisStoreBuilder::wait_for_replicas) | 1 s | 120 |
/// | `tss:{g}:q`, `:m` | string | the number of the last entry of the feed; the random id of the store, and when it was made | | |
///
/// `tss` is the namespace; `U` is the key of the user, `S` that of the session, `T` of the ticket, `B` of
/// the subject, `A` of the account and `I` of the issuer: in base64url within braces, 16 bytes elsewhere;
/// `xyz` are the first 12 bits of the key. What expires is kept for two minutes longer: the clock of a
/// node may be behind.
///
/// Of a user who has 1,000 sessions with a record, the least active one loses its record to the next: it
/// goes on, and is judged by its token. While it may be active, the tombstones of sessions that began before
/// it are not folded, so that at most 1,024 of those can end; and a revocation that exempts all sessions of
/// the user fails. Set `max_sessions` where one user may have so many. A limit of `max_sessions` counts at
/// most 999.
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
    readings: Rounds<()>,
    servers: ServerWatch,
    assertions: Assertions,
    repairs: Repairs,
    late_rows: LateRows,
    replicas: Replicas,
    /// Held by a bulk revocation alone, and by every sign-in: none begins while sessions are counted.
    counting: RwLock<()>,
    counts: Arc<Counts>,
    /// Held by each ending that is published in the background.
    publishing: Arc<Publishing>,
    /// Held while the claims of a scope change.
    changing_claims: Mutex<()>,
    /// The lists, and the other calls to the lifecycle, of each user; the limited sign-ins of each
    /// subject.
    lists: UserLimit,
    calls: UserLimit,
    limited_sign_ins: UserLimit,
    /// Ended sessions whose user is not known, until when.
    unplaced: DashMap<StoreKey, unplaced::Ended, RandomState>,
    /// Whether there is a list of everything, and an audit log.
    lists_everything: bool,
    keeps_audit_log: bool,
    /// Numbers the rows of the logs of this node, beside a random number.
    rows: AtomicU64,
    random: u64,
    tasks: OnceLock<[AbortHandle; 3]>,
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

    fn last_outage(&self) -> Option<StoreOutage> {
        Some(self.0.last_outage.get(self.0.clock.now()))
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
