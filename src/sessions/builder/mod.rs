//! Builds [`SlidingSessions`](super::SlidingSessions).
//!
//! - `settings`: the builder, with the default of each setting
//! - `request`, `lifecycle`: its setters
//! - `problems`: settings that contradict each other
//! - `assemble`: the layers and the lifecycle that the settings make
//! - `description`: the settings in words, and warnings

mod assemble;
mod description;
mod error;
mod lifecycle;
mod problems;
mod request;
mod settings;

pub(super) use self::settings::IsOwner;
pub use self::{error::BuildError, settings::SlidingSessionsBuilder};
