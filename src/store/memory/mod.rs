//! The stores in memory: what one process remembers, bounded, and forgets when it ends.

mod gate;
mod lifecycle;
mod lives;
mod sessions;
mod table;

pub use self::{gate::MemoryGate, sessions::MemoryStore};
