//! The tests that every store passes: those of this crate, and yours.
//!
//! Each function runs the rules of one trait against a store and panics where it breaks one. The
//! keys are new at each call, so a store that others use can be tested too.
//!
//! ```
//! use tower_sliding_session::store::{MemoryLimiter, conformance};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! conformance::renewal_limiter(MemoryLimiter::new()).await;
//! # }
//! ```

mod renewal_limiter;

pub use self::renewal_limiter::renewal_limiter;
