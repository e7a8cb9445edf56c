//! The other end: what clients need to keep their users signed in.

pub mod browser;
