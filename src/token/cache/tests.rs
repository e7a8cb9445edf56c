#![allow(clippy::unchecked_time_subtraction, reason = "of constants, in tests")]

use std::{collections::HashMap, thread, time::Duration};

use super::*;
use crate::{
    rules::SessionClaims,
    token::{JwtKeys, TokenVerifier, mint, payload::Spans, purpose::Purpose},
};

const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const MILLI: Duration = Duration::from_millis(1);

/// The verification of `token`, of the user `sub`, that ends at `exp`.
fn verified(token: &[u8], sub: &str, exp: Timestamp) -> Arc<VerifiedToken> {
    let claims = SessionClaims::new(sub, "s1", BEGIN, exp);
    let text = str::from_utf8(token).expect("ASCII").into();
    Arc::new(VerifiedToken::new(claims, text, 0, Spans::default()))
}

/// The `id`th token of `length` bytes.
fn token(id: usize, length: usize) -> Vec<u8> {
    let (mut token, id) = (vec![b'0'; length], id.to_string());
    token[length - id.len()..].copy_from_slice(id.as_bytes());
    token
}

/// Verifies `token`, whose session ends at `exp`, and remembers it.
fn remember(cache: &TokenCache, token: &[u8], exp: Timestamp, now: Timestamp) {
    cache.insert(vacancy(cache, token), &verified(token, "ada", exp), now);
}

fn vacancy(cache: &TokenCache, token: &[u8]) -> Vacancy {
    cache.find(token, 0).expect_err("not known yet")
}

fn is_known(cache: &TokenCache, token: &[u8]) -> bool {
    cache.find(token, 0).is_ok()
}

fn entry(token: &[u8], generation: u64, exp: Timestamp) -> Entry {
    let place = Vacancy { hash: 0, generation };
    Entry::new(place, &verified(token, "ada", exp))
}

fn len(cache: &TokenCache) -> usize {
    cache.sets.iter().map(|set| set.read().expect("not poisoned").entries.len()).sum()
}

#[test]
fn a_token_is_found_once_it_was_inserted() {
    let (cache, token) = (TokenCache::new(64), token(1, 300));
    let place = cache.find(&token, 0).expect_err("it is empty");
    assert!(!is_known(&cache, &token), "a vacancy is no entry");
    let verified = verified(&token, "ada", BEGIN + HOUR);
    cache.insert(place, &verified, BEGIN);
    assert!(Arc::ptr_eq(&cache.find(&token, 0).ok().expect("inserted"), &verified));
    cache.insert(place, &verified, BEGIN);
    assert_eq!(len(&cache), 1, "once, though two verified it at once");
}

#[test]
fn p30_a_token_from_before_or_after_a_change_of_the_keys_is_no_hit() {
    let (cache, token) = (TokenCache::new(64), token(1, 300));
    let place = cache.find(&token, 7).expect_err("it is empty");
    cache.insert(place, &verified(&token, "ada", BEGIN + HOUR), BEGIN);
    for (generation, expected) in [(6, false), (7, true), (8, false), (u64::MAX, false)] {
        assert_eq!(cache.find(&token, generation).is_ok(), expected, "{generation}");
    }
}

#[test]
fn p30_a_vacancy_taken_before_the_keys_changed_is_filled_in_vain() {
    let (cache, token) = (TokenCache::new(64), token(1, 300));
    let before = cache.find(&token, 0).expect_err("it is empty");
    let after = cache.find(&token, 1).expect_err("it is empty");
    cache.insert(before, &verified(&token, "ada", BEGIN + HOUR), BEGIN);
    assert!(cache.find(&token, 1).is_err());
    cache.insert(after, &verified(&token, "ada", BEGIN + HOUR), BEGIN);
    assert!(cache.find(&token, 1).is_ok());
    assert_eq!(len(&cache), 1, "what no request can find leaves");
}

#[test]
fn p30_tokens_from_before_a_change_of_the_keys_make_room_for_later_ones() {
    for (generation, expected) in [(0, false), (6, false), (7, true), (8, true)] {
        let mut set = Set::default();
        set.insert(entry(b"one", generation, BEGIN + HOUR), BEGIN);
        set.insert(entry(b"two", 7, BEGIN + HOUR), BEGIN);
        assert_eq!(set.entries.len(), 1 + usize::from(expected), "{generation}");
        assert!(
            set.entries.iter().any(|entry| *entry.verified.presented() == *b"two"),
            "{generation}"
        );
    }
}

