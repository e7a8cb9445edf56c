//! Hostile strings and extreme instants.

use std::time::Duration;

use crate::{
    audit::{ActivityEntry, AuditActor, AuditEvent, AuditRecord, AuditSubject},
    identity::{Scope, Scopes, StoreKey},
    policy::TimeoutOverrides,
    store::{
        ListQuery, OverridesChange, RefreshQuery, RefreshState, RefreshedSession, Rotated,
        Rotation, SessionRecord, SignIn, SuccessorIds, TokenExchange, Touch,
        conformance::sign_in::{
            ADA, BEGIN, Store, after, all_of, audit, audited, begin, everything, tombstone,
        },
    },
    time::Timestamp,
};

/// The last millisecond that a claim may hold.
const END_OF_9999: Timestamp = Timestamp::from_millis(253_402_300_799_999);

fn hostile_strings() -> Vec<String> {
    let long = "s".repeat(8 * 1024);
    [
        "",
        "\0",
        "a\0b",
        "'; DROP TABLE sessions; --",
        "\" OR \"1\"=\"1",
        "\\",
        "\\x00",
        "%_%",
        "$1 ?1 :a @b {}",
        "line\r\nbreak\ttab",
        "Ünï€ødé 名前 🦀",
        "e\u{301}",
        "\u{202e}\u{200b}\u{feff}\u{ffff}\u{10ffff}",
        "null",
        " leading and trailing ",
        &long,
    ]
    .map(str::to_owned)
    .to_vec()
}

fn record_of(text: &str) -> SessionRecord {
    SessionRecord {
        key: StoreKey::session(Some(text), text),
        sid: text.to_owned(),
        sub: text.to_owned(),
        tenant: Some(text.to_owned()),
        profile: Some(text.to_owned()),
        scopes: Scopes::new(Some(text), Some(text), text),
        ..ADA.signs_in("s", BEGIN)
    }
}

pub(super) async fn p14_strings_are_returned_as_stored(store: Store) {
    for text in hostile_strings() {
        let record = record_of(&text);
        let detail = serde_json::json!({ "text": text }).to_string();
        let event = AuditEvent::from_stored(&text, &detail);
        let subject = AuditSubject::from_session(record.key, &record.scopes);
        let subject = subject.with_sub(Some(text.as_str().into()));
        let actor = AuditActor::new(record.scopes.user).with_sub(Some(text.as_str().into()));
        let row = AuditRecord::new(BEGIN, event, subject).with_actor(Some(actor));
        store.begin(SignIn::new(record.clone(), row.clone())).await.expect("the store answers");
        let kept = store.session(record.key, BEGIN).await.expect("the store answers");
        assert!(kept == Some(record.clone()), "{text:?}");
        let user = Scope::User(record.scopes.user);
        let page = store.sessions(user, ListQuery::first(2), BEGIN).await;
        assert!(page.expect("the store answers").items == [record.clone()], "{text:?}");
        let account = StoreKey::account(Some(&text), &text);
        let users = store
            .active_users(account, 2, BEGIN)
            .expect("the store has a query")
            .await
            .expect("the store answers");
        assert_eq!(users.into_iter().map(|user| user.sub).collect::<Vec<_>>(), [text.as_str()]);
        let page = store.audit_log(user, ListQuery::first(2)).await.expect("the store answers");
        assert!(page.items == [row], "{text:?}");

        let (session, user_key) = (record.key, record.scopes.user);
        let mut entry = ActivityEntry::new(BEGIN, session, user_key, "GET", 200);
        entry.method = text.clone().into();
        entry.route = Some(text.as_str().into());
        entry.code = Some(text.clone().into());
        store.append_activity([entry.clone()].into()).await.expect("the store answers");
        let page = store.activity_log(user, ListQuery::first(2)).await.expect("the store answers");
        assert!(page.items == [entry], "{text:?}");

        let ask = RefreshQuery::new(record.key, BEGIN, record.scopes);
        let ids = SuccessorIds::new(text.clone(), text.clone());
        let exchange = TokenExchange::new(BEGIN, Some(ids));
        let rotation = Rotation::new(ask, 0, exchange.clone(), record.clone());
        assert_eq!(store.rotate(rotation).await.expect("the store answers"), Rotated::Done);
        let state = store.refresh_state(ask).await.expect("the store answers");
        let expected = RefreshedSession::new(BEGIN).exchanged(1, exchange);
        assert_eq!(state, RefreshState::Known(expected), "{text:?}");
    }
}

