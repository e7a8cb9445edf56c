//! The stores in memory: what one process remembers, bounded, and forgets when it ends.

mod gate;
mod lifecycle;
mod lives;
mod sessions;
pub(super) mod table;

pub use self::{gate::MemoryGate, sessions::MemoryStore};
