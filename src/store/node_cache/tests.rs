use super::*;

const IDLE: Duration = Duration::from_secs(600);

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn session() -> StoreKey {
    StoreKey::session(None, "s")
}

fn keys() -> SessionKeys {
    keys_of(session())
}

fn keys_of(session: StoreKey) -> SessionKeys {
    SessionKeys::new(session, StoreKey::user(None, None, "ada"))
}

fn touch(now: u64) -> Touch {
    Touch::new(at(now), at(0), IDLE)
}

fn stored(node_cache: &NodeCache, last_seen: Option<u64>, read_at: u64) -> Stored {
    let generation = node_cache.generation();
    Stored { last_seen: last_seen.map(at), idle: IDLE, generation, read_at: at(read_at) }
}

fn node_cache() -> NodeCache {
    let node_cache = NodeCache::new();
    assert!(node_cache.remember(session(), stored(&node_cache, Some(1000), 1000)));
    node_cache
}

fn active(last_seen: u64) -> CachedTouch {
    CachedTouch::Active(Some(at(last_seen)))
}

/// The activities that are written at `now`.
fn written(node_cache: &NodeCache, now: u64) -> Vec<Timestamp> {
    let batch = node_cache.take_due(at(now), at(now), 10);
    let rows = batch.rows.iter().map(|row| row.last_seen).collect();
    batch.set_written(&[]);
    rows
}

#[test]
fn p24_the_last_activity_of_a_touch_interval_is_written_at_its_end() {
    let node_cache = node_cache();
    assert_eq!(node_cache.touch(keys(), touch(1000)), active(1000));
    assert_eq!(written(&node_cache, 9999), [], "this activity is written already");
    assert_eq!(node_cache.touch(keys(), touch(1008)), active(1000));
    assert_eq!(node_cache.touch(keys(), touch(1005)), active(1008));
    assert_eq!(written(&node_cache, 1009), []);
    assert_eq!(node_cache.touch(keys(), touch(1009)), active(1008));
    assert_eq!(written(&node_cache, 1010), [at(1009)]);
    assert_eq!(written(&node_cache, 9999), []);
    assert_eq!(node_cache.touch(keys(), touch(1500)), active(1009));
    assert_eq!(written(&node_cache, 1500), [at(1500)], "the interval has ended");
}

#[test]
fn p23_a_write_that_fails_is_due_again() {
    let node_cache = node_cache();
    node_cache.touch(keys(), touch(1020));
    let batch = node_cache.take_due(at(1020), at(1020), 10);
    assert_eq!(batch.rows.len(), 1);
    assert_eq!(written(&node_cache, 9999), [], "it is being written");
    drop(batch);
    assert_eq!(written(&node_cache, 1020), [at(1020)]);
    // There is another touch while the write fails.
    node_cache.touch(keys(), touch(1040));
    let batch = node_cache.take_due(at(1040), at(1040), 10);
    node_cache.touch(keys(), touch(1100));
    drop(batch);
    assert_eq!(written(&node_cache, 1100), [at(1100)]);
    assert_eq!(written(&node_cache, 9999), []);
}

#[test]
fn a_batch_has_at_most_its_limit() {
    let node_cache = NodeCache::new();
    for sid in ["a", "b", "c"] {
        let session = StoreKey::session(None, sid);
        node_cache.remember(session, stored(&node_cache, Some(1000), 1000));
        node_cache.touch(keys_of(session), touch(1100));
    }
    for count in [2, 1, 0] {
        let batch = node_cache.take_due(at(1100), at(1100), 2);
        assert_eq!(batch.rows.len(), count);
        batch.set_written(&[]);
    }
}

/// One server of a cluster fails: its sessions hold up no others.
#[test]
fn p33_activities_that_could_not_be_written_are_due_after_the_others() {
    let node_cache = NodeCache::new();
    let sids = ["a", "b", "c", "d"];
    for (sid, millis) in sids.into_iter().zip(1100..) {
        let session = StoreKey::session(None, sid);
        node_cache.remember(session, stored(&node_cache, Some(1000), 1000));
        node_cache.touch(keys_of(session), touch(millis));
    }
    let key = |sid| StoreKey::session(None, sid);
    let due = |now, limit| node_cache.take_due(at(now), at(now + 10), limit);
    let batch = due(1200, 3);
    assert_eq!(batch.rows[1].keys.session, key("b"));
    batch.set_written(&[1]);
    let batch = due(1200, 3);
    assert_eq!(batch.rows.iter().map(|row| row.keys.session).collect::<Vec<_>>(), [key("d")]);
    drop(batch);
    assert_eq!(due(1209, 3).rows.len(), 0);
    let batch = due(1210, 3);
    let mut again: Vec<_> = batch.rows.iter().map(|row| row.keys.session).collect();
    again.sort_unstable_by_key(|session| *session.as_bytes());
    let mut expected = [key("b"), key("d")];
    expected.sort_unstable_by_key(|session| *session.as_bytes());
    assert_eq!(again, expected);
}

