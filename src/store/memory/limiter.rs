//! The memory limiter: limits renewals within one process.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::{
    identity::StoreKey,
    maybe_ready::MaybeReady,
    store::{RenewalDecision, RenewalLimiter, RenewalRequest, table::Table},
    time::Timestamp,
};

/// Limits renewals within this process. The default limiter.
///
/// It has a bounded number of entries, one per session and one per user, of 30 to 60 bytes each, at
/// most 120 after many have come and gone. Entries that block nothing any more are removed in small
/// steps; an entry that blocks is never evicted: when all do, the limiter is full. A restart forgets
/// every grant.
///
/// An entry blocks until its instant; if the clock was set back since, it blocks only if the rest
/// is at most twice the longest interval that was ever requested, since no grant blocks longer. A
/// clock that is set back thus delays renewals by two intervals at most, and a request whose `now`
/// is a moment before the grant that it lost to is still denied.
pub struct MemoryLimiter {
    /// Until when each session and user is blocked, in milliseconds.
    table: Table<AtomicU64>,
    /// The longest interval requested so far, in milliseconds.
    longest_interval: AtomicU64,
}

/// An entry that never blocked.
const UNBLOCKED: u64 = 0;

impl MemoryLimiter {
    /// The default capacity: 1,048,576 entries.
    pub const DEFAULT_CAPACITY: usize = 1 << 20;

    /// Creates a limiter of [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY).
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }

    /// Creates a limiter with at most `max_entries`. A grant takes two, so it needs twice the number
    /// of renewals in one interval.
    #[must_use]
    pub fn with_capacity(max_entries: usize) -> Self {
        Self { table: Table::new(max_entries), longest_interval: AtomicU64::new(0) }
    }

    fn acquire_now(&self, request: RenewalRequest) -> RenewalDecision {
        let interval = request.min_interval.max(request.session_interval);
        let interval = (Timestamp::EPOCH + interval).as_millis();
        if interval > self.longest_interval.load(Relaxed) {
            self.longest_interval.fetch_max(interval, Relaxed);
        }
        let session = Block::of_session(request);
        let before = match self.block(session, request.now) {
            Ok(before) => before,
            Err(decision) => return decision,
        };
        let user = Block::of_user(request).map(|user| self.block(user, request.now));
        if let Some(Err(decision)) = user {
            self.replace(session, before);
            return decision;
        }
        RenewalDecision::Granted
    }

    /// Blocks a key. Returns until when it was blocked before, or why it cannot be blocked.
    fn block(&self, block: Block, now: Timestamp) -> Result<u64, RenewalDecision> {
        let try_block = |limiter: &AtomicU64| {
            let blocked = |until| self.is_unblocked(until, now).then_some(block.until);
            limiter.fetch_update(Relaxed, Relaxed, blocked).map_err(|_| RenewalDecision::Denied)
        };
        if let Some(before) = self.table.get(&block.key, try_block) {
            return before;
        }
        let is_unblocked = |limiter: &AtomicU64| self.is_unblocked(limiter.load(Relaxed), now);
        self.table.sweep_next(is_unblocked);
        let room = self.table.room();
        let room = room.or_else(|| self.table.room_of_expired(&block.key, is_unblocked));
        let limiter = AtomicU64::new(block.until);
        self.table
            .insert(room.ok_or(RenewalDecision::Full)?, block.key, limiter, try_block)
            .unwrap_or(Ok(UNBLOCKED))
    }

    fn is_unblocked(&self, until: u64, now: Timestamp) -> bool {
        let rest = until.saturating_sub(now.as_millis());
        rest == 0 || rest > self.longest_interval.load(Relaxed).saturating_mul(2)
    }

    /// Blocks the key of `block` until `until` instead, if that block still holds.
    fn replace(&self, block: Block, until: u64) {
        let _ = self.table.get(&block.key, |limiter| {
            limiter.compare_exchange(block.until, until, Relaxed, Relaxed).is_ok()
        });
    }
}

/// What a grant blocks, and until when, in milliseconds.
#[derive(Clone, Copy)]
struct Block {
    key: StoreKey,
    until: u64,
}

impl Block {
    fn of_session(request: RenewalRequest) -> Self {
        let until = (request.now + request.session_interval).as_millis();
        Self { key: request.session, until }
    }

    fn of_user(request: RenewalRequest) -> Option<Self> {
        let until = (request.now + request.min_interval).as_millis();
        request.limits_user.then_some(Self { key: request.user, until })
    }
}

impl Default for MemoryLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLimiter")
            .field("len", &self.table.len())
            .field("capacity", &self.table.capacity())
            .finish_non_exhaustive()
    }
}

impl RenewalLimiter for MemoryLimiter {
    fn acquire(&self, request: RenewalRequest) -> MaybeReady<RenewalDecision> {
        MaybeReady::ready(Ok(self.acquire_now(request)))
    }

    fn release(&self, request: RenewalRequest, until: Timestamp) -> MaybeReady<()> {
        for block in std::iter::once(Block::of_session(request)).chain(Block::of_user(request)) {
            self.replace(block, until.as_millis().min(block.until));
        }
        MaybeReady::ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
