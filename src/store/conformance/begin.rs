//! The start of a session, and its epoch.

use std::time::Duration;

use crate::{
    identity::Scope,
    store::{
        BulkRevocation, RefreshQuery, RefreshState, RevocationCutoff, SessionRecord, SignIn,
        StoredSession,
        conformance::sign_in::{
            ABSOLUTE, ADA, BEGIN, JOY, Store, after, all_of, ask, audit, audited, begin, begun,
            everything, is_active, listed, revoke_all, tombstone,
        },
    },
    time::Timestamp,
};

/// One second after every sign-in here.
const CUTOFF: Timestamp = after(1000);

/// A bulk revocation whose cutoff is later than its instant, as with clock skew.
fn revocation_with_cutoff(scope: Scope, cutoff: Timestamp) -> BulkRevocation {
    BulkRevocation {
        cutoff: RevocationCutoff::new(cutoff, BEGIN + ABSOLUTE),
        ..all_of(scope, BEGIN)
    }
}

fn of_epoch(sid: &str, epoch: Timestamp) -> SessionRecord {
    SessionRecord { epoch, ..ADA.signs_in(sid, BEGIN) }
}

fn scopes() -> [Scope; 4] {
    [ADA.user(), ADA.subject(), ADA.account(), everything()]
}

pub(super) async fn a_session_begins_with_its_record_its_entry_and_its_row(store: Store) {
    let whole = SessionRecord {
        profile: Some("remember_me".to_owned()),
        last_seen: after(3),
        epoch: after(2),
        ..ADA.signs_in("whole", BEGIN)
    };
    for record in [whole, JOY.signs_in("bare", after(5))] {
        begin(&store, &record).await;
        let kept = store.session(record.key, after(5)).await.expect("the store answers");
        assert!(kept == Some(record.clone()), "{}", record.sid);
        let stored = store.get(record.keys()).await.expect("the store answers");
        assert_eq!(stored, StoredSession::Active(record.last_seen));
    }
    let rows = audited(&store, "session_started").await;
    let expected = [("bare", JOY, 5), ("whole", ADA, 0)].map(|(sid, person, millis)| {
        let at = after(millis);
        audit(&person.signs_in(sid, at), "session_started", at)
    });
    assert!(rows == expected);
}

pub(super) async fn without_a_cutoff_the_epoch_is_the_sign_in_time(store: Store) {
    for (sid, epoch) in [("first", BEGIN), ("second", BEGIN), ("third", after(7))] {
        assert_eq!(begin(&store, &of_epoch(sid, epoch)).await, epoch);
    }
}

pub(super) async fn p29_a_sign_in_after_a_bulk_revocation_is_active(store: Store) {
    for (kind, scope) in scopes().into_iter().enumerate() {
        let cutoff = CUTOFF + Duration::from_secs(kind as u64);
        revoke_all(&store, revocation_with_cutoff(scope, cutoff)).await;
        let expected = [(-1, 1), (0, 1), (1, 1), (2, 2)];
        for (offset, epoch) in expected {
            let epoch_of =
                |offset| Timestamp::from_millis(cutoff.as_millis().saturating_add_signed(offset));
            let record = of_epoch(&format!("{kind} {offset}"), epoch_of(offset));
            let answer = begin(&store, &record).await;
            assert_eq!(answer, epoch_of(epoch), "{}", record.sid);
            let kept = store.session(record.key, BEGIN).await.expect("the store answers");
            let kept = kept.unwrap_or_else(|| panic!("{} lifecycle_state", record.sid));
            assert_eq!(kept.epoch, answer, "{}", record.sid);
        }
    }
}

pub(super) async fn p29_the_epoch_of_a_sign_in_is_later_than_every_cutoff(store: Store) {
    for (kind, scope) in scopes().into_iter().enumerate() {
        let cutoff = CUTOFF + Duration::from_secs(kind as u64);
        let milli = Duration::from_millis(1);
        let begun = [("before", cutoff - milli), ("at", cutoff), ("behind", cutoff + milli)]
            .map(|(name, epoch)| of_epoch(&format!("{kind} {name}"), epoch));
        for record in &begun {
            assert_eq!(begin(&store, record).await, record.epoch);
        }
        assert_eq!(revoke_all(&store, revocation_with_cutoff(scope, cutoff)).await, 3);
        for record in &begun {
            assert!(!is_active(&store, record, BEGIN).await, "{}", record.sid);
        }
        let next = of_epoch(&format!("{kind} next"), cutoff);
        assert_eq!(begin(&store, &next).await, cutoff + milli + milli);
        assert_eq!(listed(&store, scope, BEGIN).await, [&*next.sid]);
        revoke_all(&store, revocation_with_cutoff(scope, cutoff)).await;
    }
}

pub(super) async fn p29_the_latest_cutoff_of_all_scopes_applies(store: Store) {
    for (scope, millis) in scopes().into_iter().zip([2000, 3000, 1000]) {
        revoke_all(&store, revocation_with_cutoff(scope, after(millis))).await;
    }
    assert_eq!(begin(&store, &of_epoch("s", BEGIN)).await, after(3001));
    let earlier = revocation_with_cutoff(ADA.account(), after(2500));
    revoke_all(&store, earlier).await;
    assert_eq!(begin(&store, &of_epoch("t", BEGIN)).await, after(3002), "later than the cutoff");
}

pub(super) async fn p29_a_cutoff_revokes_sessions_that_the_store_does_not_know(store: Store) {
    revoke_all(&store, revocation_with_cutoff(ADA.user(), CUTOFF)).await;
    let milli = Duration::from_millis(1);
    for (epoch, expected) in [
        (CUTOFF - milli, RefreshState::Revoked),
        (CUTOFF, RefreshState::Revoked),
        (CUTOFF + milli, RefreshState::Unknown(None)),
    ] {
        let stranger = RefreshQuery { epoch, ..ask(&ADA.signs_in("stranger", BEGIN)) };
        let state = store.refresh_state(stranger).await.expect("the store answers");
        assert_eq!(state, expected, "{epoch:?}");
    }
}

pub(super) async fn p04_a_revoked_session_cannot_start_again(store: Store) {
    let record = begun(&store, ADA, "s").await;
    store
        .write_tombstone(tombstone(record.key, BEGIN + ABSOLUTE))
        .await
        .expect("the store answers");
    // Whether or not the store accepts the record, the session stays revoked.
    let row = audit(&record, "session_started", after(1));
    drop(store.begin(SignIn::new(record.clone(), row)).await);
    assert!(!is_active(&store, &record, after(1)).await);
    let stored = store.get(record.keys()).await.expect("the store answers");
    assert_eq!(stored, StoredSession::Ended);
}
