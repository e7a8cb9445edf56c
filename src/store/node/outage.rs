//! When this node could not read the store last.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::{
    store::{SETTLING, StoreOutage},
    time::Timestamp,
};

/// The last outage. Two between which activities could not settle are one.
pub(in crate::store) struct LastOutage {
    /// In milliseconds.
    from: AtomicU64,
    until: AtomicU64,
    goes_on: AtomicBool,
}

impl LastOutage {
    pub(super) fn new(outage: StoreOutage) -> Self {
        Self {
            from: AtomicU64::new(outage.from.as_millis()),
            until: AtomicU64::new(outage.until.as_millis()),
            goes_on: AtomicBool::new(false),
        }
    }

    /// A reading has failed; the last one before it that succeeded was at `read_at`.
    pub(super) fn begin(&self, read_at: Timestamp, now: Timestamp) {
        if !self.goes_on.swap(true, Relaxed) {
            let settled_at = Timestamp::from_millis(self.until.load(Relaxed)) + SETTLING;
            if settled_at <= read_at {
                self.from.store(read_at.as_millis(), Relaxed);
            }
        }
        self.until.store(now.as_millis(), Relaxed);
    }

    /// A reading has succeeded.
    pub(super) fn end(&self, now: Timestamp) {
        if self.goes_on.load(Relaxed) && self.goes_on.swap(false, Relaxed) {
            self.until.store(now.as_millis(), Relaxed);
        }
    }

    pub(in crate::store) fn get(&self, now: Timestamp) -> StoreOutage {
        let [from, until] =
            [&self.from, &self.until].map(|millis| Timestamp::from_millis(millis.load(Relaxed)));
        StoreOutage::new(from, if self.goes_on.load(Relaxed) { now.max(until) } else { until })
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        clock::{Clock as _, ManualClock},
        store::node::NodeState,
    };

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn p23_an_outage_lasts_from_the_reading_before_it_to_the_one_after_it() {
        let outage = |from, until| StoreOutage::new(at(from), at(until));
        let last = LastOutage::new(outage(20, 80));
        last.end(at(90));
        assert_eq!(last.get(at(99)), outage(20, 80));
        last.begin(at(100), at(101));
        last.begin(at(100), at(102));
        assert_eq!(last.get(at(105)), outage(100, 105), "it goes on");
        last.end(at(110));
        last.end(at(111));
        assert_eq!(last.get(at(115)), outage(100, 110));
        last.begin(at(119), at(121));
        last.end(at(130));
        assert_eq!(last.get(at(131)), outage(100, 130), "activities of the first had not settled");
        last.begin(at(140), at(141));
        last.end(at(142));
        assert_eq!(last.get(at(150)), outage(140, 142));
    }
    #[test]
    fn p39_a_reading_that_is_later_than_a_request_waits_is_an_outage() {
        let clock = ManualClock::new(at(1000));
        let node = NodeState::new(Arc::new(clock.clone()), Duration::from_secs(1));
        let read = |from, for_millis| {
            clock.set(at(from) + Duration::from_millis(for_millis));
            node.note_reading(Some(at(from - 1)), at(from), true);
            node.last_outage.get(clock.now())
        };
        let before = node.last_outage.get(clock.now());
        assert_eq!(read(1100, 249), before);
        let late = StoreOutage::new(at(1199), at(1200) + Duration::from_millis(250));
        assert_eq!(read(1200, 250), late);
        assert_eq!(read(1201, 0), late);
    }
}
