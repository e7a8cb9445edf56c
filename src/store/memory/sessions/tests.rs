use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use super::*;
use crate::maybe_ready::StoreError;

const IDLE: Duration = Duration::from_secs(1200);
const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);
const LATER: Timestamp = Timestamp::from_secs(1_800_040_000);

fn key(id: usize) -> StoreKey {
    StoreKey::session(Some("issuer"), &id.to_string())
}

fn keys(id: usize) -> SessionKeys {
    SessionKeys::new(key(id), StoreKey::user(None, None, "ada"))
}

fn after(millis: u64) -> Timestamp {
    BEGIN + Duration::from_millis(millis)
}

/// A touch whose token is as old as the session.
fn touch(store: &MemoryStore, id: usize, now: Timestamp) -> TouchOutcome {
    touch_with(store, id, Touch::new(now, BEGIN, IDLE))
}

/// A touch with a token minted at `now`.
fn touch_fresh(store: &MemoryStore, id: usize, now: Timestamp) -> TouchOutcome {
    touch_with(store, id, Touch::new(now, now, IDLE))
}

fn touch_with(store: &MemoryStore, id: usize, touch: Touch) -> TouchOutcome {
    store
        .touch(keys(id), touch)
        .try_ready()
        .expect("a memory store answers at once")
        .expect("memory never fails a touch")
}

fn get(store: &MemoryStore, id: usize) -> StoredSession {
    store
        .get(keys(id))
        .try_ready()
        .expect("a memory store answers at once")
        .expect("memory never fails a get")
}

fn end(store: &MemoryStore, id: usize, until: Timestamp) -> Result<(), StoreError> {
    end_at(store, id, BEGIN, until)
}

fn end_at(
    store: &MemoryStore,
    id: usize,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), StoreError> {
    store
        .write_tombstone(Tombstone::new(key(id), now, until))
        .try_ready()
        .expect("a memory store answers at once")
        .map(drop)
}

#[test]
fn a_touch_returns_the_previous_activity() {
    let store = MemoryStore::new();
    assert_eq!(get(&store, 1), StoredSession::Unknown);
    assert_eq!(touch(&store, 1, after(5)), TouchOutcome::Active(None));
    assert_eq!(touch(&store, 1, after(9)), TouchOutcome::Active(Some(after(5))));
    assert_eq!(get(&store, 1), StoredSession::Active(after(9)));
    assert_eq!(store.len(), 1);
}

#[test]
fn a_session_is_idle_at_the_millisecond_of_its_deadline() {
    for (millis, is_active) in [(1_199_999, true), (1_200_000, false), (1_200_001, false)] {
        let store = MemoryStore::new();
        touch(&store, 1, BEGIN);
        let expected =
            if is_active { TouchOutcome::Active(Some(BEGIN)) } else { TouchOutcome::Idle(BEGIN) };
        assert_eq!(touch(&store, 1, after(millis)), expected, "known, {millis} ms");
        let expected =
            if is_active { TouchOutcome::Active(None) } else { TouchOutcome::Idle(BEGIN) };
        assert_eq!(touch(&store, 2, after(millis)), expected, "unknown, {millis} ms");
    }
}

#[test]
fn a_touch_after_the_deadline_records_nothing() {
    let store = MemoryStore::new();
    touch(&store, 1, BEGIN);
    assert_eq!(touch(&store, 1, after(1_300_000)), TouchOutcome::Idle(BEGIN));
    assert_eq!(touch(&store, 1, after(1_300_001)), TouchOutcome::Idle(BEGIN));
    assert_eq!(get(&store, 1), StoredSession::Active(BEGIN));
    assert_eq!(touch(&store, 2, after(1_300_000)), TouchOutcome::Idle(BEGIN));
    assert_eq!(get(&store, 2), StoredSession::Unknown);
}

#[test]
fn the_later_of_stored_and_token_activity_applies() {
    let store = MemoryStore::new();
    touch(&store, 1, BEGIN);
    let minted = after(1_000_000);
    let now = minted + IDLE;
    let token = |now| Touch::new(now, minted, IDLE);
    assert_eq!(touch_with(&store, 1, token(now)), TouchOutcome::Idle(minted));
    let now = now - Duration::from_millis(1);
    assert_eq!(touch_with(&store, 1, token(now)), TouchOutcome::Active(Some(BEGIN)));
    assert_eq!(get(&store, 1), StoredSession::Active(now));
}

#[test]
fn p12_a_clock_that_is_set_back_never_lowers_the_last_activity() {
    let store = MemoryStore::new();
    touch(&store, 1, after(5_000));
    assert_eq!(touch(&store, 1, after(1_000)), TouchOutcome::Active(Some(after(5_000))));
    assert_eq!(get(&store, 1), StoredSession::Active(after(5_000)));
}

