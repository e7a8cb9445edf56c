//! A session ends once, whoever ends it and whatever is known of it.

use super::{nodes::*, *};
use crate::{
    audit::{AuditEvent, AuditRecord, AuditSubject, SessionEndCause},
    clock::ManualClock,
    identity::Scope,
    store::{
        BulkRevocation, CallerSession, Exempt, LifecycleQueries as _, LifecycleStore as _,
        ListQuery, RefreshQuery, ReplacedSession, RevocationCutoff, SessionRecord, SignIn,
        tombstone::MAX_UNFOLDED,
    },
};

async fn node_with_log(server: &RedisServer) -> RedisStore {
    let store = RedisStore::at(server.url()).time_limit(BOUND);
    let store = store.audit_log(true).list_everything(true).clock(ManualClock::new(NOW));
    store.connect().await.expect("the server accepts connections")
}

/// Ends a session by its key alone; returns whether it was the first to.
async fn end_by_key(node: &RedisStore, session: StoreKey) -> bool {
    let event = AuditEvent::SessionEnded { cause: SessionEndCause::Revoked };
    let subject = AuditSubject { session: Some(session), ..AuditSubject::default() };
    let row = AuditRecord::new(NOW, event, subject);
    node.revoke(Tombstone::new(session, NOW, NOW + DAY), row).await.expect("the server answers")
}

/// Ends a session by its token.
async fn end_by_token(node: &RedisStore, record: &SessionRecord, at: Timestamp) -> bool {
    let tombstone = Tombstone::new(record.key, at, NOW + DAY);
    let tombstone = tombstone.of_user(record.scopes.user, Some(record.epoch));
    node.revoke(tombstone, audit("session_ended")).await.expect("the server answers")
}

async fn rows(node: &RedisStore) -> usize {
    let everything = Scope::Everything(scopes().everything);
    let log = node.audit_log(everything, ListQuery::first(200)).await.expect("it answers");
    log.items.iter().filter(|row| row.event.name() == "session_ended").count()
}

#[tokio::test]
async fn p40_a_session_without_a_record_ends_once() {
    let server = RedisServer::start();
    let (one, other) = (node_with_log(&server).await, node_with_log(&server).await);
    // First by its token, which names the user, and then by its key.
    assert!(end_by_token(&one, &record("token"), NOW).await);
    for node in [&one, &other] {
        assert!(!end_by_key(node, record("token").key).await);
        assert_eq!(rows(node).await, 1);
    }
    // And the other way round.
    assert!(end_by_key(&one, record("key").key).await);
    for node in [&one, &other] {
        node.0.sync_now().await.expect("the server answers");
        assert!(!end_by_token(node, &record("key"), NOW).await);
        assert_eq!(rows(node).await, 2);
    }
}

/// It ends for longer, and not again.
#[tokio::test]
async fn p40_a_step_up_from_a_session_that_has_ended_logs_no_end() {
    let server = RedisServer::start();
    let node = node_with_log(&server).await;
    let before = record("before");
    let end = |until| Tombstone::new(before.key, NOW, until).of_user(before.scopes.user, Some(NOW));
    assert!(node.revoke(end(NOW + IDLE), audit("session_ended")).await.expect("it ends"));
    let mut step_up = SignIn::new(record("after"), audit("session_started"));
    let query = RefreshQuery::new(before.key, before.epoch, before.scopes);
    step_up.replaces = Some(ReplacedSession::new(query, end(NOW + DAY), audit("session_ended")));
    let begun = node.begin(step_up).await.expect("it begins").begun().expect("no limit");
    assert!(begun.ended.is_empty());
    assert_eq!(rows(&node).await, 1);
    assert_eq!(node.0.held_tombstones.until(&before.key), Some(NOW + DAY));
}