#[test]
fn tokens_that_differ_in_a_byte_or_in_length_are_told_apart() {
    for length in [1, 31, 32, 33, 63, 64, 65, 300, 8192] {
        let (cache, token) = (TokenCache::new(1), token(1, length));
        remember(&cache, &token, BEGIN + HOUR, BEGIN);
        for at in (0..length).step_by(1 + length / 1000).chain([length / 2, length - 1]) {
            let mut other = token.clone();
            other[at] ^= 1;
            assert!(!is_known(&cache, &other), "byte {at} of {length}");
        }
        let doubled = [&*token, &*token].concat();
        let longer = [b"0", &*token].concat();
        for other in [&token[1..], &token[..length - 1], &longer, &doubled] {
            assert!(!is_known(&cache, other), "{} bytes for {length}", other.len());
        }
        assert!(is_known(&cache, &token), "{length}");
    }
}

#[test]
fn p11_equality_compares_every_bit() {
    assert!(constant_time_eq(b"", b""));
    for length in 1..=140 {
        let token = token(1, length);
        assert!(constant_time_eq(&token, &token.clone()));
        assert!(!constant_time_eq(&token, &token[..length - 1]));
        for (at, bit) in (0..length).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut other = token.clone();
            other[at] ^= 1 << bit;
            assert!(!constant_time_eq(&token, &other), "bit {bit} of byte {at} of {length}");
        }
        // Two differences do not cancel each other out.
        let mut other = token.clone();
        other[0] ^= 1;
        other[length / 2] ^= 1;
        assert_eq!(constant_time_eq(&token, &other), length == 1, "{length}");
    }
}

#[test]
fn p15_a_hundred_thousand_good_tokens_stay_within_the_capacity() {
    for (longest, is_full) in [(100, true), (8192, false)] {
        let cache = TokenCache::new(1 << 10);
        for id in 0..100_000 {
            let token = token(id, 64 + id * 7 % (longest - 63));
            let place = vacancy(&cache, &token);
            cache.insert(place, &verified(&token, "ada", BEGIN + HOUR), BEGIN);
            assert!(id % 100 > 0 || is_known(&cache, &token), "the last one is remembered");
            let set = cache.set(place.hash).read().expect("not poisoned");
            assert!(set.entries.len() <= WAYS && set.bytes() <= BYTES_A_SET, "after {id}");
        }
        assert_eq!(len(&cache) == 1 << 10, is_full, "{longest} bytes");
    }
}

#[test]
fn a_full_set_parts_with_the_one_it_has_had_longest() {
    let (cache, ids) = (TokenCache::new(1), 0..3 * WAYS);
    for id in ids.clone() {
        remember(&cache, &token(id, 64), BEGIN + HOUR, BEGIN);
        for other in ids.clone() {
            let expected = other <= id && other + WAYS > id;
            assert_eq!(is_known(&cache, &token(other, 64)), expected, "{other} after {id}");
        }
    }
}

#[test]
fn p15_the_longest_token_displaces_others_and_fits() {
    let cache = TokenCache::new(1);
    (0..WAYS).for_each(|id| remember(&cache, &token(id, 1500), BEGIN + HOUR, BEGIN));
    assert_eq!(len(&cache), WAYS);
    // Three quarters of a token of 8 KiB are its payload.
    let (longest, payload) = (token(WAYS, 8192), "x".repeat(8192 * 3 / 4));
    let claims = SessionClaims::new("ada", "s1", BEGIN, BEGIN + HOUR);
    let text = format!("{payload}{}", str::from_utf8(&longest).expect("ASCII")).into();
    let verified = VerifiedToken::new(claims, text, payload.len(), Spans::default());
    cache.insert(vacancy(&cache, &longest), &Arc::new(verified), BEGIN);
    assert!(is_known(&cache, &longest));
    assert!(cache.sets[0].read().expect("not poisoned").bytes() <= BYTES_A_SET);
    assert!((1..WAYS).contains(&len(&cache)));
}

#[test]
fn p15_what_takes_more_than_a_set_may_is_not_remembered() {
    let rest = BYTES_A_SET - entry(b"", 0, BEGIN + HOUR).bytes;
    for (length, expected) in [(rest - 1, 1), (rest, 1), (rest + 1, 0)] {
        let mut set = Set::default();
        set.insert(entry(&token(1, length), 0, BEGIN + HOUR), BEGIN);
        assert_eq!(set.entries.len(), expected, "{length} bytes");
    }
}

