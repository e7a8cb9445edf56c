//! Revocation of one session.

use std::time::Duration;

use tower_sliding_session::{Timestamp, identity::StoreKey, store::TouchOutcome};

use crate::{
    empty_stores::Store,
    sign_in::{
        ABSOLUTE, ADA, BEGIN, BOB, IDLE, after, all_of, audit, audited, begun, everything,
        is_active, listed, revoke_all, session, touch,
    },
};

/// Revokes the session `sid` at `now`; returns whether it was active.
async fn revoked(store: &Store, sid: &str, now: Timestamp) -> bool {
    let row = audit(&ADA.signs_in(sid, BEGIN), "session_ended", now);
    store.revoke(session(sid), now + ABSOLUTE, row).await.expect("the store answers")
}

async fn logged(store: &Store) -> Vec<Option<StoreKey>> {
    audited(store, "session_ended").await.into_iter().map(|row| row.subject.session).collect()
}

pub(crate) async fn an_active_session_is_revoked_and_logged_once(store: Store) {
    let record = begun(&store, ADA, "s").await;
    let other = begun(&store, BOB, "other").await;
    assert!(revoked(&store, "s", after(10)).await);
    assert!(!revoked(&store, "s", after(20)).await);
    assert!(!is_active(&store, &record, after(20)).await);
    assert!(is_active(&store, &other, after(20)).await);
    assert_eq!(listed(&store, everything(), after(20)).await, ["other"]);
    let expected = audit(&record, "session_ended", after(10));
    assert!(audited(&store, "session_ended").await == [expected]);
}

pub(crate) async fn an_unknown_session_is_revoked_and_not_logged(store: Store) {
    assert!(!revoked(&store, "s", BEGIN).await);
    let touched = store.touch(session("s"), touch(BEGIN, BEGIN)).await;
    assert_eq!(touched.expect("the store answers"), TouchOutcome::Ended);
    assert!(logged(&store).await.is_empty());
}

pub(crate) async fn revoking_an_expired_session_is_not_logged(store: Store) {
    let milli = Duration::from_millis(1);
    for sid in ["idle", "idle next", "absolute", "absolute next", "ended", "cutoff"] {
        begun(&store, ADA, sid).await;
    }
    let last = BEGIN + ABSOLUTE - IDLE;
    for sid in ["absolute", "absolute next"] {
        store.touch(session(sid), touch(last, last)).await.expect("the store answers");
    }
    assert!(revoked(&store, "idle next", BEGIN + IDLE - milli).await);
    assert!(!revoked(&store, "idle", BEGIN + IDLE).await);
    assert!(revoked(&store, "absolute next", BEGIN + ABSOLUTE - milli).await);
    assert!(!revoked(&store, "absolute", BEGIN + ABSOLUTE).await);
    store.write_tombstone(session("ended"), BEGIN + ABSOLUTE).await.expect("the store answers");
    assert!(!revoked(&store, "ended", after(10)).await);
    revoke_all(&store, all_of(everything(), after(20))).await;
    assert!(!revoked(&store, "cutoff", after(30)).await);
    let expected = ["absolute next", "idle next"].map(|sid| Some(session(sid)));
    assert_eq!(logged(&store).await, expected);
}

pub(crate) async fn p04_a_revoked_session_rejects_requests(store: Store) {
    begun(&store, ADA, "s").await;
    assert!(revoked(&store, "s", after(10)).await);
    for now in [BEGIN, after(10), BEGIN + ABSOLUTE] {
        let touched = store.touch(session("s"), touch(now, now)).await;
        assert_eq!(touched.expect("the store answers"), TouchOutcome::Ended);
    }
}
