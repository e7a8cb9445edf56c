//! Sign-ins and step-ups: one step each.

use super::{nodes::*, *};
use crate::{
    audit::{AuditEvent, SessionEndCause},
    clock::{Clock as _, ManualClock},
    identity::{Scope, Scopes, SessionKeys},
    store::{
        LifecycleQueries as _, LifecycleStore as _, ListQuery, OnSessionLimit, RefreshQuery,
        ReplacedSession, SessionLimit, SessionRecord, SignIn,
        node::GRACE,
        redis::sign_in::{Beginning, Origin, Replaced},
        tombstone::MAX_UNFOLDED,
    },
};

fn replaced(record: &SessionRecord) -> ReplacedSession {
    let SessionRecord { key, epoch, scopes, .. } = *record;
    let tombstone = Tombstone::new(key, NOW, NOW + DAY).of_user(scopes.user, Some(epoch));
    let ended = AuditEvent::SessionEnded { cause: SessionEndCause::Replaced };
    let audit = crate::audit::AuditRecord::new(
        NOW,
        ended,
        crate::audit::AuditSubject::from_session(key, &scopes),
    );
    ReplacedSession::new(RefreshQuery::new(key, epoch, scopes), tombstone, audit)
}

#[tokio::test]
async fn p04_a_step_up_ends_the_session_that_it_replaces_in_the_same_step() {
    let server = RedisServer::start();
    let rights = |keys: &[&str]| {
        let user = ["ACL", "SETUSER", "app", "reset", "on", ">pass", "+@all"];
        server.command(&[&user, keys].concat());
    };
    rights(&["~*"]);
    let address = server.url().replacen("://", "://app:pass@", 1);
    let stops = RedisStore::at(address).time_limit(BOUND).audit_log(true);
    let stops = stops.clock(ManualClock::new(NOW)).connect().await.expect("the server runs");
    let other = RedisStore::at(server.url()).time_limit(BOUND).audit_log(true);
    let other = other.clock(ManualClock::new(NOW)).connect().await.expect("the server runs");
    let before = begin(&stops, "before").await;
    // It may write what belongs to users, and not publish: as if it was killed after the step.
    rights(&["~tss:{??*}*", "~tss:[bd]:*", "~tss:{g}:[fqm]"]);
    let after = record("after");
    let mut step_up = SignIn::new(after.clone(), audit("session_started"));
    step_up.replaces = Some(replaced(&before));
    let begun = stops.begin(step_up.clone()).await.expect("both have happened").begun();
    assert_eq!(begun.expect("no limit").ended.len(), 1);
    assert_eq!(touched(&stops, &before).await, TouchOutcome::Ended);
    let user = Scope::User(before.scopes.user);
    let listed = other.sessions(user, ListQuery::first(10), NOW).await.expect("the server answers");
    let sids: Vec<_> = listed.items.iter().map(|session| &*session.sid).collect();
    assert_eq!(sids, ["after"]);
    let stored = other.get(before.keys()).await.expect("the server answers");
    assert_eq!(stored, StoredSession::Ended);
    let log = other.audit_log(user, ListQuery::first(10)).await.expect("the server answers");
    let names: Vec<_> = log.items.iter().map(|row| row.event.name()).collect();
    assert_eq!(names, ["session_ended", "session_started", "session_started"]);
    // Sent again, it changes nothing.
    rights(&["~*"]);
    stops.begin(step_up).await.expect("it has begun");
    let log = other.audit_log(user, ListQuery::first(10)).await.expect("the server answers");
    assert_eq!(log.items.len(), 3);
}