/// Folding has failed.
#[tokio::test]
async fn p31_the_tombstones_that_could_be_folded_have_a_bound() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let write = async |record: &SessionRecord| {
        let room = endings::Room::OfUser;
        let keys = record.keys();
        node.0.write_tombstone(keys, NOW + DAY, NOW, None, room).await.map_err(StoreError::from)
    };
    for number in 0..MAX_UNFOLDED {
        let record = begin(&node, &number.to_string()).await;
        write(&record).await.expect("there is room");
    }
    let last = begin(&node, "last").await;
    write(&last).await.expect_err("there is no room");
    let tombstone = Tombstone::new(last.key, NOW, NOW + DAY).of_user(last.scopes.user, None);
    node.revoke(tombstone, audit("session_ended")).await.expect_err("nor is it published");
    assert_eq!(server.command(&["XLEN", "tss:{g}:f"]), "0");
}

#[tokio::test]
async fn p40_a_session_whose_tombstone_is_folded_ends_once() {
    let server = RedisServer::start();
    let (one, other) = (node_with_log(&server).await, node_with_log(&server).await);
    let begun = async |number: u64| {
        let epoch = NOW + Duration::from_millis(number);
        let record = SessionRecord { epoch, ..record(&number.to_string()) };
        let sign_in = SignIn::new(record.clone(), audit("session_started"));
        one.begin(sign_in).await.expect("it begins");
        record
    };
    let mut ended = Vec::new();
    for number in 0..66 {
        ended.push(begun(number).await);
        assert!(end_by_token(&one, &ended[ended.len() - 1], NOW).await);
    }
    // Nobody needs to find those that are folded.
    let found = "local count = 0 for _, key in ipairs(redis.call('KEYS', 'tss:d:*')) do
        count = count + redis.call('HLEN', key) end return count";
    assert_eq!(server.command(&["EVAL", found, "0"]), "1");
    // What was folded is removed with the next ending.
    let later = NOW + Duration::from_secs(3_600);
    let last = begun(100).await;
    assert!(end_by_token(&one, &last, later).await);
    let key = String::from_utf8(keys::Keys::new("tss").tombstones(last.scopes.user));
    let fields = server.command(&["HLEN", &key.expect("the key is text")]);
    assert_eq!(fields, "3", "those of the last two, and what is folded");
    let before = rows(&one).await;
    other.0.sync_now().await.expect("the server answers");
    for node in [&one, &other] {
        assert!(!end_by_token(node, &ended[0], later).await);
    }
    assert_eq!(rows(&one).await, before);
    // Nor does another session replace it.
    let mut step_up = SignIn::new(record("after"), audit("session_started"));
    let SessionRecord { key, epoch, scopes, .. } = ended[0];
    step_up.replaces = Some(ReplacedSession::new(
        RefreshQuery::new(key, epoch, scopes),
        Tombstone::new(key, later, NOW + DAY).of_user(scopes.user, Some(epoch)),
        audit("session_ended"),
    ));
    let begun = one.begin(step_up).await.expect("it begins").begun().expect("no limit");
    assert!(begun.ended.is_empty());
}

/// The store has lost which user the session is of, and not the session.
#[tokio::test]
async fn p04_a_session_that_was_ended_by_its_key_has_ended_whatever_is_found_of_it() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    let recorded = begin(&one, "recorded").await;
    let touched = record("touched");
    let touch = Touch::new(NOW, NOW, IDLE);
    one.touch(touched.keys(), touch).await.expect("the server answers");
    one.flush().await.expect("the activity is written");
    let lose = "for _, key in ipairs(redis.call('KEYS', 'tss:d:*')) do redis.call('DEL', key) end";
    server.command(&["EVAL", lose, "0"]);
    for record in [&recorded, &touched] {
        assert!(end_by_key(&one, record.key).await);
    }
    let user = Scope::User(scopes().user);
    let all = |exempt: Exempt| {
        let cutoff = RevocationCutoff::new(NOW, NOW + DAY);
        let all = BulkRevocation::new(user, NOW, cutoff, audit("sessions_revoked_bulk"));
        BulkRevocation { exempt, ..all }
    };
    for node in [&one, &other] {
        node.0.sync_now().await.expect("the server answers");
        let listed = node.sessions(user, ListQuery::first(9), NOW).await.expect("it answers");
        assert!(listed.items.is_empty());
        let exempt = Exempt::Sessions(vec![recorded.key, touched.key]);
        assert_eq!(node.revoke_all(all(exempt)).await.expect("it is revoked"), 0);
        let caller = CallerSession::new(touched.key, touched.scopes, NOW, IDLE);
        assert_eq!(node.revoke_all(all(Exempt::Caller(caller))).await.expect("it answers"), 0);
        for record in [&recorded, &touched] {
            assert_eq!(node.0.revocations.exempt_until(&record.key), None);
        }
    }
}

