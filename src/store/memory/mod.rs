//! The stores in memory: what one process remembers, bounded, and forgets when it ends.

mod claims;
mod endings;
mod lifecycle;
mod lifecycle_state;
mod limiter;
mod sessions;
mod sign_in;

pub use self::{limiter::MemoryLimiter, sessions::MemoryStore};
