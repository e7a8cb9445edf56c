//! Revocation of one session.

use crate::{
    identity::StoreKey,
    store::{
        TouchOutcome,
        conformance::sign_in::{
            ABSOLUTE, ADA, BEGIN, BOB, IDLE, Store, after, all_of, audit, audited, begun,
            everything, is_active, listed, revoke_all, session, tombstone, touch,
        },
    },
    time::Timestamp,
};

/// Revokes the session `sid` at `now`; returns whether it was active.
async fn revoked(store: &Store, sid: &str, now: Timestamp) -> bool {
    let row = audit(&ADA.signs_in(sid, BEGIN), "session_ended", now);
    store.revoke(tombstone(session(sid), now + ABSOLUTE), row).await.expect("the store answers")
}

async fn logged(store: &Store) -> Vec<Option<StoreKey>> {
    audited(store, "session_ended").await.into_iter().map(|row| row.subject.session).collect()
}

pub(super) async fn an_active_session_is_revoked_and_logged_once(store: Store) {
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

pub(super) async fn p40_a_session_without_a_record_is_logged_once(store: Store) {
    store.touch(ADA.keys("touched"), touch(BEGIN, BEGIN)).await.expect("the store answers");
    for (at, sid) in [(1, "unknown"), (2, "touched")] {
        for (again, is_first) in [(0, true), (10, false), (20, false)] {
            assert_eq!(revoked(&store, sid, after(at + again)).await, is_first, "{sid}");
            let touched = store.touch(ADA.keys(sid), touch(after(at), after(at))).await;
            assert_eq!(touched.expect("the store answers"), TouchOutcome::Ended);
        }
    }
    assert_eq!(logged(&store).await, ["touched", "unknown"].map(|sid| Some(session(sid))));
}

/// Whatever ended it before: who signs out afterwards is in the log.
pub(super) async fn p40_a_session_without_a_tombstone_is_logged_once(store: Store) {
    for sid in ["idle", "absolute", "cutoff", "tombstone"] {
        begun(&store, ADA, sid).await;
    }
    let ended = store.write_tombstone(tombstone(session("tombstone"), BEGIN + ABSOLUTE)).await;
    ended.expect("the store answers");
    revoke_all(&store, all_of(everything(), after(10))).await;
    for (sid, at, is_first) in [
        ("tombstone", after(20), false),
        ("cutoff", after(30), true),
        ("idle", BEGIN + IDLE, true),
        ("absolute", BEGIN + ABSOLUTE, true),
    ] {
        assert_eq!(revoked(&store, sid, at).await, is_first, "{sid}");
        assert!(!revoked(&store, sid, at).await, "{sid}");
    }
    let expected = ["absolute", "idle", "cutoff"].map(|sid| Some(session(sid)));
    assert_eq!(logged(&store).await, expected);
}

pub(super) async fn p40_of_concurrent_revocations_one_is_logged(store: Store) {
    for recorded in [true, false] {
        let sid = if recorded { "recorded" } else { "unrecorded" };
        if recorded {
            begun(&store, ADA, sid).await;
        }
        let revocations = (0..16).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { revoked(&store, sid, after(1)).await })
        });
        let mut first = 0;
        for revocation in revocations.collect::<Vec<_>>() {
            first += u32::from(revocation.await.expect("the task completes"));
        }
        let logged = logged(&store).await.into_iter().filter(|it| *it == Some(session(sid)));
        assert_eq!((first, logged.count()), (1, 1), "{sid}");
    }
}

pub(super) async fn p04_a_revoked_session_rejects_requests(store: Store) {
    begun(&store, ADA, "s").await;
    assert!(revoked(&store, "s", after(10)).await);
    for now in [BEGIN, after(10), BEGIN + ABSOLUTE] {
        let touched = store.touch(ADA.keys("s"), touch(now, now)).await;
        assert_eq!(touched.expect("the store answers"), TouchOutcome::Ended);
    }
}