#[tokio::test]
async fn p23_a_session_ends_whose_end_could_not_be_published() {
    let server = RedisServer::start();
    let (one, clock) = (node(&server).await, ManualClock::new(NOW));
    let other = RedisStore::at(server.url()).time_limit(BOUND).clock(clock.clone());
    let other = other.connect().await.expect("the server runs");
    let before = begin(&one, "before").await;
    assert_eq!(touched(&other, &before).await, TouchOutcome::Active(Some(NOW)));
    // As a node does that is killed after the step.
    let SessionKeys { session, user } = before.keys();
    let keys = SessionKeys::new(session, user);
    let written = one.0.write_tombstone(keys, NOW + DAY, NOW, None, endings::Room::OfUser).await;
    assert!(written.map_err(StoreError::from).expect("the server answers").0);
    clock.advance(Duration::from_secs(60));
    let now = clock.now();
    other.0.sync_now().await.expect("the server answers");
    let touch = Touch::new(now, NOW, IDLE);
    let mut stream = other.0.revocations.open_stream(before.key, before.scopes, before.epoch);
    assert_eq!(
        other.touch(before.keys(), touch).await.expect("it is cached"),
        TouchOutcome::Active(Some(NOW))
    );
    other.flush().await.expect("the server answers");
    assert_eq!(other.touch(before.keys(), touch).await.expect("ok"), TouchOutcome::Ended);
    assert!(stream.take_change());
    stream.close(Some(&other.0.revocations));
}

#[tokio::test]
async fn p23_a_step_up_is_published_until_that_succeeds_and_the_caller_need_not_wait() {
    for is_cancelled in [false, true] {
        let server = RedisServer::start();
        let rights = |keys: &[&str]| {
            let user = ["ACL", "SETUSER", "app", "reset", "on", ">pass", "+@all"];
            server.command(&[&user, keys].concat());
        };
        rights(&["~*"]);
        let address = server.url().replacen("://", "://app:pass@", 1);
        let stops = RedisStore::at(address).time_limit(BOUND).clock(ManualClock::new(NOW));
        let stops = stops.connect().await.expect("the server runs");
        let other = node(&server).await;
        let before = begin(&stops, "before").await;
        assert_eq!(touched(&other, &before).await, TouchOutcome::Active(Some(NOW)));
        let mut step_up = SignIn::new(record("after"), audit("session_started"));
        step_up.replaces = Some(replaced(&before));
        if is_cancelled {
            // The caller goes while the server runs the step.
            let unpublished = unpublished_ending::UnpublishedEnding::new(&stops.0, before.keys());
            drop(unpublished);
            tokio::task::yield_now().await;
            let keys = before.keys();
            let room = endings::Room::OfUser;
            let written = other.0.write_tombstone(keys, NOW + DAY, NOW, None, room).await;
            written.map_err(StoreError::from).expect("the server answers");
        } else {
            rights(&["~tss:{??*}*", "~tss:[bd]:*", "~tss:{g}:[fqm]"]);
            stops.begin(step_up).await.expect("both have happened");
            rights(&["~*"]);
        }
        let heard = async {
            while touched(&other, &before).await != TouchOutcome::Ended {
                other.0.sync_now().await.expect("the server answers");
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, heard).await.expect("it is published");
    }
}

#[tokio::test]
async fn p23_a_step_up_that_fails_leaves_the_session_as_it_is() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    let before = begin(&one, "before").await;
    let mut step_up = SignIn::new(record("after"), audit("session_started"));
    step_up.replaces = Some(replaced(&before));
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    one.begin(step_up.clone()).await.expect_err("the server has no memory");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    other.0.sync_now().await.expect("the server answers");
    assert_eq!(touched(&other, &before).await, TouchOutcome::Active(Some(NOW)));
    let begun = one.begin(step_up).await.expect("it begins").begun().expect("no limit");
    assert_eq!(begun.ended.len(), 1);
    other.0.sync_now().await.expect("the server answers");
    assert_eq!(touched(&other, &before).await, TouchOutcome::Ended);
}