pub(super) async fn p14_look_alike_strings_are_different_sessions(store: Store) {
    let pairs = [("a", "a\0"), ("a ", " a"), ("é", "e\u{301}"), ("Ada", "ada"), ("", "\0")];
    for (one, other) in pairs {
        let (one, other) = (record_of(one), record_of(other));
        begin(&store, &one).await;
        let unknown = store.session(other.key, BEGIN).await.expect("the store answers");
        assert!(unknown.is_none(), "{:?}", other.sid);
        let scope = Scope::User(other.scopes.user);
        let page = store.sessions(scope, ListQuery::first(2), BEGIN).await;
        assert!(page.expect("the store answers").items.is_empty(), "{:?}", other.sid);
    }
}

/// Calls every method of a store at `now`.
async fn everything_at(store: &Store, sid: &str, now: Timestamp, idle: Duration) {
    let record = SessionRecord { idle, ends_at: now, ..ADA.signs_in(sid, now) };
    let row = audit(&record, "happened", now);
    let answers = "the store answers";
    store.begin(SignIn::new(record.clone(), row.clone())).await.expect(answers);
    let touch = Touch::new(now, now, idle);
    store.touch(record.keys(), touch).await.expect(answers);
    store.get(record.keys()).await.expect(answers);
    let ask = RefreshQuery::new(record.key, now, record.scopes);
    store.refresh_state(ask).await.expect(answers);
    for generation in [0, u32::MAX, u32::MAX] {
        let exchange = TokenExchange::new(now, None);
        let rotation = Rotation::new(ask, generation, exchange, record.clone());
        let rotation = Rotation { is_activity: true, ..rotation };
        store.rotate(rotation).await.expect(answers);
    }
    store.session(record.key, now).await.expect(answers);
    store.sessions(everything(), ListQuery::first(100), now).await.expect(answers);
    store.active_users(ADA.account().key(), u32::MAX, now).expect(answers).await.expect(answers);
    store.active_users(ADA.account().key(), 0, now).expect(answers).await.expect(answers);
    let longest = TimeoutOverrides::new().idle(idle).absolute(Duration::MAX);
    for (old, new) in
        [(TimeoutOverrides::default(), longest), (longest, TimeoutOverrides::default())]
    {
        let account = ADA.account().key();
        let change = OverridesChange::new(account, old, new, row.clone());
        store.set_overrides(change).await.expect(answers);
    }
    store.append_audit([row.clone()].into()).await.expect(answers);
    store.revoke_all(all_of(ADA.user(), now)).await.expect(answers);
    let again = SessionRecord { idle, ..ADA.signs_in(&format!("{sid} again"), now) };
    store.begin(SignIn::new(again, row.clone())).await.expect(answers);
    store.revoke(tombstone(record.key, now), row).await.expect(answers);
    store.write_tombstone(tombstone(record.key, now)).await.expect(answers);
}

pub(super) async fn p13_extreme_instants_do_not_panic(store: Store) {
    let mut instants = vec![BEGIN, Timestamp::EPOCH, Timestamp::from_millis(1), END_OF_9999];
    instants.extend([i64::MAX.unsigned_abs(), u64::MAX].map(Timestamp::from_millis));
    for (step, now) in instants.iter().chain(instants.iter().rev()).enumerate() {
        for idle in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            everything_at(&store, &format!("{step} {idle:?}"), *now, idle).await;
        }
    }
}

pub(super) async fn p13_the_earliest_and_latest_instants_are_stored_exactly(store: Store) {
    for (sid, at) in [("first", Timestamp::EPOCH), ("last", END_OF_9999)] {
        let record = SessionRecord {
            auth_time: at,
            epoch: at,
            last_seen: at,
            idle: Duration::from_secs(400 * 24 * 3600),
            ends_at: END_OF_9999 + Duration::from_millis(1),
            ..ADA.signs_in(sid, BEGIN)
        };
        assert_eq!(begin(&store, &record).await, at);
        let kept = store.session(record.key, at).await.expect("the store answers");
        assert!(kept == Some(record), "{sid}");
        assert!(audited(&store, "session_started").await.iter().any(|row| row.at == at), "{sid}");
    }
    let revoked = store.revoke_all(all_of(ADA.user(), END_OF_9999)).await;
    assert!(revoked.expect("the store answers") >= 1);
    let next = begin(&store, &ADA.signs_in("next", after(1))).await;
    assert_eq!(next, END_OF_9999 + Duration::from_millis(1));
}
