//! What a node does when the store has lost data: it writes back what it holds, and trusts nothing that it
//! has read before.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{Change, NodeState, STALE_AFTER};
use crate::{jitter::jitter, maybe_ready::StoreError, store::RevocationCutoff, time::Timestamp};

/// How many sync intervals refreshes fail after a loss: as long as other nodes may take to write back.
const REFRESHES_WAIT: u32 = 2;

/// The longest pause before a node writes back: of many nodes the first writes most.
const JITTER: Duration = Duration::from_millis(20);

/// What says that the store has lost data, the surest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) enum LossSign {
    /// Another node has said so.
    Announced,
    /// The server was started anew or replaced, or has evicted keys: only what is missing tells.
    Suspected,
    /// It has another id, or a position before the one that this node has read.
    Certain,
}

/// The losses of data that this node knows of.
#[derive(Default)]
pub(in crate::store) struct DataLoss {
    /// What is not dealt with yet, and how often something was noted.
    sign: Mutex<(Option<LossSign>, u64)>,
    /// When the last loss was found, in milliseconds; zero before the first.
    found_at: AtomicU64,
    /// When a loss was suspected last of which nothing was missing that a node holds; as above.
    suspected_at: AtomicU64,
    /// Until when refreshes fail, in milliseconds.
    refreshes_fail_until: AtomicU64,
}

