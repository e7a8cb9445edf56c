//! What the store may have lost of the activity of sessions.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{rules, store::StoredSession, time::Timestamp};

/// Which activity the store may have lost: what came after the last activity that it knows of a session,
/// if that lies before a loss of data.
///
/// Each judgement of a session's idle timeout on this node asks here, so that no loss signs an active user
/// out: a touch, a reading and a refresh.
#[derive(Default)]
pub(in crate::store) struct LostActivity {
    /// When a loss was found, in milliseconds; zero before the first.
    found_at: AtomicU64,
    /// Until when other nodes may have written what is lost: they find the loss later.
    until: AtomicU64,
}

impl LostActivity {
    /// The store has lost data, as was found at `found_at`; what came after `until` is not lost.
    pub(in crate::store) fn add(&self, found_at: Timestamp, until: Timestamp) {
        self.until.fetch_max(until.as_millis(), Relaxed);
        self.found_at.fetch_max(found_at.as_millis(), Relaxed);
    }

    /// Until when the store may have lost later activity of a session of which it knows `last_seen`; `None`
    /// if it has lost none.
    #[inline]
    fn until(&self, last_seen: Timestamp) -> Option<Timestamp> {
        let is_doubted = last_seen.as_millis() < self.found_at.load(Relaxed);
        is_doubted.then(|| Timestamp::from_millis(self.until.load(Relaxed)))
    }

    /// The last activity of a session of which the store knows `last_seen`, where `unknown_activity` is that
    /// of an unknown session.
    #[inline]
    pub(in crate::store) fn last_activity(
        &self,
        last_seen: Timestamp,
        unknown_activity: Timestamp,
    ) -> Timestamp {
        self.until(last_seen).map_or(last_seen, |until| {
            rules::activity_before_loss(last_seen, unknown_activity, until)
        })
    }

    /// What the store knows of a session by `last_seen`.
    pub(in crate::store) fn stored(&self, last_seen: Timestamp) -> StoredSession {
        self.until(last_seen).map_or(StoredSession::Active(last_seen), |lost_until| {
            StoredSession::ActivityLost { last_seen, lost_until }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn p33_activity_may_be_lost_until_the_loss_and_no_longer() {
        let lost = LostActivity::default();
        assert_eq!(lost.last_activity(at(10), at(50)), at(10), "nothing is lost");
        lost.add(at(20), at(23));
        lost.add(at(15), at(18));
        for (last_seen, unknown_activity, expected) in
            [(19, 22, 22), (19, 50, 23), (19, 5, 19), (20, 50, 20), (30, 50, 30)]
        {
            let found = lost.last_activity(at(last_seen), at(unknown_activity));
            assert_eq!(found, at(expected), "{last_seen} {unknown_activity}");
        }
        let left = StoredSession::ActivityLost { last_seen: at(19), lost_until: at(23) };
        assert_eq!(lost.stored(at(19)), left);
        assert_eq!(lost.stored(at(20)), StoredSession::Active(at(20)));
    }
}