#[tokio::test]
async fn p31_a_user_has_at_most_a_thousand_records_and_no_session_ends_for_it() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    let begun = |number: u64| {
        let at = NOW + Duration::from_millis(number);
        SessionRecord { last_seen: at, auth_time: at, epoch: at, ..record(&number.to_string()) }
    };
    for number in 0..1_002 {
        let sign_in = SignIn::new(begun(number), audit("session_started"));
        one.begin(sign_in).await.expect("it begins").begun().expect("no limit");
    }
    let bob = SessionRecord {
        scopes: Scopes::new(None, None, "bob"),
        sub: "bob".to_owned(),
        ..record("bob's")
    };
    let sign_in = SignIn::new(bob.clone(), audit("session_started"));
    one.begin(sign_in).await.expect("it begins");
    let first = begun(0);
    let stored = other.stored_record(&first).await;
    assert!(stored.is_none(), "the least active session has no record");
    assert!(other.stored_record(&begun(2)).await.is_some());
    assert!(other.stored_record(&bob).await.is_some());
    let records = server.command(&["STRLEN", &key_of_records(&first)]);
    let bytes: usize = records.parse().expect("a number");
    assert!(bytes < 1_001 * 160, "{bytes} bytes");
    // Its token decides, and the activity is kept.
    let at = first.last_seen;
    let touch = Touch::new(at, at, IDLE);
    assert_eq!(
        other.touch(first.keys(), touch).await.expect("it answers"),
        TouchOutcome::Active(None)
    );
    // A limit counts no session without a record, and at most 999: the new one has a record before the first
    // ends.
    let last = limited("last", NOW + Duration::from_secs(2), 5_000);
    let begun = one.begin(last).await.expect("it begins").begun().expect("no session is refused");
    assert_eq!(begun.ended.len(), 2);
}

#[tokio::test]
async fn p15_a_record_that_has_expired_is_removed_by_the_next_sign_in() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let first = begin(&node, "first").await;
    let expires_at = first.ends_at + GRACE;
    for (sid, at, is_kept) in
        [("before", expires_at - Duration::from_millis(1), true), ("at", expires_at, false)]
    {
        let next = SessionRecord { last_seen: at, ends_at: at + DAY, ..record(sid) };
        node.begin(SignIn::new(next, audit("session_started"))).await.expect("it begins");
        assert_eq!(node.stored_record(&first).await.is_some(), is_kept, "{sid}");
    }
}

#[tokio::test]
async fn p33_the_records_of_a_user_are_kept_as_long_as_the_longest_of_them() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let longest = begin(&node, "longest").await;
    let shorter = SessionRecord { ends_at: NOW + IDLE, ..record("shorter") };
    node.begin(SignIn::new(shorter, audit("session_started"))).await.expect("it begins");
    let life = server.command(&["PTTL", &key_of_records(&longest)]);
    assert!(life.parse::<u128>().expect("a number") > DAY.as_millis(), "{life}");
}

/// A session that is known by its activity gets a record, and keeps it.
#[tokio::test]
async fn p33_an_adopted_session_keeps_its_activity() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    let later = NOW + Duration::from_secs(60);
    let mut touch = Touch::new(later, later, IDLE);
    touch.generation = 3;
    one.touch(record("s").keys(), touch).await.expect("the server answers");
    one.flush().await.expect("the activity is written");
    other.adopt(record("s")).await.expect("it is adopted");
    let adopted = node(&server).await.stored_record(&record("s")).await.expect("it has a record");
    assert_eq!((adopted.session.last_seen, adopted.refreshed.presented), (later, 3));
    let alone = server.command(&["EVAL", "return #redis.call('KEYS', 'tss:{*}:s*')", "0"]);
    assert_eq!(alone, "0", "it is in one place");
}

pub(super) fn limited(sid: &str, at: Timestamp, max: u32) -> SignIn {
    let record = SessionRecord { last_seen: at, auth_time: at, epoch: at, ..record(sid) };
    let mut sign_in = SignIn::new(record, audit("session_started"));
    sign_in.limit = Some(SessionLimit::new(max, OnSessionLimit::Oldest, Duration::ZERO));
    sign_in
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p31_a_limit_of_sessions_holds_over_nodes() {
    let server = RedisServer::start();
    let nodes = [node(&server).await, node(&server).await];
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let node = nodes[number % 2].clone();
        let sign_in = limited(&number.to_string(), NOW, 3);
        tasks.spawn(async move { node.begin(sign_in).await.expect("it begins") });
    }
    tasks.join_all().await;
    let user = Scope::User(scopes().user);
    let listed = nodes[0].sessions(user, ListQuery::first(50), NOW).await.expect("it answers");
    assert_eq!(listed.items.len(), 3);
}

