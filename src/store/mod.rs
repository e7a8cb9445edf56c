//! What the layers and the lifecycle remember between requests: store traits, the memory store, the
//! SQL store and the Redis store.
//!
//! | trait | what it remembers |
//! |---|---|
//! | [`SessionStore`] | last activities and tombstones: what a request asks for |
//! | [`LifecycleStore`], [`LifecycleQueries`] | sessions from sign-in to sign-out, refresh tokens, tickets, bulk revocations, account policies, logs |
//! | [`RenewalLimiter`] | recent renewals |
//!
//! Store traits are dyn-safe. Their methods take small `Copy` keys and return a [`MaybeReady`],
//! which is either ready (no allocation, no timer) or boxed:
//!
//! ```
//! use tower_sliding_session::MaybeReady;
//!
//! let ready: MaybeReady<u32> = MaybeReady::ready(Ok(7));
//! let pending: MaybeReady<u32> = MaybeReady::new(async move { Ok(7) });
//! # drop((ready, pending));
//! ```
//!
//! [`MaybeReady`]: crate::MaybeReady

mod account_policies;
mod attempts;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
#[cfg_attr(
    not(any(feature = "postgres", feature = "redis")),
    expect(dead_code, reason = "a file has no breaker")
)]
mod breaker;
mod bulk_revocation;
mod claims_changes;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod entry;
mod lifecycle_queries;
mod lifecycle_store;
#[cfg(feature = "metrics")]
mod measured;
pub(crate) mod memory;
#[cfg(feature = "postgres")]
mod monotonic;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod node;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod node_cache;
mod open_ticket;
mod page;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod race;
#[cfg(feature = "redis")]
mod redis;
mod refresh_rotation;
mod renewal_limiter;
mod revocations;
mod session_label;
mod session_limit;
mod session_record;
mod session_store;
mod sign_in;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
mod store_log;
mod table;
mod tombstone;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod turns;
mod user_limit;

#[cfg(feature = "metrics")]
pub(crate) use self::measured::MeasuredStore;
#[cfg(feature = "redis")]
pub use self::redis::{
    OnDataLoss, RedisLimiter, RedisLimiterBuilder, RedisStore, RedisStoreBuilder,
};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use self::sql::{DatabasePool, SqlStore, SqlStoreBuilder};
pub use self::{
    account_policies::{AccountPolicies, OverridesChange},
    bulk_revocation::{BulkRevocation, CallerSession, Exempt},
    claims_changes::{ClaimsChange, ClaimsChanges},
    lifecycle_queries::LifecycleQueries,
    lifecycle_store::LifecycleStore,
    memory::{MemoryLimiter, MemoryStore},
    open_ticket::{OpenTicket, TicketUse},
    page::{Cursor, InvalidCursor, ListQuery, Page},
    refresh_rotation::{
        RefreshQuery, RefreshState, RefreshedSession, Rotated, Rotation, SuccessorIds,
        TokenExchange,
    },
    renewal_limiter::{RenewalDecision, RenewalLimiter, RenewalRequest},
    revocations::{FoldedTombstones, RevocationCutoff, Revocations},
    session_label::{LabelError, SessionLabel},
    session_limit::{OnSessionLimit, SessionLimit},
    session_record::{ActiveUser, SessionRecord},
    session_store::{SessionStore, StoreOutage, StoredSession, Touch, TouchOutcome},
    sign_in::{ReplacedSession, SignIn, SignInOutcome, SignedIn},
    tombstone::Tombstone,
};
pub(crate) use self::{
    attempts::Attempts,
    revocations::{OpenSession, OpenStream, Renewed},
    session_store::SETTLING,
    store_log::StoreLog,
    user_limit::{InFlight, UserLimit},
};
pub use crate::maybe_ready::{StoreError, StoreErrorKind};
