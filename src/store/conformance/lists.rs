//! Reading active sessions and their users.

use std::time::Duration;

use crate::{
    store::{
        Exempt, SessionRecord,
        conformance::sign_in::{
            ABSOLUTE, ADA, BEGIN, BOB, EVE, IDLE, JOY, Person, Store, after, all_of, begin, begun,
            everything, is_active, listed, revoke_all, rotate, rotation, session, tombstone, touch,
        },
    },
    time::Timestamp,
};

const MILLI: Duration = Duration::from_millis(1);
const ACME: [Person; 2] = [ADA, BOB];

async fn users(store: &Store, limit: u32, now: Timestamp) -> Vec<(String, Timestamp)> {
    let account = ADA.account().key();
    let users = store
        .active_users(account, limit, now)
        .expect("the store has a query")
        .await
        .expect("the store answers");
    users.into_iter().map(|user| (user.sub, user.last_login_at)).collect()
}

pub(super) async fn a_session_is_active_until_its_deadlines(store: Store) {
    let idle = begun(&store, ADA, "idle").await;
    let short = SessionRecord { ends_at: after(5000), ..ADA.signs_in("absolute", BEGIN) };
    begin(&store, &short).await;
    for (record, deadline) in [(&idle, BEGIN + IDLE), (&short, after(5000))] {
        for (now, expected) in
            [(deadline - MILLI, true), (deadline, false), (Timestamp::MAX, false)]
        {
            assert_eq!(is_active(&store, record, now).await, expected, "{} {now:?}", record.sid);
            let is_listed = listed(&store, ADA.user(), now).await.contains(&record.sid);
            assert_eq!(is_listed, expected, "{} {now:?}", record.sid);
        }
    }
    assert!(is_active(&store, &idle, BEGIN).await, "reading changes nothing");
}

pub(super) async fn activity_by_request_or_refresh_extends_a_session(store: Store) {
    let requested = begun(&store, ADA, "requested").await;
    let refreshed = begun(&store, ADA, "refreshed").await;
    let at = BEGIN + IDLE - MILLI;
    store.touch(requested.keys(), touch(at, at)).await.expect("the store answers");
    store.flush().await.expect("the activity is written");
    rotate(&store, rotation(&refreshed, 0, "first", at)).await;
    for record in [requested, refreshed] {
        assert!(is_active(&store, &record, at + IDLE - MILLI).await, "{}", record.sid);
        assert!(!is_active(&store, &record, at + IDLE).await, "{}", record.sid);
        let kept = store.session(record.key, at).await.expect("the store answers");
        let expected = SessionRecord { last_seen: at, ..record };
        assert!(kept == Some(expected), "the record has the later activity");
    }
}

pub(super) async fn an_unknown_session_has_no_record(store: Store) {
    begun(&store, ADA, "s").await;
    let unknown = store.session(session("another"), BEGIN).await.expect("the store answers");
    assert!(unknown.is_none());
    assert!(listed(&store, BOB.user(), BEGIN).await.is_empty());
    assert!(users(&store, 10, BEGIN).await.len() == 1);
}

pub(super) async fn a_list_holds_the_active_sessions_of_its_scope(store: Store) {
    for (millis, person) in [ADA, BOB, EVE, JOY].into_iter().enumerate() {
        let at = after(millis as u64);
        begin(&store, &person.signs_in(person.sub, at)).await;
    }
    let now = after(10);
    assert_eq!(listed(&store, everything(), now).await, ["joy", "eve", "bob", "ada"]);
    assert_eq!(listed(&store, ADA.account(), now).await, ["bob", "ada"]);
    assert_eq!(listed(&store, EVE.account(), now).await, ["eve"]);
    assert_eq!(listed(&store, JOY.user(), now).await, ["joy"]);
    store
        .write_tombstone(tombstone(session("bob"), BEGIN + ABSOLUTE))
        .await
        .expect("the store answers");
    assert_eq!(listed(&store, ADA.account(), now).await, ["ada"]);
    revoke_all(&store, all_of(ADA.user(), now)).await;
    assert_eq!(listed(&store, everything(), now).await, ["joy", "eve"]);
}

pub(super) async fn active_users_are_distinct_and_the_latest_sign_in_first(store: Store) {
    for (device, millis) in [10, 40, 20].into_iter().enumerate() {
        begin(&store, &ADA.signs_in(&format!("ada {device}"), after(millis))).await;
        begin(&store, &BOB.signs_in(&format!("bob {device}"), after(millis + 10))).await;
    }
    begun(&store, EVE, "of another account").await;
    let [ada, bob] = ACME.map(|person| person.sub.to_owned());
    let expected = [(bob, after(50)), (ada, after(40))];
    assert_eq!(users(&store, 10, after(60)).await, expected);
    assert_eq!(users(&store, 2, after(60)).await, expected);
    assert_eq!(users(&store, 1, after(60)).await, expected[..1]);
}

pub(super) async fn active_users_have_an_active_session(store: Store) {
    for (sid, person, millis) in
        [("ada 1", ADA, 10), ("ada 2", ADA, 40), ("bob 1", BOB, 20), ("bob 2", BOB, 30)]
    {
        begin(&store, &person.signs_in(sid, after(millis))).await;
    }
    let now = after(50);
    store
        .write_tombstone(tombstone(session("ada 2"), BEGIN + ABSOLUTE))
        .await
        .expect("the store answers");
    let [ada, bob] = ACME.map(|person| person.sub.to_owned());
    let expected = [(bob.clone(), after(30)), (ada, after(10))];
    assert_eq!(users(&store, 10, now).await, expected);
    let ada_1_is_idle = after(10) + IDLE;
    assert_eq!(users(&store, 10, ada_1_is_idle).await, [(bob.clone(), after(30))]);
    let mut revocation = all_of(BOB.user(), now);
    revocation.exempt = Exempt::Sessions(vec![session("bob 1")]);
    revoke_all(&store, revocation).await;
    assert_eq!(users(&store, 1, now).await, [(bob, after(20))]);
}
