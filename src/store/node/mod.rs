//! A node of a store that several nodes share: what it knows of the store, how up to date that is, and
//! how it answers requests from it.

pub(super) mod activity;
mod change;
mod data_loss;
mod held_exchanges;
mod held_tombstones;
mod outage;
mod refresh;
mod store_clock;

use std::{
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use foldhash::fast::RandomState;
use tokio::sync::{Mutex, Notify};

pub(super) use self::{
    activity::{
        ACTIVITY_DELAY, GRACE, Known, Row, SharedStore, flush, get, keep_up_to_date, touch,
        touch_cached,
    },
    change::Change,
    data_loss::LossSign,
    held_exchanges::HeldExchange,
};
use self::{
    data_loss::DataLoss, held_exchanges::HeldExchanges, held_tombstones::HeldTombstones,
    outage::LastOutage, store_clock::StoreClock,
};
use super::{
    AccountPolicies, ClaimsChanges, Revocations, StoreOutage, StoredSession, Tombstone, Touch,
    TouchOutcome, node_cache::NodeCache, turns::Turns,
};
use crate::{
    clock::Clock,
    identity::StoreKey,
    maybe_ready::{REQUEST_TIME_LIMIT, StoreError},
    time::Timestamp,
};

/// A node whose last reading is older than this many intervals reads again before it answers.
pub(super) const STALE_AFTER: u32 = 3;

/// For how long before it starts a node assumes an outage: it may start because of one, and knows nothing
/// of what others have not written.
const UNKNOWN_BEFORE: Duration = Duration::from_secs(60);

/// How many sessions can be read at the same time without waiting for each other.
const SESSION_TURNS: usize = 1024;

/// What a node knows of the store that it shares with others.
pub(super) struct NodeState {
    pub(super) clock: Arc<dyn Clock>,
    /// How late the node may read the changes of others.
    pub(super) sync_interval: Duration,
    pub(super) revocations: Arc<Revocations>,
    pub(super) account_policies: Arc<AccountPolicies>,
    pub(super) claims_changes: Arc<ClaimsChanges>,
    pub(super) node_cache: NodeCache,
    pub(super) held_tombstones: HeldTombstones,
    pub(super) held_exchanges: HeldExchanges,
    data_loss: DataLoss,
    pub(super) last_outage: LastOutage,
    pub(super) store_clock: StoreClock,
    /// Told when another node has published changes.
    pushed: Arc<Notify>,
    /// The instant of the last successful reading of changes in milliseconds, plus one; zero before
    /// the first.
    synced_at: AtomicU64,
    /// The readings of changes that requests wait for, and those of sessions.
    pub(super) syncing: Turns,
    reading: Box<[Turns]>,
    /// Held while activities are written.
    writing: Mutex<()>,
    hasher: RandomState,
}

impl NodeState {
    pub(super) fn new(clock: Arc<dyn Clock>, sync_interval: Duration) -> Self {
        let now = clock.now();
        let last_outage = LastOutage::new(StoreOutage::new(now - UNKNOWN_BEFORE, now));
        Self {
            clock,
            sync_interval,
            revocations: Arc::default(),
            account_policies: Arc::default(),
            claims_changes: Arc::default(),
            node_cache: NodeCache::new(),
            held_tombstones: HeldTombstones::default(),
            held_exchanges: HeldExchanges::default(),
            data_loss: DataLoss::default(),
            last_outage,
            store_clock: StoreClock::default(),
            pushed: Arc::default(),
            synced_at: AtomicU64::new(0),
            syncing: Turns::default(),
            reading: std::iter::repeat_with(Turns::default).take(SESSION_TURNS).collect(),
            writing: Mutex::default(),
            hasher: RandomState::default(),
        }
    }

    /// Returns whether the last reading is recent. It is not if the clock has jumped since: nothing is
    /// answered by a clock that is not compared with the store's again.
    pub(super) fn is_up_to_date(&self) -> bool {
        let now = self.clock.now();
        let limit = self.sync_interval.saturating_mul(STALE_AFTER);
        self.synced_at().is_some_and(|at| at <= now && now <= at + limit)
    }

    /// The instant of the last successful reading of changes that counts.
    fn synced_at(&self) -> Option<Timestamp> {
        self.synced_at.load(Relaxed).checked_sub(1).map(Timestamp::from_millis)
    }

    /// A reading of changes that was begun at `begun` has succeeded, or failed. One that took longer than a
    /// request waits has failed for those.
    fn note_reading(&self, read_before: Option<Timestamp>, begun: Timestamp, has_succeeded: bool) {
        let now = self.clock.now();
        if !has_succeeded || begun + REQUEST_TIME_LIMIT <= now {
            self.last_outage.begin(read_before.unwrap_or(now), now);
        }
        if has_succeeded {
            self.last_outage.end(now);
        }
    }

    /// Lets the node read the changes of others now: a store that pushes has heard of some.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "a file pushes nothing"))]
    pub(super) fn sync_soon(&self) {
        self.pushed.notify_one();
    }

    /// The changes that the store had at `asked_at` are applied; they count if the clock of this node is
    /// right. `store_now` is the store's time, if it has a clock and the node's can be compared with
    /// it.
    ///
    /// # Errors
    /// If the clocks are further apart than the skew.
    pub(super) fn finish_sync(
        &self,
        asked_at: Timestamp,
        store_now: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        if let Some(store_now) = store_now {
            let compared = self.store_clock.compare(asked_at, store_now, self.clock.now());
            if compared.is_err() {
                // Nothing that was read before counts.
                self.synced_at.store(0, Relaxed);
                return compared;
            }
        }
        self.synced_at.store(asked_at.as_millis().saturating_add(1), Relaxed);
        Ok(())
    }

    /// Applies changes to what this node knows: those of other nodes as they are read, its own as
    /// soon as they are committed. Those of different calls may come in any order, and twice.
    pub(super) fn apply(&self, changes: &[Change]) {
        for change in changes {
            match *change {
                Change::Revoked { session, user, until } => {
                    self.held_tombstones.hold(session, user, until);
                    self.held_exchanges.remove(&session);
                    if !self.node_cache.end(session, until, self.clock.now()) {
                        // What a concurrent request has read before must not be cached.
                        self.node_cache.invalidate();
                    }
                    self.revocations.remove_exemption(&session);
                    self.revocations.recheck_session(&session);
                }
                Change::Exempt { session, at, until } => {
                    self.revocations.exempt(session, at, until);
                }
                Change::Cutoff { scope, cutoff } => self.revocations.add_cutoff(scope, cutoff),
                Change::TimeoutOverrides { account, overrides, version } => {
                    self.account_policies.raise_overrides(account, overrides, version);
                    self.revocations.recheck_account(&account);
                }
                Change::Folded { user, folded } => self.revocations.add_folded(user, folded),
                Change::TombstoneFolded { session } => {
                    self.held_tombstones.remove(&session);
                    self.node_cache.remove_tombstone(&session);
                }
                Change::Claims { scope, number, until } => {
                    self.claims_changes.raise(scope, number, until);
                }
            }
        }
    }

    /// Nothing that was read before counts.
    fn distrust(&self) {
        self.synced_at.store(0, Relaxed);
        self.node_cache.invalidate();
        self.revocations.recheck_all();
    }

    /// Holds tombstones that were published before this node started.
    pub(super) fn hold_past_endings(&self, endings: &[Change]) {
        for ending in endings {
            match *ending {
                Change::Revoked { session, user, until } => {
                    self.held_tombstones.hold(session, user, until);
                }
                Change::TombstoneFolded { session } => self.held_tombstones.remove(&session),
                _ => {}
            }
        }
    }

    /// Removes what is kept until `now` or less.
    fn remove_expired(&self, now: Timestamp) {
        self.revocations.remove_expired(now);
        self.claims_changes.remove_expired(now);
        self.held_tombstones.remove_expired(now);
        self.held_exchanges.remove_expired(now);
    }

    /// Applies everything that the store keeps: changes may have been missed.
    pub(super) fn apply_all(&self, changes: &[Change]) {
        self.node_cache.invalidate();
        self.apply(changes);
        // No tombstone is among them.
        self.revocations.recheck_all();
    }

    /// Whether a folded tombstone says the same.
    pub(super) fn is_folded(&self, tombstone: &Tombstone) -> bool {
        let Tombstone { session, user, epoch, until, .. } = tombstone;
        let (Some(user), Some(epoch)) = (user, epoch) else { return false };
        let folded = self.revocations.folded_with(session, *epoch, user);
        folded.is_some_and(|folded| *until <= folded.until)
    }

    /// The turns of concurrent requests of one session; a few other sessions share them.
    pub(super) fn turns_of(&self, session: &StoreKey) -> &Turns {
        let index = self.hasher.hash_one(session) % SESSION_TURNS as u64;
        #[expect(clippy::cast_possible_truncation, reason = "below SESSION_TURNS")]
        let index = index as usize;
        &self.reading[index]
    }
}

#[cfg(test)]
mod tests;