/// Another node may know of an activity that it writes within the touch interval.
#[tokio::test]
async fn p31_a_session_counts_that_may_be_active_on_another_node() {
    let server = RedisServer::start();
    let node = node(&server).await;
    for (sid, since_idle, is_ended) in [("a", 9_999, true), ("b", 10_000, false)] {
        let before = begin(&node, sid).await;
        let at = NOW + IDLE + Duration::from_millis(since_idle);
        node.begin(limited(&format!("{sid} later"), at, 1)).await.expect("it begins");
        let stored = node.get(before.keys()).await.expect("the server answers");
        assert_eq!(stored == StoredSession::Ended, is_ended, "{sid}");
    }
}

/// The limited sign-ins of a subject on one node wait for each other there, not for Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p31_sign_ins_of_one_subject_do_not_ask_for_a_lease_that_their_node_has() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (node, sign_in) = (node.clone(), limited(&number.to_string(), NOW, 100));
        tasks.spawn(async move { node.begin(sign_in).await.expect("it begins") });
    }
    tasks.join_all().await;
    // Of each the lease and the records, and once the marker.
    assert_eq!(written_strings(&server), 41);
}

#[tokio::test]
async fn p31_a_lease_that_is_asked_for_twice_is_held() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let before = written_strings(&server);
    node.0.connection.send_twice();
    node.begin(limited("s", NOW, 3)).await.expect("it begins");
    // Twice the lease, and once the records.
    assert_eq!(written_strings(&server) - before, 3);
}

/// How many strings were written.
fn written_strings(server: &RedisServer) -> u64 {
    let calls = server.command(&["INFO", "commandstats"]);
    let calls = calls.split("cmdstat_set:calls=").nth(1).and_then(|it| it.split(',').next());
    calls.expect("the marker was written").parse().expect("a number")
}

/// The answer of a step-up was lost, and the client has sent it again.
#[tokio::test]
async fn p40_a_step_up_that_is_sent_twice_has_ended_a_session() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let before = begin(&node, "before").await;
    let mut step_up = SignIn::new(record("after"), audit("session_started"));
    step_up.replaces = Some(replaced(&before));
    node.0.connection.send_twice();
    let begun = node.begin(step_up).await.expect("it begins").begun().expect("no limit");
    assert_eq!(begun.ended.len(), 1);
}

/// Others have ended as many sessions of the user as may be kept, after it was read how the one ends that
/// is replaced.
#[tokio::test]
async fn p04_a_step_up_without_room_for_a_tombstone_begins_no_session() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let (before, after) = (record("before"), record("after"));
    node.adopt(before.clone()).await.expect("it is adopted");
    let ending = node.0.prepare_end(before.keys(), &replaced(&before).tombstone).await;
    let ending = ending.expect("the server answers").expect("it is active");
    for number in 0..MAX_UNFOLDED {
        let session = StoreKey::session(None, &number.to_string());
        let keys = SessionKeys::new(session, before.scopes.user);
        let room = endings::Room::OfUser;
        let written = node.0.write_tombstone(keys, NOW + DAY, NOW, None, room).await;
        written.map_err(StoreError::from).expect("there is room");
    }
    let replaced = Replaced { session: before.key, ending: &ending, row: None };
    let mut beginning = Beginning::of_token();
    beginning.origin = Origin::Begun;
    beginning.replaced = Some(replaced);
    let error = node.0.put_listed(&after, beginning, NOW).await.err().expect("there is no room");
    assert!(format!("{error:?}").contains("too many sessions of the user"), "{error:?}");
    assert!(node.stored_record(&after).await.is_none());
    assert!(node.stored_record(&before).await.is_some());
    // One that has ended may end for longer.
    let first = Tombstone::new(StoreKey::session(None, "0"), NOW, NOW + 2 * DAY);
    let first = first.of_user(before.scopes.user, None);
    assert!(!node.revoke(first, audit("session_ended")).await.expect("it has its room"));
}

fn key_of_records(record: &SessionRecord) -> String {
    let key = keys::Keys::new("tss").records(record.scopes.user);
    String::from_utf8(key).expect("the key is text")
}

impl RedisStore {
    async fn stored_record(&self, record: &SessionRecord) -> Option<Box<super::record::Record>> {
        let keys = SessionKeys::new(record.key, record.scopes.user);
        match self.0.stored(keys).await.map_err(StoreError::from).expect("the server answers") {
            Some(super::record::Stored::Record(record)) => Some(record),
            _ => None,
        }
    }
}