impl DataLoss {
    fn lock(&self) -> MutexGuard<'_, (Option<LossSign>, u64)> {
        self.sign.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NodeState {
    /// Notes that the store may have lost data, until [`end_loss`](Self::end_loss).
    pub(in crate::store) fn note_loss(&self, sign: LossSign) {
        let mut noted = self.data_loss.lock();
        *noted = (noted.0.max(Some(sign)), noted.1 + 1);
    }

    /// What says that the store has lost data, and is not dealt with yet.
    pub(in crate::store) fn loss_sign(&self) -> Option<LossSign> {
        self.data_loss.lock().0
    }

    /// This node has written back what it holds. Whatever it has read meanwhile may lack what others write
    /// back.
    pub(in crate::store) fn end_loss(&self) {
        let sign = self.data_loss.lock().0.take();
        if sign.is_some() {
            self.node_cache.invalidate();
            self.held_exchanges.compare_all();
        }
    }

    /// Identifies a suspicion that is not dealt with yet.
    #[cfg(feature = "redis")]
    pub(in crate::store) fn suspicion(&self) -> Option<u64> {
        let (sign, count) = *self.data_loss.lock();
        (sign == Some(LossSign::Suspected)).then_some(count)
    }

    /// This node has compared what it holds with the store, unless there is another sign since.
    #[cfg(feature = "redis")]
    pub(in crate::store) fn end_suspicion(&self, suspicion: u64) {
        let mut noted = self.data_loss.lock();
        if *noted == (Some(LossSign::Suspected), suspicion) {
            noted.0 = None;
            drop(noted);
            self.node_cache.invalidate();
        }
    }

    /// Of many nodes that find a loss the first writes most.
    pub(in crate::store) async fn wait_for_turn(&self) {
        tokio::time::sleep(jitter(JITTER)).await;
    }

    /// The store has lost data, as was found at `at`: nothing that was read of it before counts, and what
    /// it says of the activity until then is a lower bound. Refreshes fail until other nodes have written
    /// back what they hold: a token that was exchanged before could be exchanged again.
    pub(in crate::store) fn begin_loss(&self, at: Timestamp) {
        let DataLoss { found_at, refreshes_fail_until, .. } = &self.data_loss;
        found_at.fetch_max(at.as_millis(), Relaxed);
        let until = self.clock.now() + self.sync_interval.saturating_mul(REFRESHES_WAIT);
        refreshes_fail_until.store(until.as_millis(), Relaxed);
        self.distrust();
        self.lose_activity(at);
    }

    /// The store may have lost activity, as was found at `at`. What other nodes have written since is lost as
    /// well, until they find it, too: with the clock of each.
    pub(in crate::store) fn lose_activity(&self, at: Timestamp) {
        let others = self.sync_interval.saturating_mul(STALE_AFTER);
        let until = at + others + self.store_clock.max_skew();
        self.node_cache.lost_activity().add(at, until);
    }

    /// Fails for a while after a loss of data, and while this node compares what it holds with the store.
    pub(in crate::store) fn check_refresh(&self) -> Result<(), StoreError> {
        let until = self.data_loss.refreshes_fail_until.load(Relaxed);
        let now = self.clock.now();
        let longest = self.sync_interval.saturating_mul(REFRESHES_WAIT);
        let until = Timestamp::from_millis(until);
        // A clock that was set back makes no wait longer.
        let waits = now < until && until <= now + longest;
        if waits || self.loss_sign().is_some() {
            return Err(StoreError::new(
                "the session store has lost data; refreshes wait until every node has written back \
                 what it holds",
            ));
        }
        Ok(())
    }

    /// Another node has found a loss at `at`, unless this one knows of it.
    pub(in crate::store) fn hear_of_loss(&self, at: Timestamp) {
        if !self.is_known_loss(at) {
            self.begin_loss(at);
            self.note_loss(LossSign::Announced);
        }
    }

    /// Whether a loss that was found at `at` is long past at `now`. If so, what the store says of the
    /// activity until then is a lower bound.
    pub(in crate::store) fn is_past_loss(&self, at: Timestamp, now: Timestamp) -> bool {
        let is_past = at + self.sync_interval.saturating_mul(REFRESHES_WAIT) <= now;
        if is_past {
            self.data_loss.found_at.fetch_max(at.as_millis(), Relaxed);
            self.lose_activity(at);
        }
        is_past
    }

    /// Whether a loss that was found at `at` is the one that this node knows: all nodes find it at about
    /// the same time.
    pub(in crate::store) fn is_known_loss(&self, at: Timestamp) -> bool {
        let found_at = self.data_loss.found_at.load(Relaxed);
        let span = self.sync_interval.saturating_mul(REFRESHES_WAIT);
        found_at > 0 && at <= Timestamp::from_millis(found_at) + span
    }

    /// The store may have lost data until `at` that no node holds: records of sessions, and activity. This node
    /// found it, or it started later.
    pub(in crate::store) fn suspect_loss(&self, at: Timestamp) {
        self.data_loss.suspected_at.fetch_max(at.as_millis(), Relaxed);
        self.lose_activity(at);
    }

    /// The last epoch of a session whose record may be lost; zero if none is. Every active session that
    /// began later has one: the clock of its node was ahead by the skew at most, and so was the cutoff that
    /// it had to be later than.
    pub(in crate::store) fn latest_lost_epoch(&self) -> Timestamp {
        let DataLoss { found_at, suspected_at, .. } = &self.data_loss;
        match found_at.load(Relaxed).max(suspected_at.load(Relaxed)) {
            0 => Timestamp::EPOCH,
            at => Timestamp::from_millis(at) + self.store_clock.max_skew().saturating_mul(2),
        }
    }

    /// Returns what this node holds, in an order in which it can be applied: no cutoff before the exemption
    /// of a session.
    pub(in crate::store) fn held_changes(&self) -> Vec<Change> {
        let exemptions = self.revocations.all_exemptions().into_iter();
        let exempt =
            |(session, RevocationCutoff { at, until })| Change::Exempt { session, at, until };
        let mut changes: Vec<_> = exemptions.map(exempt).collect();
        let cutoffs = self.revocations.all_cutoffs().into_iter();
        changes.extend(cutoffs.map(|(scope, cutoff)| Change::Cutoff { scope, cutoff }));
        let folded = self.revocations.all_folded().into_iter();
        changes.extend(folded.map(|(user, folded)| Change::Folded { user, folded }));
        let numbers = self.claims_changes.all_numbers().into_iter();
        changes.extend(numbers.map(|(scope, number, until)| Change::Claims {
            scope,
            number,
            until,
        }));
        for (account, overrides, version) in self.account_policies.all_versions() {
            changes.push(Change::TimeoutOverrides { account, overrides, version });
        }
        changes.extend(self.held_tombstones.changes());
        changes
    }
}

#[cfg(test)]
mod tests;