#[test]
fn expired_tokens_leave_the_set_that_another_comes_to() {
    for (after, expected) in [(HOUR - MILLI, true), (HOUR, false), (HOUR + MILLI, false)] {
        let mut set = Set::default();
        set.insert(entry(b"one", 0, BEGIN + HOUR), BEGIN + after);
        set.insert(entry(b"two", 0, BEGIN + HOUR + HOUR), BEGIN + after);
        let left: Vec<_> = set.entries.iter().map(|entry| entry.verified.presented()).collect();
        assert_eq!(left.contains(&&b"one"[..]), expected, "{after:?}");
        assert!(left.contains(&&b"two"[..]), "{after:?}");
    }
}

#[test]
fn expired_tokens_leave_by_turns_though_no_other_comes_to_their_set() {
    let cache = TokenCache::new(1 << 10);
    (0..500).for_each(|id| remember(&cache, &token(id, 64), BEGIN + HOUR, BEGIN));
    let later = BEGIN + HOUR + HOUR;
    let place = vacancy(&cache, b"lasting");
    for _ in 0..WAYS * cache.sets.len() {
        cache.insert(place, &verified(b"lasting", "ada", later), BEGIN + HOUR);
    }
    assert_eq!(len(&cache), 1);
    assert!(is_known(&cache, b"lasting"));
}

#[test]
fn tokens_that_differ_in_their_last_bytes_alone_spread_over_the_sets() {
    let tokens: Vec<_> = (0..500).map(|id| token(id, 64)).collect();
    for seed in 0..1000 {
        let cache = TokenCache::new(1 << 10);
        let mut in_set = HashMap::<*const RwLock<Set>, usize>::new();
        for token in &tokens {
            *in_set.entry(cache.set(vacancy(&cache, token).hash)).or_default() += 1;
        }
        let kept: usize = in_set.into_values().map(|tokens| tokens.min(WAYS)).sum();
        assert!(kept > 400, "{kept} in cache {seed}");
    }
}

#[test]
fn clearing_forgets_all_and_what_comes_after_is_remembered() {
    let cache = TokenCache::new(1 << 10);
    for _ in 0..2 {
        (0..500).for_each(|id| remember(&cache, &token(id, 64), BEGIN + HOUR, BEGIN));
        assert!(len(&cache) > 400);
        cache.clear();
        assert_eq!(len(&cache), 0);
        assert!((0..500).all(|id| !is_known(&cache, &token(id, 64))));
    }
}

#[test]
fn what_is_found_is_the_tokens_own_whatever_runs_beside() {
    let cache = TokenCache::new(16);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for turn in 0..20_000 {
                    let sub = (turn * 7 % 64).to_string();
                    let token = token(turn * 7 % 64, 64 + turn * 7 % 64);
                    match cache.find(&token, 0) {
                        Ok(found) => assert_eq!(*found.claims().sub, *sub),
                        Err(place) => {
                            let now = BEGIN + Duration::from_secs(turn as u64 % 7200);
                            cache.insert(place, &verified(&token, &sub, BEGIN + HOUR), now);
                        }
                    }
                    if turn % 1000 == 0 {
                        cache.clear();
                    }
                }
            });
        }
    });
}

#[test]
fn a_token_is_held_only_where_it_is_to_be_found_again() {
    let keys = Arc::new(JwtKeys::hs256([7; 32]).expect("32 bytes"));
    let payload = r#"{"sub":"ada","sid":"s1","auth_time":1,"iat":1,"exp":2}"#;
    let [access, refresh] = [Purpose::Access, Purpose::Refresh]
        .map(|purpose| mint(&keys, payload, purpose).expect("it is signed"));
    for (places, expected) in [(0, &b""[..]), (8, access.as_bytes())] {
        let verifier = TokenVerifier::new(Arc::clone(&keys)).cached_tokens(places);
        let session = verifier.verify(&access, BEGIN).expect("our own");
        assert_eq!((session.payload(), session.presented()), (payload, expected));
        let refresh = verifier.verify_refresh(&refresh).expect("our own");
        assert_eq!((refresh.payload(), refresh.presented()), (payload, &b""[..]));
    }
}

#[test]
fn p10_debug_shows_the_capacity_only() {
    let cache = TokenCache::new(100);
    remember(&cache, b"secret", BEGIN + HOUR, BEGIN);
    assert_eq!(format!("{cache:?}"), "TokenCache { capacity: 128, .. }");
}
