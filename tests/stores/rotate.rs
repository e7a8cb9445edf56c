//! Consumption and rotation of refresh tokens.

use std::time::Duration;

use tower_sliding_session::store::{
    RefreshState, RefreshedSession, Rotated, SessionRecord, StoredSession, TokenState,
};

use crate::{
    empty_stores::Store,
    sign_in::{
        ABSOLUTE, ADA, BEGIN, after, all_of, audit, begun, everything, exchange, revoke_all,
        rotate, state, successors, token_state,
    },
};

pub(crate) fn unused(session: RefreshedSession) -> RefreshState {
    RefreshState::new(session, TokenState::Unused)
}

async fn last_seen(store: &Store, record: &SessionRecord) -> [StoredSession; 2] {
    let kept = store.session(record.key, BEGIN).await.expect("the store answers");
    let kept =
        kept.map_or(StoredSession::Unknown, |record| StoredSession::Active(record.last_seen));
    [kept, store.get(record.key).await.expect("the store answers")]
}

pub(crate) async fn an_unused_token_is_consumed(store: Store) {
    let record = begun(&store, ADA, "s").await;
    assert_eq!(state(&store, &record, "r1").await, unused(RefreshedSession::Known(BEGIN)));
    let rotated = rotate(&store, exchange(&record, "r1", "r2", after(10))).await;
    assert_eq!(rotated, Rotated::Done);
    let token =
        TokenState::Used { at: after(10), successor: Some(successors("r2")), had_successor: true };
    let expected = RefreshState::new(RefreshedSession::Known(after(10)), token);
    assert_eq!(state(&store, &record, "r1").await, expected);
    assert_eq!(token_state(&store, &record, "r2").await, TokenState::Unused);
}

pub(crate) async fn a_used_token_is_refused_and_changes_nothing(store: Store) {
    let record = begun(&store, ADA, "s").await;
    rotate(&store, exchange(&record, "r1", "r2", after(10))).await;
    let before = state(&store, &record, "r1").await;
    for _ in 0..2 {
        let again = rotate(&store, exchange(&record, "r1", "stolen", after(500))).await;
        assert_eq!(again, Rotated::Refused(before.clone()));
    }
    assert_eq!(state(&store, &record, "r1").await, before);
    assert_eq!(last_seen(&store, &record).await, [StoredSession::Active(after(10)); 2]);
}

pub(crate) async fn a_token_can_be_consumed_without_a_successor(store: Store) {
    let record = begun(&store, ADA, "s").await;
    let alone = with!(exchange(&record, "r1", "r2", after(10)); successors = None);
    assert_eq!(rotate(&store, alone.clone()).await, Rotated::Done);
    let token = TokenState::Used { at: after(10), successor: None, had_successor: false };
    assert_eq!(token_state(&store, &record, "r1").await, token);
    let expected = RefreshState::new(RefreshedSession::Known(after(10)), token);
    assert_eq!(rotate(&store, alone).await, Rotated::Refused(expected));
    assert_eq!(token_state(&store, &record, "another").await, TokenState::Unused);
}

pub(crate) async fn a_used_token_is_stored_until_its_expiry(store: Store) {
    let record = begun(&store, ADA, "s").await;
    rotate(&store, exchange(&record, "r1", "r2", after(10))).await;
    let last = record.ends_at - Duration::from_millis(1);
    for id in 0..100 {
        let jti = format!("r{}", 10 + 2 * id);
        let short = with!(exchange(&record, &jti, "next", last); until = BEGIN);
        assert_eq!(rotate(&store, short).await, Rotated::Done);
    }
    let again = rotate(&store, exchange(&record, "r1", "stolen", last)).await;
    assert!(matches!(again, Rotated::Refused(state) if state.token != TokenState::Unused));
}

