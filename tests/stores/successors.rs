//! The successor of a refresh token, and the adoption of unknown sessions.

use tower_sliding_session::store::{
    RefreshedSession, Rotated, Rotation, SessionRecord, StoredSession, TokenState,
};

use crate::{
    empty_stores::Store,
    rotate::unused,
    sign_in::{
        ABSOLUTE, ADA, BEGIN, after, all_of, begun, everything, exchange, is_active, listed,
        revoke_all, rotate, state, successors, token_state,
    },
};

/// The rotation of the token `jti` of a session that the store may not know.
fn adopting(record: &SessionRecord, jti: &str) -> Rotation {
    with!(exchange(record, jti, "next", after(10)); adopt = Some(record.clone()))
}

pub(crate) async fn a_successor_is_returned_while_it_is_unused(store: Store) {
    let record = begun(&store, ADA, "s").await;
    for (jti, next, millis) in [("r1", "r2", 10), ("r2", "r3", 20), ("r3", "r4", 30)] {
        rotate(&store, exchange(&record, jti, next, after(millis))).await;
    }
    for (jti, millis, successor) in
        [("r1", 10, None), ("r2", 20, None), ("r3", 30, Some(successors("r4")))]
    {
        let expected = TokenState::Used { at: after(millis), successor, had_successor: true };
        assert_eq!(token_state(&store, &record, jti).await, expected, "{jti}");
        let again = rotate(&store, exchange(&record, jti, "stolen", after(40))).await;
        let Rotated::Refused(state) = again else { panic!("{jti} was consumed twice") };
        assert_eq!(state.token, expected, "{jti}");
    }
}

pub(crate) async fn a_successor_that_was_consumed_is_not_returned(store: Store) {
    let record = begun(&store, ADA, "s").await;
    rotate(&store, exchange(&record, "r1", "r2", after(10))).await;
    let alone = with!(exchange(&record, "r2", "none", after(20)); successors = None);
    rotate(&store, alone).await;
    let used = |millis, had_successor| TokenState::Used {
        at: after(millis),
        successor: None,
        had_successor,
    };
    assert_eq!(token_state(&store, &record, "r1").await, used(10, true));
    assert_eq!(token_state(&store, &record, "r2").await, used(20, false));
}

pub(crate) async fn a_successor_that_was_exchanged_is_not_returned(store: Store) {
    let record = begun(&store, ADA, "s").await;
    for (jti, next) in [("r1", "r2"), ("r3", "r1"), ("r4", "r4"), ("r5", "r9"), ("r6", "r9")] {
        rotate(&store, exchange(&record, jti, next, after(10))).await;
    }
    rotate(&store, exchange(&record, "r9", "r10", after(20))).await;
    let used = TokenState::Used { at: after(10), successor: None, had_successor: true };
    for jti in ["r3", "r4", "r5", "r6"] {
        assert_eq!(token_state(&store, &record, jti).await, used, "{jti}");
    }
}

pub(crate) async fn an_unknown_session_is_adopted(store: Store) {
    for (sid, is_activity, last_seen) in [("active", true, after(10)), ("not", false, BEGIN)] {
        let record = ADA.signs_in(sid, BEGIN);
        let rotation = with!(adopting(&record, sid); is_activity = is_activity);
        assert_eq!(rotate(&store, rotation).await, Rotated::Done);
        let kept = store.session(record.key, after(10)).await.expect("the store answers");
        let expected = with!(record.clone(); last_seen = last_seen);
        assert!(kept == Some(expected), "{sid}");
        let stored = store.get(record.key).await.expect("the store answers");
        assert_eq!(stored, StoredSession::Active(last_seen));
        assert_ne!(token_state(&store, &record, sid).await, TokenState::Unused);
        let next = unused(RefreshedSession::Known(last_seen));
        assert_eq!(state(&store, &record, "next").await, next);
    }
    assert_eq!(listed(&store, ADA.user(), after(10)).await.len(), 2);
    assert_eq!(revoke_all(&store, all_of(ADA.account(), after(20))).await, 2);
}

pub(crate) async fn a_known_session_is_not_adopted(store: Store) {
    let record = begun(&store, ADA, "s").await;
    let other = with!(record.clone(); ends_at = record.ends_at + ABSOLUTE);
    assert_eq!(rotate(&store, adopting(&other, "r1")).await, Rotated::Done);
    let kept = store.session(record.key, after(10)).await.expect("the store answers");
    assert!(kept.is_some_and(|kept| kept.ends_at == record.ends_at));
}

pub(crate) async fn p05_nothing_is_adopted_where_the_session_is_revoked(store: Store) {
    let ended = ADA.signs_in("ended", BEGIN);
    let by_cutoff = ADA.signs_in("cutoff", BEGIN);
    store.write_tombstone(ended.key, BEGIN + ABSOLUTE).await.expect("the store answers");
    let refused = Rotated::Refused(unused(RefreshedSession::Revoked));
    assert_eq!(rotate(&store, adopting(&ended, "r1")).await, refused);
    assert_eq!(revoke_all(&store, all_of(everything(), BEGIN)).await, 0);
    for record in [&ended, &by_cutoff] {
        assert_eq!(rotate(&store, adopting(record, "r1")).await, refused, "{}", record.sid);
        assert!(!is_active(&store, record, after(10)).await);
        assert_eq!(token_state(&store, record, "r1").await, TokenState::Unused);
    }
}

pub(crate) async fn nothing_is_adopted_for_a_used_token(store: Store) {
    let first = ADA.signs_in("first", BEGIN);
    let second = ADA.signs_in("second", BEGIN);
    assert_eq!(rotate(&store, adopting(&first, "r1")).await, Rotated::Done);
    let Rotated::Refused(state) = rotate(&store, adopting(&second, "r1")).await else {
        panic!("a token was consumed twice")
    };
    assert_eq!(state.session, RefreshedSession::Unknown);
    assert!(!is_active(&store, &second, after(10)).await);
}
