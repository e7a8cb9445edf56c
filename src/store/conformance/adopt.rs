//! Records of sessions that an earlier system began.

use crate::store::{
    RefreshState, SessionRecord, StoredSession, TouchOutcome,
    conformance::sign_in::{
        ABSOLUTE, ADA, BEGIN, BOB, IDLE, Store, after, all_of, audit, audited, begun, is_active,
        listed, revoke_all, state, tombstone, touch, unrefreshed,
    },
};

/// The record of a session that began before the store.
fn old(sid: &str) -> SessionRecord {
    let record = ADA.signs_in(sid, BEGIN - ABSOLUTE);
    SessionRecord { is_adopted: true, ends_at: BEGIN + ABSOLUTE, last_seen: BEGIN, ..record }
}

async fn adopt(store: &Store, record: &SessionRecord) {
    store.adopt(record.clone()).await.expect("the store answers");
}

pub(super) async fn an_adopted_session_is_listed_counted_and_revoked(store: Store) {
    let (unknown, known) = (old("unknown"), old("known"));
    let touched = store.touch(known.keys(), touch(BEGIN, BEGIN)).await.expect("the store answers");
    assert_eq!(touched, TouchOutcome::Active(None));
    for record in [&unknown, &known] {
        adopt(&store, record).await;
        assert_eq!(
            store.session(record.key, BEGIN).await.expect("the store answers").as_ref(),
            Some(record)
        );
        assert_eq!(state(&store, record).await, unrefreshed(BEGIN));
        assert_eq!(
            store.get(record.keys()).await.expect("the store answers"),
            StoredSession::Active(BEGIN)
        );
    }
    for scope in [ADA.user(), ADA.subject(), ADA.account()] {
        assert_eq!(listed(&store, scope, BEGIN).await.len(), 2);
    }
    assert!(listed(&store, ADA.user(), BEGIN + IDLE).await.is_empty());
    let audit = audit(&unknown, "session_ended", BEGIN);
    let revoked = store.revoke(tombstone(unknown.key, BEGIN + IDLE), audit).await;
    assert!(revoked.expect("the store answers"));
    assert_eq!(audited(&store, "session_ended").await.len(), 1);
    assert_eq!(revoke_all(&store, all_of(ADA.user(), BEGIN)).await, 1);
    assert!(listed(&store, ADA.user(), BEGIN).await.is_empty());
}

pub(super) async fn adopting_changes_no_record(store: Store) {
    let record = begun(&store, ADA, "s").await;
    let other = SessionRecord { key: record.key, is_adopted: true, ..BOB.signs_in("s", after(5)) };
    adopt(&store, &other).await;
    adopt(&store, &other).await;
    let kept = store.session(record.key, BEGIN).await.expect("the store answers");
    assert_eq!(kept, Some(record));
    assert!(listed(&store, BOB.user(), BEGIN).await.is_empty());
}

pub(super) async fn p04_a_revoked_session_is_not_adopted(store: Store) {
    let (ended, cut_off) = (old("ended"), old("cut off"));
    store.write_tombstone(tombstone(ended.key, BEGIN + ABSOLUTE)).await.expect("the store answers");
    revoke_all(&store, all_of(ADA.user(), BEGIN)).await;
    for record in [&ended, &cut_off] {
        adopt(&store, record).await;
        assert!(!is_active(&store, record, BEGIN).await);
        assert_eq!(state(&store, record).await, RefreshState::Revoked);
    }
}