pub(crate) async fn an_unknown_session_refuses(store: Store) {
    let stranger = ADA.signs_in("stranger", BEGIN);
    let refused = Rotated::Refused(unused(RefreshedSession::Unknown));
    assert_eq!(state(&store, &stranger, "r1").await, unused(RefreshedSession::Unknown));
    for _ in 0..2 {
        let rotated = rotate(&store, exchange(&stranger, "r1", "r2", after(10))).await;
        assert_eq!(rotated, refused, "the token was not consumed");
    }
    assert_eq!(last_seen(&store, &stranger).await, [StoredSession::Unknown; 2]);
}

pub(crate) async fn p05_a_revoked_session_refuses(store: Store) {
    let revoked = begun(&store, ADA, "revoked").await;
    let ended = begun(&store, ADA, "ended").await;
    let by_cutoff = begun(&store, ADA, "cutoff").await;
    let used = begun(&store, ADA, "used").await;
    rotate(&store, exchange(&used, "used r1", "used r2", after(10))).await;
    let until = BEGIN + ABSOLUTE;
    let row = audit(&revoked, "session_ended", after(20));
    assert!(store.revoke(revoked.key, until, row).await.expect("the store answers"));
    store.write_tombstone(ended.key, until).await.expect("the store answers");
    revoke_all(&store, all_of(everything(), after(20))).await;
    for record in [&revoked, &ended, &by_cutoff] {
        let refused = Rotated::Refused(unused(RefreshedSession::Revoked));
        for jti in ["r1", "r1", "r2"] {
            let rotated = rotate(&store, exchange(record, jti, "next", after(30))).await;
            assert_eq!(rotated, refused, "{}", record.sid);
        }
    }
    for (jti, is_used) in [("used r1", true), ("used r2", false)] {
        let rotated = rotate(&store, exchange(&used, jti, "next", after(30))).await;
        let Rotated::Refused(state) = rotated else { panic!("{jti} was consumed") };
        assert_eq!(state.session, RefreshedSession::Revoked);
        assert_eq!(state.token != TokenState::Unused, is_used, "{jti}");
    }
}

pub(crate) async fn only_activity_moves_the_last_activity(store: Store) {
    let record = begun(&store, ADA, "s").await;
    let background = with!(exchange(&record, "r1", "r2", after(10)); is_activity = false);
    assert_eq!(rotate(&store, background).await, Rotated::Done);
    assert_eq!(last_seen(&store, &record).await, [StoredSession::Active(BEGIN); 2]);
    let alone = with!(exchange(&record, "r2", "none", after(20)); successors = None);
    assert_eq!(rotate(&store, alone).await, Rotated::Done);
    assert_eq!(last_seen(&store, &record).await, [StoredSession::Active(after(20)); 2]);
    rotate(&store, exchange(&record, "r3", "r4", after(30))).await;
    assert_eq!(last_seen(&store, &record).await, [StoredSession::Active(after(30)); 2]);
}

pub(crate) async fn p12_activity_never_moves_the_last_activity_back(store: Store) {
    let record = begun(&store, ADA, "s").await;
    rotate(&store, exchange(&record, "r1", "r2", after(1000))).await;
    assert_eq!(rotate(&store, exchange(&record, "r2", "r3", after(999))).await, Rotated::Done);
    assert_eq!(last_seen(&store, &record).await, [StoredSession::Active(after(1000)); 2]);
    let known = state(&store, &record, "r3").await;
    assert_eq!(known, unused(RefreshedSession::Known(after(1000))));
}

pub(crate) async fn reading_the_token_state_changes_nothing(store: Store) {
    let record = begun(&store, ADA, "s").await;
    let stranger = ADA.signs_in("stranger", BEGIN);
    rotate(&store, exchange(&record, "r1", "r2", after(10))).await;
    for (of, jti) in [(&record, "r1"), (&record, "r2"), (&stranger, "r9")] {
        let first = state(&store, of, jti).await;
        assert_eq!(state(&store, of, jti).await, first, "{jti}");
    }
    assert_eq!(last_seen(&store, &record).await, [StoredSession::Active(after(10)); 2]);
    assert_eq!(last_seen(&store, &stranger).await, [StoredSession::Unknown; 2]);
    assert_eq!(rotate(&store, exchange(&record, "r2", "r3", after(20))).await, Rotated::Done);
}
