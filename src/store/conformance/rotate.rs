//! Exchanges of refresh tokens.

use crate::store::{
    RefreshState, RefreshedSession, Rotated, Rotation, SessionRecord, StoredSession, TokenExchange,
    Touch,
    conformance::sign_in::{
        ABSOLUTE, ADA, BEGIN, Store, after, all_of, audit, begun, everything, exchange, revoke_all,
        rotate, rotation, state, tombstone, touch, unrefreshed,
    },
};

async fn last_seen(store: &Store, record: &SessionRecord) -> [StoredSession; 2] {
    let kept = store.session(record.key, BEGIN).await.expect("the store answers");
    let kept =
        kept.map_or(StoredSession::Unknown, |record| StoredSession::Active(record.last_seen));
    [kept, store.get(record.keys()).await.expect("the store answers")]
}

pub(super) async fn a_token_of_the_recorded_generation_is_exchanged(store: Store) {
    let record = begun(&store, ADA, "s").await;
    assert_eq!(state(&store, &record).await, unrefreshed(BEGIN));
    for generation in 0..3 {
        let at = after(10 * u64::from(generation));
        let id = generation.to_string();
        assert_eq!(rotate(&store, rotation(&record, generation, &id, at)).await, Rotated::Done);
        let session = RefreshedSession::new(at).exchanged(generation + 1, exchange(&id, at));
        assert_eq!(state(&store, &record).await, RefreshState::Known(session));
    }
}

pub(super) async fn a_token_of_an_earlier_generation_is_refused_and_changes_nothing(store: Store) {
    let record = begun(&store, ADA, "s").await;
    rotate(&store, rotation(&record, 0, "first", after(10))).await;
    rotate(&store, rotation(&record, 1, "second", after(20))).await;
    let before = state(&store, &record).await;
    for generation in [0, 1, 0] {
        let again = rotate(&store, rotation(&record, generation, "stolen", after(500))).await;
        assert_eq!(again, Rotated::Refused(before.clone()));
    }
    assert_eq!(state(&store, &record).await, before);
    assert_eq!(last_seen(&store, &record).await, [StoredSession::Active(after(20)); 2]);
}

pub(super) async fn p33_a_record_that_lacks_exchanges_continues_from_the_token(store: Store) {
    let record = begun(&store, ADA, "s").await;
    let rotated = rotate(&store, rotation(&record, 7, "eighth", after(10))).await;
    assert_eq!(rotated, Rotated::Done);
    let session = RefreshedSession::new(after(10)).exchanged(8, exchange("eighth", after(10)));
    assert_eq!(state(&store, &record).await, RefreshState::Known(session.clone()));
    let again = rotate(&store, rotation(&record, 7, "stolen", after(20))).await;
    assert_eq!(again, Rotated::Refused(RefreshState::Known(session)));
}

pub(super) async fn a_token_can_be_consumed_without_a_successor(store: Store) {
    let record = begun(&store, ADA, "s").await;
    let alone = TokenExchange::new(after(10), None);
    let alone = Rotation { exchange: alone.clone(), ..rotation(&record, 0, "none", after(10)) };
    assert_eq!(rotate(&store, alone.clone()).await, Rotated::Done);
    let session = RefreshedSession::new(after(10)).exchanged(1, alone.exchange.clone());
    let later = Rotation { exchange: exchange("late", after(20)), ..alone };
    assert_eq!(rotate(&store, later).await, Rotated::Refused(RefreshState::Known(session)));
}

pub(super) async fn p32_refreshes_leave_nothing_but_the_last(store: Store) {
    let record = begun(&store, ADA, "s").await;
    for generation in 0..300 {
        let rotated = rotate(&store, rotation(&record, generation, "next", after(1))).await;
        assert_eq!(rotated, Rotated::Done, "{generation}");
    }
    let session = RefreshedSession::new(after(1)).exchanged(300, exchange("next", after(1)));
    assert_eq!(state(&store, &record).await, RefreshState::Known(session));
}

pub(super) async fn the_latest_presented_generation_is_recorded(store: Store) {
    let record = begun(&store, ADA, "s").await;
    rotate(&store, rotation(&record, 0, "first", after(10))).await;
    for (generation, presented) in [(0, 0), (1, 1), (0, 1)] {
        let touch = Touch { generation, ..touch(after(20), BEGIN) };
        store.touch(record.keys(), touch).await.expect("the store answers");
        let session = RefreshedSession::new(after(20)).exchanged(1, exchange("first", after(10)));
        let session = RefreshedSession { presented, ..session };
        assert_eq!(state(&store, &record).await, RefreshState::Known(session), "{generation}");
    }
}

