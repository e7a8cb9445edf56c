//! The cache of verified tokens.

use std::{
    fmt,
    hash::BuildHasher,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use constant_time_eq::constant_time_eq;
use foldhash::quality::RandomState;

use super::verified::VerifiedToken;
use crate::time::Timestamp;

/// How many tokens one lock protects.
const WAYS: usize = 8;

/// The most bytes of the tokens of one lock: eight of 2 KiB, claims included. A token that takes
/// more is not cached.
const BYTES_A_SET: usize = 16 * 1024;

/// The most tokens of a cache.
const MOST: usize = 1 << 24;

/// How many bytes at the end of a token are hashed: 96 bits of the signature of any algorithm.
const HASHED: usize = 16;

/// Caches verified tokens, so that a token is verified once and not at every request.
///
/// It holds valid tokens and their claims in memory until they expire, others displace them, or
/// the cache is [cleared](super::TokenVerifier::clear_cache). After a change of the key set no
/// token that was verified before it is found (P30). An invalid token never enters. The cache is
/// bounded in entries and in bytes (P15): a client with very many valid tokens displaces others,
/// which are then verified again. A [`Session`](crate::Session) keeps its own token alive.
///
/// Only the result of checking the signature, `iss`, `aud` and the form of the claims is cached.
/// Times, revocation and activity are checked at each request.
///
/// A token is found by a hash of the last bytes of its signature with random seeds, and then
/// compared as a whole in constant time.
pub(super) struct TokenCache {
    sets: Box<[RwLock<Set>]>,
    hasher: RandomState,
    /// Counts insertions: decides when to remove expired tokens, and from which set.
    turn: AtomicUsize,
}

/// The place of a token that was not found, for once it is verified.
#[derive(Clone, Copy)]
pub(super) struct Vacancy {
    hash: u64,
    /// The state of the keys *before* the token was verified: if a key is removed meanwhile, the
    /// entry is never found (P30).
    generation: u64,
}

/// A verified token.
struct Entry {
    place: Vacancy,
    verified: Arc<VerifiedToken>,
    /// A copy: reading it of eight entries does not load eight tokens.
    exp: Timestamp,
    bytes: usize,
}

#[derive(Default)]
struct Set {
    entries: Vec<Entry>,
    /// The entry to displace next.
    hand: usize,
}

impl TokenCache {
    /// A cache of about `tokens` tokens, at most [`MOST`], of 2 KiB each on average. It allocates
    /// its locks here, and memory for tokens as they are inserted.
    pub(super) fn new(tokens: usize) -> Self {
        let sets = tokens.min(MOST).div_ceil(WAYS).next_power_of_two();
        Self {
            sets: (0..sets).map(|_| RwLock::default()).collect(),
            hasher: RandomState::default(),
            turn: AtomicUsize::new(0),
        }
    }

    /// Returns `token` as verified with the keys of `refresh_gen`, or else the place to insert it.
    pub(super) fn find(
        &self,
        token: &[u8],
        generation: u64,
    ) -> Result<Arc<VerifiedToken>, Vacancy> {
        // The signature depends on every byte of the token, and only valid tokens are cached.
        let end = token.last_chunk::<HASHED>().copied().unwrap_or_default();
        let hash = self.hasher.hash_one(u128::from_ne_bytes(end));
        let set = self.set(hash).read().unwrap_or_else(PoisonError::into_inner);
        let found = set.entries.iter().find(|entry| {
            entry.place.hash == hash
                && entry.place.generation == generation
                && constant_time_eq(entry.verified.presented(), token)
        });
        found.map(|entry| Arc::clone(&entry.verified)).ok_or(Vacancy { hash, generation })
    }

    /// Inserts a verified token.
    pub(super) fn insert(&self, place: Vacancy, verified: &Arc<VerifiedToken>, now: Timestamp) {
        let entry = Entry::new(place, verified);
        self.set(place.hash).write().unwrap_or_else(PoisonError::into_inner).insert(entry, now);
        // Removes expired tokens from sets that receive no other: one set every `WAYS` insertions.
        let turn = self.turn.fetch_add(1, Relaxed);
        if turn.is_multiple_of(WAYS) {
            let next = &self.sets[(turn / WAYS) & (self.sets.len() - 1)];
            if let Ok(mut set) = next.try_write() {
                set.entries.retain(|entry| now < entry.exp);
            }
        }
    }

    /// Removes all tokens.
    pub(super) fn clear(&self) {
        for set in &self.sets {
            set.write().unwrap_or_else(PoisonError::into_inner).entries.clear();
        }
    }

    fn set(&self, hash: u64) -> &RwLock<Set> {
        let high = usize::try_from(hash >> 32).unwrap_or_default();
        &self.sets[high & (self.sets.len() - 1)]
    }
}

impl Set {
    fn insert(&mut self, entry: Entry, now: Timestamp) {
        let Some(room) = BYTES_A_SET.checked_sub(entry.bytes) else { return };
        let is_useless = |other: &Entry| {
            let is_outdated = other.place.generation < entry.place.generation;
            let same = other.place.hash == entry.place.hash
                && other.verified.presented() == entry.verified.presented();
            now >= other.exp || is_outdated || same
        };
        if self.entries.iter().any(is_useless) {
            self.entries.retain(|other| !is_useless(other));
        }
        self.hand = self.hand.min(self.entries.len()) % WAYS;
        if self.entries.len() == WAYS && self.bytes() - self.entries[self.hand].bytes <= room {
            self.entries[self.hand] = entry;
        } else {
            while self.entries.len() == WAYS || self.bytes() > room {
                self.hand %= self.entries.len();
                self.entries.remove(self.hand);
            }
            self.hand = self.hand.min(self.entries.len());
            self.entries.insert(self.hand, entry);
        }
        self.hand += 1;
    }

    fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.bytes).sum()
    }
}

impl Entry {
    fn new(place: Vacancy, verified: &Arc<VerifiedToken>) -> Self {
        Self {
            place,
            verified: Arc::clone(verified),
            exp: verified.claims().exp,
            bytes: size_of::<Self>() + verified.bytes(),
        }
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("capacity", &(self.sets.len() * WAYS))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
