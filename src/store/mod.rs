//! What the layers remember between requests: traits, and the store in memory.
//!
//! A store trait is small and dyn-safe: its methods take `Copy` keys and return a
//! [`MaybeReady`], which is either ready (no allocation, no timer) or boxed. An author writes one
//! or the other:
//!
//! ```
//! use tower_sliding_session::MaybeReady;
//!
//! let at_hand: MaybeReady<u32> = MaybeReady::ready(Ok(7));
//! let far_away: MaybeReady<u32> = MaybeReady::new(async move { Ok(7) });
//! # drop((at_hand, far_away));
//! ```

mod account_policies;
mod lifecycle_store;
pub(crate) mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod node_cache;
mod page;
mod renewal_limiter;
mod revocations;
mod session_store;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
mod table;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use self::sql::{SqlStore, SqlStoreBuilder};
pub use self::{
    account_policies::AccountPolicies,
    lifecycle_store::{
        ActiveUser, BulkRevocation, Exempt, LifecycleStore, LogScope, OverridesChange, RefreshAsk,
        RefreshState, RefreshedSession, Rotated, Rotation, SessionRecord, SuccessorPayloads,
        TokenState,
    },
    memory::{MemoryLimiter, MemoryStore},
    page::{Cursor, InvalidCursor, ListQuery, Page},
    renewal_limiter::{RenewalDecision, RenewalLimiter, RenewalRequest},
    revocations::{RevocationCutoff, Revocations},
    session_store::{SessionStore, StoredSession, Touch, TouchOutcome},
};
pub use crate::maybe_ready::StoreError;
