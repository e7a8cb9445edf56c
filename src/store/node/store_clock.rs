//! The clock of the store, with which each reading of the change feed compares the node's own.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{maybe_ready::StoreError, time::Timestamp};

/// How far the clocks may be apart until the layers say otherwise: the default of a policy.
const DEFAULT_MAX_SKEW_MILLIS: u64 = 5000;

/// How far the store's clock is from this node's, as of the last reading.
///
/// A node whose clock is wrong signs active users out, keeps sessions past their deadlines and mints
/// tokens that other nodes refuse: it answers as in an outage until its clock is right.
pub(in crate::store) struct StoreClock {
    /// In milliseconds.
    max_skew: AtomicU64,
    /// What the store's clock shows more than this node's, in milliseconds.
    offset: AtomicI64,
    /// When this node's clock was compared last, by itself, in milliseconds.
    compared_at: AtomicU64,
    is_beyond_skew: AtomicBool,
}

impl Default for StoreClock {
    fn default() -> Self {
        Self {
            max_skew: AtomicU64::new(DEFAULT_MAX_SKEW_MILLIS),
            offset: AtomicI64::new(0),
            compared_at: AtomicU64::new(0),
            is_beyond_skew: AtomicBool::new(false),
        }
    }
}

impl StoreClock {
    pub(in crate::store) fn set_max_skew(&self, skew: Duration) {
        self.max_skew.store((Timestamp::EPOCH + skew).as_millis(), Relaxed);
    }

    pub(in crate::store) fn max_skew(&self) -> Duration {
        Duration::from_millis(self.max_skew.load(Relaxed))
    }

    /// Compares the clocks: the store's showed `store` at some time between `asked` and
    /// `answered` of this node.
    ///
    /// # Errors
    /// If they are further apart than the skew, however long the question and the answer took.
    pub(in crate::store) fn compare(
        &self,
        asked: Timestamp,
        store: Timestamp,
        answered: Timestamp,
    ) -> Result<(), StoreError> {
        let (ahead, behind) = (asked.since(store), store.since(answered));
        let is_beyond_skew = ahead.max(behind) > self.max_skew();
        let millis = |at: Timestamp| i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        let offset = millis(store).saturating_sub(millis(answered));
        self.offset.store(offset, Relaxed);
        self.compared_at.store(answered.as_millis(), Relaxed);
        self.is_beyond_skew.store(is_beyond_skew, Relaxed);
        if !is_beyond_skew {
            return Ok(());
        }
        let (secs, direction) =
            (offset.unsigned_abs() / 1000, if offset < 0 { "ahead of" } else { "behind" });
        Err(StoreError::new(format!(
            "the clock of this node is {secs} s {direction} the store's, more than \
             `max_clock_skew`: set it by NTP"
        )))
    }

    /// `now`, or the time of the store if this node's clock was wrong at the last reading, or was set back
    /// since.
    pub(in crate::store) fn correct_time(&self, now: Timestamp) -> Timestamp {
        let compared_at = Timestamp::from_millis(self.compared_at.load(Relaxed));
        if now + self.max_skew() < compared_at {
            return self.store_time(compared_at);
        }
        if self.is_beyond_skew.load(Relaxed) { self.store_time(now) } else { now }
    }

    /// The time of the store when this node's clock shows `now`.
    pub(in crate::store) fn store_time(&self, now: Timestamp) -> Timestamp {
        let offset = self.offset.load(Relaxed);
        let by = Duration::from_millis(offset.unsigned_abs());
        if offset < 0 { now - by } else { now + by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + millis)
    }

    #[test]
    fn p12_clocks_may_be_apart_by_the_skew_and_the_time_of_the_answer() {
        for (skew, asked, store, answered, is_accepted) in [
            (0, 10, 10, 10, true),
            (0, 10, 15, 20, true),
            (0, 10, 9, 20, false),
            (0, 10, 21, 20, false),
            (5000, 10_000, 5000, 10_100, true),
            (5000, 10_000, 4999, 10_100, false),
            (5000, 10_000, 15_100, 10_100, true),
            (5000, 10_000, 15_101, 10_100, false),
        ] {
            let clock = StoreClock::default();
            clock.set_max_skew(Duration::from_millis(skew));
            let compared = clock.compare(at(asked), at(store), at(answered));
            assert_eq!(compared.is_ok(), is_accepted, "{asked} {store} {answered}");
            let is_corrected = clock.correct_time(at(answered)) != at(answered);
            assert_eq!(is_corrected, !is_accepted, "{asked} {store} {answered}");
        }
    }

    #[test]
    fn a_node_learns_the_time_of_the_store() {
        let clock = StoreClock::default();
        assert_eq!(clock.store_time(at(7)), at(7), "before the first reading");
        clock.compare(at(1000), at(400), at(1000)).expect("within 5 s");
        assert_eq!(clock.store_time(at(2000)), at(1400));
        clock.compare(at(1000), at(3000), at(1000)).expect("within 5 s");
        assert_eq!(clock.store_time(at(2000)), at(4000));
    }

    #[test]
    fn p33_a_clock_that_is_set_back_by_more_than_the_skew_is_wrong_at_once() {
        let clock = StoreClock::default();
        clock.compare(at(90_000), at(91_000), at(90_000)).expect("within 5 s");
        for (now, corrected) in [(84_999, 91_000), (85_000, 85_000), (95_000, 95_000)] {
            assert_eq!(clock.correct_time(at(now)), at(corrected), "{now}");
        }
        clock.compare(at(84_999), at(85_000), at(84_999)).expect("within 5 s");
        assert_eq!(clock.correct_time(at(84_999)), at(84_999), "the last reading counts");
    }

    fn reason(error: &StoreError) -> String {
        std::error::Error::source(error).expect("a reason").to_string()
    }

    #[test]
    fn the_error_says_how_far_which_clock_is() {
        let clock = StoreClock::default();
        let error = clock.compare(at(900_000), at(0), at(900_000)).expect_err("too far");
        assert!(reason(&error).contains("900 s ahead of the store's"), "{error:?}");
        let error = clock.compare(at(0), at(60_000), at(0)).expect_err("too far");
        assert!(reason(&error).contains("60 s behind the store's"), "{error:?}");
        clock.compare(at(0), at(0), at(0)).expect("equal");
        assert_eq!(clock.correct_time(at(7)), at(7), "the last reading counts");
    }
}
