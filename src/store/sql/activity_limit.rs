//! The latest activity that a statement may write: the store's time and the skew of the clocks.
//!
//! A clock may jump after the last reading, which has compared it with the store's. What it writes
//! must not keep a session past its idle timeout on every node.

use super::{Inner, value::Args};
use crate::{clock::Clock as _, maybe_ready::LIFECYCLE_TIME_LIMIT, time::Timestamp};

/// Limits the activities that a statement writes.
#[derive(Clone, Copy)]
pub(super) struct ActivityLimit {
    /// An expression for the store's time; zero where the argument is the whole limit.
    store_now: &'static str,
    argument: Timestamp,
}

impl ActivityLimit {
    /// Returns an expression for the activity `at`, at most the limit. `argument` is the placeholder
    /// of what [`add_to`](Self::add_to) adds.
    pub(super) fn apply(&self, at: &str, argument: &str) -> String {
        let limit = format!("{} + {argument}", self.store_now);
        format!("CASE WHEN {at} < {limit} THEN {at} ELSE {limit} END")
    }

    /// An expression for the store's time in milliseconds; zero where a file has no clock of its own.
    pub(super) const fn store_now(&self) -> &'static str {
        self.store_now
    }

    pub(super) fn add_to(&self, args: Args) -> Args {
        args.time(self.argument)
    }
}

impl Inner {
    /// When the caller of a statement that is sent now has given up, by the store's clock.
    pub(super) fn deadline(&self) -> Timestamp {
        if self.clock.is_time_of_day() {
            self.store_clock.store_time(self.clock.now()) + LIFECYCLE_TIME_LIMIT
        } else {
            Timestamp::MAX
        }
    }

    /// The limit by the store's clock: that of the server, or of a file that of its machine, which
    /// this node's clock shows.
    pub(super) fn activity_limit(&self) -> ActivityLimit {
        let skew = self.store_clock.max_skew();
        let (store_now, argument) = match self.database.now() {
            _ if !self.clock.is_time_of_day() => ("0", Timestamp::MAX),
            None => ("0", self.clock.now() + skew),
            Some(store_now) => (store_now, Timestamp::EPOCH + skew),
        };
        ActivityLimit { store_now, argument }
    }
}