pub(super) async fn p05_a_revoked_session_refuses(store: Store) {
    let revoked = begun(&store, ADA, "revoked").await;
    let ended = begun(&store, ADA, "ended").await;
    let by_cutoff = begun(&store, ADA, "cutoff").await;
    let until = BEGIN + ABSOLUTE;
    let row = audit(&revoked, "session_ended", after(20));
    assert!(store.revoke(tombstone(revoked.key, until), row).await.expect("the store answers"));
    store.write_tombstone(tombstone(ended.key, until)).await.expect("the store answers");
    revoke_all(&store, all_of(everything(), after(20))).await;
    for record in [&revoked, &ended, &by_cutoff] {
        for generation in [0, 0, 1] {
            let rotated = rotate(&store, rotation(record, generation, "next", after(30))).await;
            assert_eq!(rotated, Rotated::Refused(RefreshState::Revoked), "{}", record.sid);
        }
    }
}

pub(super) async fn only_activity_moves_the_last_activity(store: Store) {
    let record = begun(&store, ADA, "s").await;
    let background = Rotation { is_activity: false, ..rotation(&record, 0, "first", after(10)) };
    assert_eq!(rotate(&store, background).await, Rotated::Done);
    assert_eq!(last_seen(&store, &record).await, [StoredSession::Active(BEGIN); 2]);
    assert_eq!(rotate(&store, rotation(&record, 1, "second", after(20))).await, Rotated::Done);
    assert_eq!(last_seen(&store, &record).await, [StoredSession::Active(after(20)); 2]);
}

pub(super) async fn p12_activity_never_moves_the_last_activity_back(store: Store) {
    let record = begun(&store, ADA, "s").await;
    rotate(&store, rotation(&record, 0, "first", after(1000))).await;
    assert_eq!(rotate(&store, rotation(&record, 1, "second", after(999))).await, Rotated::Done);
    assert_eq!(last_seen(&store, &record).await, [StoredSession::Active(after(1000)); 2]);
}

pub(super) async fn reading_the_state_changes_nothing(store: Store) {
    let record = begun(&store, ADA, "s").await;
    let stranger = ADA.signs_in("stranger", BEGIN);
    rotate(&store, rotation(&record, 0, "first", after(10))).await;
    for of in [&record, &stranger] {
        let first = state(&store, of).await;
        assert_eq!(state(&store, of).await, first, "{}", of.sid);
    }
    assert_eq!(state(&store, &stranger).await, RefreshState::Unknown(None));
    assert_eq!(last_seen(&store, &record).await, [StoredSession::Active(after(10)); 2]);
    assert_eq!(last_seen(&store, &stranger).await, [StoredSession::Unknown; 2]);
}

pub(super) async fn p33_a_lost_session_gets_its_record_again(store: Store) {
    for (sid, is_activity, last_seen) in [("active", true, after(10)), ("not", false, BEGIN)] {
        let record = ADA.signs_in(sid, BEGIN);
        let rotation = Rotation { is_activity, ..rotation(&record, 3, sid, after(10)) };
        assert_eq!(rotate(&store, rotation).await, Rotated::Done);
        let kept = store.session(record.key, after(10)).await.expect("the store answers");
        let expected = SessionRecord { last_seen, ..record.clone() };
        assert!(kept == Some(expected), "{sid}");
        let stored = store.get(record.keys()).await.expect("the store answers");
        assert_eq!(stored, StoredSession::Active(last_seen));
        let session = RefreshedSession::new(last_seen).exchanged(4, exchange(sid, after(10)));
        assert_eq!(state(&store, &record).await, RefreshState::Known(session));
    }
    assert_eq!(revoke_all(&store, all_of(ADA.account(), after(20))).await, 2);
}

pub(super) async fn a_known_session_keeps_its_record(store: Store) {
    let record = begun(&store, ADA, "s").await;
    let other = SessionRecord { ends_at: record.ends_at + ABSOLUTE, ..record.clone() };
    assert_eq!(rotate(&store, rotation(&other, 0, "first", after(10))).await, Rotated::Done);
    let kept = store.session(record.key, after(10)).await.expect("the store answers");
    assert!(kept.is_some_and(|kept| kept.ends_at == record.ends_at));
}

pub(super) async fn p05_a_revoked_session_gets_no_record(store: Store) {
    let ended = ADA.signs_in("ended", BEGIN);
    let by_cutoff = ADA.signs_in("cutoff", BEGIN);
    store.write_tombstone(tombstone(ended.key, BEGIN + ABSOLUTE)).await.expect("the store answers");
    assert_eq!(revoke_all(&store, all_of(everything(), BEGIN)).await, 0);
    for record in [&ended, &by_cutoff] {
        let refused = rotate(&store, rotation(record, 0, "first", after(10))).await;
        assert_eq!(refused, Rotated::Refused(RefreshState::Revoked), "{}", record.sid);
        let kept = store.session(record.key, after(10)).await.expect("the store answers");
        assert!(kept.is_none());
    }
}
