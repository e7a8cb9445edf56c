//! What the layers remember between requests: traits, and the store in memory.
//!
//! A store trait is small and dyn-safe: its methods take `Copy` keys and return a
//! [`StoreFuture`], which is either ready (no allocation, no timer) or boxed. An author writes one
//! or the other:
//!
//! ```
//! use tower_sliding_session::store::StoreFuture;
//!
//! let at_hand: StoreFuture<u32> = StoreFuture::ready(Ok(7));
//! let far_away: StoreFuture<u32> = StoreFuture::new(async move { Ok(7) });
//! # drop((at_hand, far_away));
//! ```

mod bulletin;
mod future;
mod gate;
mod key;
mod lifecycle_store;
mod log;
pub(crate) mod memory;
mod page;
mod scopes;
mod session_store;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
mod timed;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use self::sql::{SqlStore, SqlStoreBuilder};
pub(crate) use self::timed::{LIFECYCLE_TIME_LIMIT, REQUEST_TIME_LIMIT, Timed, within};
pub use self::{
    bulletin::Bulletin,
    future::{StoreError, StoreFuture},
    gate::{Admission, RenewalAsk, RenewalGate},
    key::Key,
    lifecycle_store::{
        ActiveUser, BulkRevocation, Except, LifecycleStore, LogScope, OverridesChange, RefreshAsk,
        RefreshState, RefreshedSession, Rotated, Rotation, SessionRecord, Successors, TokenState,
    },
    log::{LogCategory, LogRow, UnknownCategory},
    memory::{MemoryGate, MemoryStore},
    page::{Cursor, ListQuery, NoCursor, Page},
    scopes::{Scope, Scopes},
    session_store::{Peeked, SessionStore, Touch, Touched},
};
