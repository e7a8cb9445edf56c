//! The entry of a session in a table: its last activity, or its tombstone, in one word.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::{Touch, TouchOutcome};
use crate::time::Timestamp;

/// The bit that makes a word a tombstone. The instant beside it has 63 bits.
const TOMBSTONE: u64 = 1 << 63;

/// The last activity of a session; or, with [`TOMBSTONE`], until when its tombstone is kept. In
/// milliseconds.
///
/// One atomic word holds both, so that no touch can follow a tombstone, whatever locks are held.
pub(super) struct SessionWord(AtomicU64);

impl SessionWord {
    #[inline]
    pub(super) fn active(last_seen: Timestamp) -> Self {
        Self(AtomicU64::new(instant(last_seen)))
    }

    pub(super) fn tombstone(until: Timestamp) -> Self {
        Self(AtomicU64::new(tombstone(until)))
    }

    /// Checks the session and records an activity, as [`SessionStore::touch`] does.
    ///
    /// [`SessionStore::touch`]: super::SessionStore::touch
    #[inline]
    pub(super) fn touch(&self, touch: Touch) -> TouchOutcome {
        let mut word = self.0.load(Relaxed);
        loop {
            if word & TOMBSTONE != 0 {
                return TouchOutcome::Ended;
            }
            let last_seen = Timestamp::from_millis(word);
            let last_activity = last_seen.max(touch.token_activity);
            if is_idle(last_activity, touch) {
                return TouchOutcome::Idle(last_activity);
            }
            let later = instant(touch.now).max(word);
            if later != word
                && let Err(newer) = self.0.compare_exchange_weak(word, later, Relaxed, Relaxed)
            {
                word = newer;
                continue;
            }
            return TouchOutcome::Active(Some(last_seen));
        }
    }

    /// Moves the last activity forward. Returns `false` if the word is a tombstone.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
    pub(super) fn raise(&self, to: Timestamp) -> bool {
        let mut word = self.0.load(Relaxed);
        while word & TOMBSTONE == 0 && word < instant(to) {
            match self.0.compare_exchange_weak(word, instant(to), Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(newer) => word = newer,
            }
        }
        word & TOMBSTONE == 0
    }

    /// Makes the word a tombstone.
    pub(super) fn end(&self, until: Timestamp) {
        // As a number a tombstone is greater than an activity, and one that is kept longer is
        // greater than another.
        self.0.fetch_max(tombstone(until), Relaxed);
    }

    /// Returns the last activity in milliseconds, or `None` for a tombstone.
    #[inline]
    pub(super) fn last_seen(&self) -> Option<u64> {
        let word = self.0.load(Relaxed);
        (word & TOMBSTONE == 0).then_some(word)
    }

    /// Returns until when the tombstone is kept; `None` for an activity.
    pub(super) fn tombstone_until(&self) -> Option<Timestamp> {
        let word = self.0.load(Relaxed);
        (word & TOMBSTONE != 0).then(|| Timestamp::from_millis(word & !TOMBSTONE))
    }

    /// Returns whether the store may remove the entry of a session with the timeout `idle`. Its
    /// token makes a session active past its idle deadline only if it was minted since.
    pub(super) fn is_expired(&self, now: Timestamp, idle: impl FnOnce() -> Duration) -> bool {
        let word = self.0.load(Relaxed);
        let at = Timestamp::from_millis(word & !TOMBSTONE);
        if word & TOMBSTONE != 0 { now >= at } else { now >= at + idle() }
    }
}

/// Returns whether the idle timeout has passed since `last_activity`.
#[inline]
pub(super) fn is_idle(last_activity: Timestamp, touch: Touch) -> bool {
    touch.now >= last_activity + touch.idle
}

fn tombstone(until: Timestamp) -> u64 {
    TOMBSTONE + instant(until)
}

fn instant(at: Timestamp) -> u64 {
    at.as_millis().min(TOMBSTONE - 1)
}