#[test]
fn p13_extreme_instants_do_not_overflow() {
    let store = MemoryStore::new();
    let never = Touch::new(Timestamp::MAX, Timestamp::MAX, Duration::MAX);
    assert_eq!(touch_with(&store, 1, never), TouchOutcome::Idle(Timestamp::MAX));
    let first = Touch::new(Timestamp::EPOCH, Timestamp::MAX, Duration::MAX);
    assert_eq!(touch_with(&store, 2, first), TouchOutcome::Active(None));
    let zero = Touch::new(BEGIN, BEGIN, Duration::ZERO);
    assert_eq!(touch_with(&store, 3, zero), TouchOutcome::Idle(BEGIN));
    end(&store, 4, Timestamp::MAX).expect("there is room");
    assert_eq!(touch(&store, 4, LATER), TouchOutcome::Ended);
}

#[test]
fn p13_a_tombstone_that_never_expires_is_kept() {
    let store = MemoryStore::with_capacity(500);
    touch(&store, 1, BEGIN);
    for id in [1, 2] {
        end(&store, id, Timestamp::MAX).expect("there is room");
    }
    sweep(&store, LATER);
    assert_eq!([1, 2].map(|id| get(&store, id)), [StoredSession::Ended; 2]);
}

#[test]
fn a_tombstone_is_final_for_known_and_unknown_sessions() {
    let store = MemoryStore::new();
    touch(&store, 1, BEGIN);
    for id in [1, 2] {
        end(&store, id, after(100)).expect("there is room");
        assert_eq!(touch_fresh(&store, id, after(50)), TouchOutcome::Ended);
        assert_eq!(
            touch_fresh(&store, id, after(200)),
            TouchOutcome::Ended,
            "expired and not removed yet"
        );
        assert_eq!(get(&store, id), StoredSession::Ended);
    }
    assert_eq!(store.len(), 2);
}

/// Inserts 200 new sessions into a store of few parts: enough to sweep each part.
fn sweep(store: &MemoryStore, now: Timestamp) {
    (1_000..1_200).for_each(|id| {
        let id = id + usize::try_from(now.since(BEGIN).as_millis()).expect("small") * 1_000;
        touch_fresh(store, id, now);
    });
}

#[test]
fn p15_sweeps_remove_expired_entries_only() {
    let store = MemoryStore::with_capacity(500);
    touch(&store, 1, BEGIN);
    touch(&store, 2, after(1));
    end(&store, 3, after(1_200_000)).expect("there is room");
    sweep(&store, after(1_200_000));
    assert_eq!(get(&store, 1), StoredSession::Unknown);
    assert_eq!(get(&store, 2), StoredSession::Active(after(1)));
    assert_eq!(get(&store, 3), StoredSession::Ended, "endings remove tombstones");
    assert_eq!(store.len(), 202);
}

#[test]
fn the_later_expiry_of_a_tombstone_applies() {
    let store = MemoryStore::with_capacity(500);
    for until in [after(10), after(30), after(20)] {
        end(&store, 1, until).expect("there is room");
    }
    end_at(&store, 2, after(29), LATER).expect("there is room");
    assert_eq!(get(&store, 1), StoredSession::Ended);
    end_at(&store, 3, after(30), LATER).expect("there is room");
    assert_eq!(get(&store, 1), StoredSession::Unknown);
}

#[test]
fn a_sweep_uses_the_longest_idle_timeout_rounded_up() {
    let store = MemoryStore::with_capacity(500);
    let with = |idle| Touch::new(BEGIN, BEGIN, idle);
    touch_with(&store, 1, with(Duration::from_millis(1_500)));
    touch_with(&store, 2, with(Duration::from_secs(1)));
    touch_with(&store, 2, with(Duration::from_secs(60)));
    touch_with(&store, 2, with(Duration::from_secs(1)));
    sweep(&store, after(1_999));
    assert_eq!(get(&store, 1), StoredSession::Active(BEGIN));
    sweep(&store, after(59_999));
    assert_eq!(get(&store, 1), StoredSession::Unknown);
    assert_eq!(get(&store, 2), StoredSession::Active(BEGIN));
}

#[test]
fn p15_many_ids_stay_within_the_capacity() {
    let store = MemoryStore::with_capacity(1_000);
    for id in 0..20_000 {
        assert_eq!(touch_fresh(&store, id, after(id as u64)), TouchOutcome::Active(None));
        assert!(store.len() <= 1_000);
    }
    assert!(store.len() > 900, "few entries are evicted at once");
    assert_eq!(get(&store, 19_999), StoredSession::Active(after(19_999)));
}

#[test]
fn p15_the_oldest_activity_is_evicted_first() {
    let store = MemoryStore::with_capacity(100);
    (0..100).for_each(|id| {
        touch(&store, id, after(id as u64));
    });
    touch(&store, 0, after(1_000));
    touch(&store, 100, after(1_001));
    assert_eq!(get(&store, 0), StoredSession::Active(after(1_000)));
    assert_eq!(get(&store, 1), StoredSession::Unknown);
    assert_eq!(get(&store, 99), StoredSession::Active(after(99)));
}

