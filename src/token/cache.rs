//! Tokens whose verification is remembered.

use std::{
    fmt,
    hash::BuildHasher,
    hint::black_box,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use foldhash::quality::RandomState;

use super::verified::VerifiedToken;
use crate::time::Timestamp;

/// How many tokens share a lock.
const WAYS: usize = 8;

/// How many bytes the tokens of one lock take at most: room for eight of two kilobytes, claims
/// included. A token that takes more is not remembered.
const BYTES_A_SET: usize = 16 * 1024;

/// The most tokens that are remembered.
const MOST: usize = 1 << 24;

/// How many bytes at the end of a token are hashed: 96 bits of the signature of any algorithm.
const HASHED: usize = 16;

/// Remembers verified tokens, so that a token is verified once and not at every request.
///
/// It holds tokens that were good, and their claims, in memory: until they expire, are displaced
/// by others, or are [cleared](super::TokenVerifier::clear_cache). After any change of the key set
/// none of the tokens from before is a hit. A token that was refused never enters, and of tokens
/// that are good it holds no more than its capacity, in entries and in bytes: a client with very
/// many of them displaces others, which are then verified again. A [`Session`](crate::Session)
/// that is kept keeps its token beyond that.
///
/// Only the signature, `iss`, `aud` and the form of the claims are remembered. Times, revocation
/// and activity are judged at each request.
///
/// Tokens are found by a hash of their signature's last bytes with random seeds, and then compared
/// whole, in constant time.
pub(super) struct TokenCache {
    sets: Box<[RwLock<Set>]>,
    hasher: RandomState,
    /// Counts insertions: which set is next rid of expired tokens, and when.
    turn: AtomicUsize,
}

/// Where a token that was not found may go once it is verified.
#[derive(Clone, Copy)]
pub(super) struct Vacancy {
    hash: u64,
    /// The state of the keys *before* the token was verified: a key that was removed meanwhile
    /// makes it a miss (P30).
    generation: u64,
}

/// A verified token.
struct Entry {
    place: Vacancy,
    verified: Arc<VerifiedToken>,
    /// Copied here, so that a look at eight entries does not fetch eight tokens.
    exp: Timestamp,
    bytes: usize,
}

#[derive(Default)]
struct Set {
    entries: Vec<Entry>,
    /// The entry that goes next.
    hand: usize,
}

impl TokenCache {
    /// A cache of about `tokens` tokens, in at most 2 KiB each on average, and of no more than
    /// [`MOST`]. Its locks are allocated here, the rest as tokens come.
    pub(super) fn new(tokens: usize) -> Self {
        let sets = tokens.min(MOST).div_ceil(WAYS).next_power_of_two();
        Self {
            sets: (0..sets).map(|_| RwLock::default()).collect(),
            hasher: RandomState::default(),
            turn: AtomicUsize::new(0),
        }
    }

    /// The verification of `token` with the keys as they are in `generation`, or its place.
    pub(super) fn find(
        &self,
        token: &[u8],
        generation: u64,
    ) -> Result<Arc<VerifiedToken>, Vacancy> {
        // Whatever the token says is in its signature, too, and only good tokens are kept.
        let end = token.last_chunk::<HASHED>().copied().unwrap_or_default();
        let hash = self.hasher.hash_one(u128::from_ne_bytes(end));
        let set = self.set(hash).read().unwrap_or_else(PoisonError::into_inner);
        let found = set.entries.iter().find(|entry| {
            entry.place.hash == hash
                && entry.place.generation == generation
                && is_equal(entry.verified.presented(), token)
        });
        found.map(|entry| Arc::clone(&entry.verified)).ok_or(Vacancy { hash, generation })
    }

    /// Remembers the verification of `token`.
    pub(super) fn insert(&self, place: Vacancy, verified: &Arc<VerifiedToken>, now: Timestamp) {
        let entry = Entry::new(place, verified);
        self.set(place.hash).write().unwrap_or_else(PoisonError::into_inner).insert(entry, now);
        // Expired tokens leave though no other comes to their set: one set for as many as it holds.
        let turn = self.turn.fetch_add(1, Relaxed);
        if turn.is_multiple_of(WAYS) {
            let next = &self.sets[(turn / WAYS) & (self.sets.len() - 1)];
            if let Ok(mut set) = next.try_write() {
                set.entries.retain(|entry| now < entry.exp);
            }
        }
    }

    /// Forgets all tokens.
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
            let latest_end = other.place.generation < entry.place.generation;
            let same = other.place.hash == entry.place.hash
                && other.verified.presented() == entry.verified.presented();
            now >= other.exp || latest_end || same
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

/// How many bytes are compared at once; the compiler uses the widest registers it may.
const BLOCK: usize = 64;

/// Whether two tokens are the same, in a time that depends on their lengths alone.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (Some(last), Some(other_last)) = (one.last_chunk(), other.last_chunk()) else {
        // Shorter than any signed token: there is no signature to guess.
        return one == other;
    };
    let mut differing = [0; BLOCK];
    let mut compare = |block: &[u8; BLOCK], other: &[u8; BLOCK]| {
        let pairs = block.iter().zip(other);
        differing.iter_mut().zip(pairs).for_each(|(any, (one, other))| *any |= one ^ other);
    };
    for (block, other) in one.as_chunks().0.iter().zip(other.as_chunks().0) {
        compare(block, other);
    }
    // Overlaps the block before it.
    compare(last, other_last);
    // Opaque to the compiler, which might otherwise stop at the first difference.
    black_box(differing).iter().fold(0, |any, byte| any | byte) == 0
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
