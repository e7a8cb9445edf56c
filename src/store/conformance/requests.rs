//! The calls of a request: `touch`, `get`, `write_tombstone`.

use std::{sync::Arc, time::Duration};

use crate::{
    store::{
        SessionStore, StoredSession, Touch, TouchOutcome,
        conformance::sign_in::{ABSOLUTE, ADA, BEGIN, IDLE, after, session, tombstone, touch},
    },
    time::Timestamp,
};

type Store = Arc<dyn SessionStore>;

const MILLI: Duration = Duration::from_millis(1);

async fn touched(store: &Store, sid: &str, touch: Touch) -> TouchOutcome {
    store.touch(ADA.keys(sid), touch).await.expect("the store answers")
}

async fn stored(store: &Store, sid: &str) -> StoredSession {
    store.get(ADA.keys(sid)).await.expect("the store answers")
}

async fn end(store: &Store, sid: &str, until: Timestamp) {
    store.write_tombstone(tombstone(session(sid), until)).await.expect("the store answers");
}

pub(super) async fn a_touch_of_an_unknown_session_creates_its_entry(store: Store) {
    assert_eq!(stored(&store, "s").await, StoredSession::Unknown);
    assert_eq!(touched(&store, "s", touch(BEGIN, BEGIN)).await, TouchOutcome::Active(None));
    assert_eq!(stored(&store, "s").await, StoredSession::Active(BEGIN));
    let second = touched(&store, "s", touch(after(700), BEGIN)).await;
    assert_eq!(second, TouchOutcome::Active(Some(BEGIN)));
    assert_eq!(stored(&store, "s").await, StoredSession::Active(after(700)));
    assert_eq!(stored(&store, "another").await, StoredSession::Unknown);
}

pub(super) async fn a_known_only_touch_creates_no_entry(store: Store) {
    let known_only = |now| Touch { known_only: true, ..touch(now, now) };
    assert_eq!(touched(&store, "s", known_only(BEGIN)).await, TouchOutcome::Unknown);
    assert_eq!(stored(&store, "s").await, StoredSession::Unknown);
    touched(&store, "s", touch(BEGIN, BEGIN)).await;
    let known = touched(&store, "s", known_only(after(1))).await;
    assert_eq!(known, TouchOutcome::Active(Some(BEGIN)));
}

pub(super) async fn the_later_activity_applies(store: Store) {
    let later = after(600_000);
    for (sid, stored, token) in [("by the token", BEGIN, later), ("by the store", later, BEGIN)] {
        touched(&store, sid, touch(stored, stored)).await;
        let idle = touched(&store, sid, touch(later + IDLE, token)).await;
        assert_eq!(idle, TouchOutcome::Idle(later), "{sid}");
        let last = touched(&store, sid, touch(later + IDLE - MILLI, token)).await;
        assert_eq!(last, TouchOutcome::Active(Some(stored)), "{sid}");
    }
}

pub(super) async fn an_idle_token_creates_no_entry(store: Store) {
    let idle = touched(&store, "s", touch(BEGIN + IDLE, BEGIN)).await;
    assert_eq!(idle, TouchOutcome::Idle(BEGIN));
    assert_eq!(stored(&store, "s").await, StoredSession::Unknown);
    let last = touched(&store, "s", touch(BEGIN + IDLE - MILLI, BEGIN)).await;
    assert_eq!(last, TouchOutcome::Active(None));
}

pub(super) async fn an_idle_session_is_not_changed(store: Store) {
    touched(&store, "s", touch(BEGIN, BEGIN)).await;
    for _ in 0..2 {
        let idle = touched(&store, "s", touch(BEGIN + IDLE, BEGIN)).await;
        assert_eq!(idle, TouchOutcome::Idle(BEGIN));
        assert_eq!(stored(&store, "s").await, StoredSession::Active(BEGIN));
    }
}

pub(super) async fn p12_the_last_activity_never_moves_backwards(store: Store) {
    touched(&store, "s", touch(after(1000), BEGIN)).await;
    let earlier = touched(&store, "s", touch(after(999), BEGIN)).await;
    assert_eq!(earlier, TouchOutcome::Active(Some(after(1000))));
    assert_eq!(stored(&store, "s").await, StoredSession::Active(after(1000)));
}

pub(super) async fn p04_a_tombstone_is_final(store: Store) {
    touched(&store, "s", touch(BEGIN, BEGIN)).await;
    end(&store, "s", BEGIN + ABSOLUTE).await;
    for now in [BEGIN, after(1), BEGIN + IDLE, BEGIN + ABSOLUTE - MILLI] {
        for known_only in [false, true] {
            let fresh = Touch { known_only, ..touch(now, now) };
            assert_eq!(touched(&store, "s", fresh).await, TouchOutcome::Ended, "{now}");
        }
    }
    assert_eq!(stored(&store, "s").await, StoredSession::Ended);
}

pub(super) async fn p22_an_unknown_session_can_have_a_tombstone(store: Store) {
    end(&store, "s", BEGIN + ABSOLUTE).await;
    assert_eq!(touched(&store, "s", touch(BEGIN, BEGIN)).await, TouchOutcome::Ended);
    assert_eq!(stored(&store, "s").await, StoredSession::Ended);
    assert_eq!(stored(&store, "another").await, StoredSession::Unknown);
}

pub(super) async fn writing_a_tombstone_is_idempotent(store: Store) {
    for until in [BEGIN + ABSOLUTE, BEGIN + IDLE, BEGIN + ABSOLUTE] {
        end(&store, "s", until).await;
    }
    let last = BEGIN + ABSOLUTE - MILLI;
    assert_eq!(touched(&store, "s", touch(last, last)).await, TouchOutcome::Ended);
}