#[test]
fn a_session_that_the_store_does_not_know_is_written_at_once() {
    let node_cache = NodeCache::new();
    node_cache.remember(session(), stored(&node_cache, None, 1000));
    assert_eq!(node_cache.get(&session(), at(1000)), Some(StoredSession::Unknown));
    assert_eq!(node_cache.touch(keys(), touch(1000)), CachedTouch::Idle(at(0)));
    assert_eq!(node_cache.touch(keys(), touch(1001)), CachedTouch::Ask);
    assert_eq!(node_cache.get(&session(), at(1001)), None);
    let token = |now| Touch::new(at(now), at(900), IDLE);
    assert_eq!(node_cache.touch(keys(), token(1001).known_only()), CachedTouch::Ask);
    assert_eq!(node_cache.touch(keys(), token(1001)), CachedTouch::Active(None));
    assert_eq!(node_cache.touch(keys(), token(1002)), active(1001));
    assert_eq!(node_cache.get(&session(), at(1002)), Some(StoredSession::Active(at(1002))));
    assert_eq!(written(&node_cache, 1001), [at(1002)]);
}

#[test]
fn p23_a_cached_session_is_rejected_only_as_the_store_has_answered_within_a_second() {
    let node_cache = node_cache();
    assert_eq!(node_cache.get(&session(), at(1599)), Some(StoredSession::Active(at(1000))));
    assert_eq!(node_cache.touch(keys(), touch(1600)), CachedTouch::Ask);
    assert_eq!(node_cache.get(&session(), at(1600)), None);
    node_cache.remember(session(), stored(&node_cache, Some(1000), 1600));
    assert_eq!(node_cache.touch(keys(), touch(1600)), CachedTouch::Idle(at(1000)));
    assert_eq!(node_cache.get(&session(), at(1600)), Some(StoredSession::Active(at(1000))));
    assert_eq!(node_cache.touch(keys(), touch(1601)), CachedTouch::Ask);
    assert_eq!(node_cache.get(&session(), at(1601)), None);
    let newer = Touch { token_activity: at(1500), ..touch(1600) };
    assert_eq!(node_cache.touch(keys(), newer), active(1000), "another token may be active");
}

/// Another node may have seen an activity since, and have written it.
#[test]
fn p33_a_reading_from_before_the_deadline_rejects_nothing() {
    let millis = |millis: u64| Timestamp::from_millis(1_000_000 + millis);
    let touch_at = |now| Touch { now: millis(now), ..touch(0) };
    for (read_at, touched_at, is_asked) in [
        (599_999, 600_000, true),
        (599_950, 600_100, true),
        (600_000, 600_000, false),
        (600_000, 600_100, false),
    ] {
        let node_cache = NodeCache::new();
        let read = Stored { read_at: millis(read_at), ..stored(&node_cache, Some(1000), 0) };
        assert!(node_cache.remember(session(), read));
        let touched = node_cache.touch(keys(), touch_at(touched_at));
        let expected = if is_asked { CachedTouch::Ask } else { CachedTouch::Idle(at(1000)) };
        assert_eq!(touched, expected, "read at {read_at}, touched at {touched_at}");
        let stored = node_cache.get(&session(), millis(touched_at));
        assert_eq!(stored.is_none(), is_asked, "read at {read_at}, asked at {touched_at}");
    }
}

#[test]
fn p23_an_invalidated_entry_answers_nothing() {
    let node_cache = node_cache();
    node_cache.touch(keys(), touch(1001));
    node_cache.invalidate();
    assert_eq!(node_cache.touch(keys(), touch(1001)), CachedTouch::Ask);
    assert_eq!(node_cache.get(&session(), at(1001)), None);
    assert_eq!(written(&node_cache, 1010), [at(1001)], "the activity was admitted");
}

#[test]
fn p04_a_tombstone_is_final() {
    let node_cache = node_cache();
    node_cache.touch(keys(), touch(1001));
    node_cache.end(session(), at(9000), at(1001));
    assert!(!node_cache.record(keys(), touch(2000)));
    node_cache.record_written(&session(), at(2000));
    assert!(!node_cache.remember(session(), stored(&node_cache, Some(3000), 3000)));
    assert_eq!(node_cache.touch(keys(), touch(1001)), CachedTouch::Ended);
    assert_eq!(node_cache.get(&session(), at(1001)), Some(StoredSession::Ended));
    assert_eq!(written(&node_cache, 9999), []);
}

#[test]
fn an_answer_read_before_an_invalidation_admits_nothing() {
    let node_cache = NodeCache::new();
    let stored = stored(&node_cache, Some(1000), 1000);
    node_cache.invalidate();
    assert!(node_cache.remember(session(), stored));
    assert_eq!(node_cache.touch(keys(), touch(1001)), CachedTouch::Ask);
}

#[test]
fn the_touch_interval_is_a_sixtieth_of_the_idle_timeout_and_at_most_a_minute() {
    assert_eq!(touch_interval(IDLE), Duration::from_secs(10));
    assert_eq!(touch_interval(Duration::from_secs(86_400)), Duration::from_secs(60));
}