/// A node reads what it has published itself later than it applies that.
#[tokio::test]
async fn p22_a_session_without_a_user_has_ended_until_the_latest_instant() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let session = StoreKey::session(None, "s");
    for until in [NOW + IDLE, NOW + DAY, NOW + IDLE] {
        node.0.hold_unplaced(session, until, 0);
    }
    assert_eq!(node.0.unplaced_until(session), Some(NOW + DAY));
}

#[tokio::test]
async fn p22_every_node_holds_a_tombstone_until_the_end_of_its_record() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    let record = begin(&one, "s").await;
    // The caller does not know how long tokens of the session may live.
    let tombstone = Tombstone::new(record.key, NOW, NOW + IDLE).of_user(record.scopes.user, None);
    assert!(one.revoke(tombstone, audit("session_ended")).await.expect("it ends"));
    other.0.sync_now().await.expect("the server answers");
    for node in [&one, &other] {
        assert_eq!(node.0.held_tombstones.until(&record.key), Some(record.ends_at));
    }
}

#[tokio::test]
async fn p04_no_record_begins_of_a_session_that_has_ended() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    let record = begin(&one, "s").await;
    assert!(end_by_token(&one, &record, NOW).await);
    let sign_in = SignIn::new(record.clone(), audit("session_started"));
    one.begin(sign_in).await.expect_err("it has ended");
    // As a node does that has read the session before.
    let begun = other.0.put(&record).await;
    assert!(begun.expect("the server answers").is_none());
    let user = Scope::User(record.scopes.user);
    let listed = other.sessions(user, ListQuery::first(9), NOW).await.expect("it answers");
    assert!(listed.items.is_empty());
}

#[tokio::test]
async fn p15_nothing_is_left_of_a_session_that_has_ended_but_its_tombstone() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let (before, after) = (begin(&node, "before").await, begin(&node, "exempt").await);
    let account = Scope::Account(scopes().account.expect("ada has an account"));
    let cutoff = RevocationCutoff::new(NOW, NOW + DAY);
    let mut all = BulkRevocation::new(account, NOW, cutoff, audit("sessions_revoked_bulk"));
    all.exempt = Exempt::Sessions(vec![after.key]);
    assert_eq!(node.revoke_all(all).await.expect("it is revoked"), 1);
    let keys = keys::Keys::new("tss");
    let text = |key: Vec<u8>| String::from_utf8(key).expect("the key is text");
    let [list, _] = keys.list(account);
    let counts = || {
        let kept = server.command(&["HLEN", &text(keys.kept())]);
        let listed = server.command(&["ZCARD", &text(list.clone())]);
        let fields = server.command(&["HLEN", &text(keys.tombstones(after.scopes.user))]);
        [kept, listed, fields]
    };
    assert_eq!(counts(), ["2", "2", "0"], "a cutoff and an exemption");
    for record in [&before, &after] {
        assert!(end_by_token(&node, record, NOW).await);
    }
    assert_eq!(counts(), ["1", "0", "2"]);
    let next = begin(&node, "next").await;
    for (exempt, kept) in [(Exempt::Sessions(vec![next.key]), "2"), (Exempt::None, "1")] {
        let mut all = BulkRevocation::new(account, NOW, cutoff, audit("sessions_revoked_bulk"));
        all.exempt = exempt;
        node.revoke_all(all).await.expect("it is revoked");
        assert_eq!(counts()[0], kept, "an exemption ends with its session");
    }
    let feed = || server.command(&["XLEN", &text(keys.feed())]);
    let entries = feed();
    assert!(!end_by_token(&node, &after, NOW).await);
    assert_eq!(feed(), entries, "an end that has been published is not published again");
}