#[test]
fn p15_expired_entries_are_removed_before_active_ones_are_evicted() {
    let store = MemoryStore::with_capacity(2);
    touch_fresh(&store, 1, BEGIN);
    touch_with(&store, 2, Touch::new(after(10), BEGIN, Duration::from_secs(1)));
    assert_eq!(touch_fresh(&store, 3, after(2_000)), TouchOutcome::Active(None));
    assert_eq!(get(&store, 1), StoredSession::Active(BEGIN));
    assert_eq!(get(&store, 2), StoredSession::Unknown);
    assert_eq!(get(&store, 3), StoredSession::Active(after(2_000)));
}

#[test]
fn p22_a_tombstone_is_never_evicted() {
    let store = MemoryStore::with_capacity(1_000);
    (0..900).for_each(|id| end(&store, id, LATER).expect("there is room"));
    (1_000..20_000).for_each(|id| {
        touch_fresh(&store, id, after(id as u64));
    });
    let active = store.table.len();
    assert!(active > 900 && active <= 1_000, "tombstones displace no active session: {active}");
    (900..1_000).for_each(|id| end(&store, id, LATER).expect("there is room"));
    assert!((0..1_000).all(|id| get(&store, id) == StoredSession::Ended));
    assert_eq!((store.table.len(), store.len()), (active, active + 1_000));
}

#[test]
fn p22_without_room_a_tombstone_fails_and_a_touch_uses_its_token() {
    for store in [MemoryStore::with_capacity(0), MemoryStore::with_capacity(3)] {
        let full = store.table.capacity();
        (0..full).for_each(|id| end(&store, id, after(5_000)).expect("there is room"));
        end(&store, 7, after(5_000)).expect_err("there is no room");
        (0..full).for_each(|id| end(&store, id, after(6_000)).expect("the tombstone exists"));
        assert_eq!(touch_fresh(&store, 7, after(1)), TouchOutcome::Active(None));
        assert_eq!(
            touch(&store, 7, after(1_200_001)),
            TouchOutcome::Idle(after(1).min(after(full as u64)))
        );
        end(&store, 7, after(5_000)).expect_err("there is no room");
        assert_eq!(store.len(), full + usize::from(full > 0));
    }
}

#[test]
fn p22_expired_tombstones_make_room() {
    let store = MemoryStore::with_capacity(3);
    (0..3).for_each(|id| end(&store, id, after(5_000)).expect("there is room"));
    end_at(&store, 7, after(4_999), LATER).expect_err("there is no room");
    (7..10).for_each(|id| end_at(&store, id, after(5_000), LATER).expect("there is room"));
    end_at(&store, 10, after(5_000), LATER).expect_err("there is no room");
    assert_eq!(get(&store, 0), StoredSession::Unknown);
    assert_eq!((store.table.len(), store.len()), (0, 3));
}

#[test]
fn p04_no_touch_is_active_after_a_tombstone() {
    let store = MemoryStore::with_capacity(320);
    // Touches of unknown sessions have to evict entries.
    (1_000..1_320).for_each(|id| {
        touch_fresh(&store, id, BEGIN);
    });
    for id in 0..300 {
        let (start, ended) = (Barrier::new(4), AtomicBool::new(false));
        thread::scope(|scope| {
            for offset in 0..3 {
                let (store, start, ended) = (&store, &start, &ended);
                scope.spawn(move || {
                    start.wait();
                    for step in 0..100 {
                        let must_be_over = ended.load(SeqCst);
                        let touched = touch_fresh(store, id, after(step * 3 + offset));
                        assert!(!must_be_over || touched == TouchOutcome::Ended);
                    }
                });
            }
            start.wait();
            end(&store, id, LATER).expect("there is room");
            ended.store(true, SeqCst);
        });
        assert_eq!(get(&store, id), StoredSession::Ended);
    }
}

#[test]
fn parallel_touches_keep_the_latest_activity() {
    let store = MemoryStore::new();
    thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                (0..5_000).for_each(|step| {
                    touch(store, 1, after((step * 7919 + thread) % 10_000));
                });
            });
        }
    });
    let latest =
        (0..4).flat_map(|thread| (0..5_000).map(move |step| (step * 7919 + thread) % 10_000));
    assert_eq!(get(&store, 1), StoredSession::Active(after(latest.max().expect("not empty"))));
    assert_eq!(store.len(), 1);
}

#[test]
fn p10_debug_shows_counts_only() {
    let store = MemoryStore::with_capacity(8);
    touch(&store, 1, BEGIN);
    assert_eq!(format!("{store:?}"), "MemoryStore { len: 1, capacity: 8, .. }");
}

#[test]
fn p15_an_entry_is_small() {
    assert_eq!(size_of::<(StoreKey, Entry)>(), 32);
}
