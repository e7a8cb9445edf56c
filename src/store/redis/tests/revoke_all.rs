//! Bulk revocation: the cutoff first, however many sessions there are.

use std::pin::Pin;

use super::{nodes::*, *};
use crate::{
    clock::ManualClock,
    identity::{Scope, SessionKeys},
    store::{
        BulkRevocation, CallerSession, Exempt, LifecycleQueries as _, LifecycleStore as _,
        ListQuery, RevocationCutoff, SessionRecord, SignIn,
    },
};

fn all_of(scope: Scope, at: Timestamp, exempt: Exempt) -> BulkRevocation {
    let cutoff = RevocationCutoff::new(at, at + DAY);
    let audit = audit("sessions_revoked_bulk");
    BulkRevocation { exempt, ..BulkRevocation::new(scope, at, cutoff, audit) }
}

fn is_revoked(node: &RedisStore, keys: SessionKeys) -> bool {
    let revocations = node.revocations().expect("it has them");
    revocations.revoked_by(keys.session, NOW, scopes).is_some()
}

#[tokio::test]
async fn p29_a_revocation_of_everything_is_in_force_before_the_sessions_are_counted() {
    let server = RedisServer::start();
    let rights = |keys: &[&str]| {
        let user = ["ACL", "SETUSER", "app", "reset", "on", ">pass", "+@all"];
        server.command(&[&user, keys].concat());
    };
    rights(&["~*"]);
    let address = server.url().replacen("://", "://app:pass@", 1);
    let one = RedisStore::at(address).time_limit(BOUND).list_everything(true).audit_log(true);
    let one = one.clock(ManualClock::new(NOW)).connect().await.expect("the server runs");
    let other = node(&server).await;
    let record = begin(&one, "s").await;
    // It can publish, and neither read a list nor write a log.
    rights(&["~tss:{g}:*", "%R~tss:{*}:m"]);
    let everything = Scope::Everything(scopes().everything);
    let revocation = all_of(everything, NOW, Exempt::None);
    assert_eq!(one.revoke_all(revocation).await.expect("it is revoked"), 0, "it cannot count");
    other.0.sync_now().await.expect("the server answers");
    for node in [&one, &other] {
        assert!(is_revoked(node, record.keys()));
    }
    rights(&["~*"]);
    one.0.repair().await.expect("the server answers");
    assert_eq!(bulk_rows(&one, everything).await, 1);
}

async fn bulk_rows(node: &RedisStore, scope: Scope) -> usize {
    let log = node.audit_log(scope, ListQuery::first(100)).await.expect("the server answers");
    log.items.iter().filter(|row| row.event.name() == "sessions_revoked_bulk").count()
}

#[tokio::test]
async fn p40_a_cutoff_whose_caller_is_gone_has_an_audit_row() {
    let server = RedisServer::start();
    let store = RedisStore::at(server.url()).time_limit(BOUND).audit_log(true);
    let store = store.clock(ManualClock::new(NOW)).connect().await.expect("the server runs");
    let user = Scope::User(begin(&store, "s").await.scopes.user);
    let mut revoking = store.revoke_all(all_of(user, NOW, Exempt::None));
    // It is under way, and dropped.
    let polled = std::future::poll_fn(|cx| {
        std::task::Poll::Ready(Pin::new(&mut revoking).poll(cx).is_ready())
    });
    assert!(!polled.await);
    drop(revoking);
    let is_audited = async {
        while bulk_rows(&store, user).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, is_audited).await.expect("it goes on");
    assert!(is_revoked(&store, record("s").keys()));
}

#[tokio::test]
async fn p18_a_cutoff_of_every_session_ends_open_streams_of_other_nodes() {
    let server = RedisServer::start();
    let other = node(&server).await;
    let record = begin(&other, "s").await;
    let mut stream = other.0.revocations.open_stream(record.key, record.scopes, record.epoch);
    let all = RedisStore::at(server.url()).time_limit(BOUND).clock(ManualClock::new(NOW));
    all.on_data_loss(OnDataLoss::EndAll).connect().await.expect("the server runs");
    other.0.sync_now().await.expect("the server answers");
    assert!(stream.take_change());
    assert!(is_revoked(&other, record.keys()));
    stream.close(Some(&other.0.revocations));
}

#[tokio::test]
async fn p29_without_a_list_everything_is_revoked_and_nothing_is_counted() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let everything = Scope::Everything(scopes().everything);
    let mut sessions = Vec::new();
    for round in 0..3 {
        // Each in the millisecond of the cutoff before.
        let sign_in = SignIn::new(record(&round.to_string()), audit("session_started"));
        let begun = node.begin(sign_in).await.expect("it begins").begun().expect("no limit");
        let revocations = node.revocations().expect("it has them");
        let key = record(&round.to_string()).key;
        assert!(revocations.revoked_by(key, begun.epoch, scopes).is_none());
        sessions.push((key, begun.epoch));
        let revocation = all_of(everything, NOW, Exempt::None);
        assert_eq!(node.revoke_all(revocation).await.expect("it is revoked"), 0);
        for (key, epoch) in &sessions {
            assert!(revocations.revoked_by(*key, *epoch, scopes).is_some());
        }
    }
    let query = ListQuery::first(1);
    let error = node.sessions(everything, query.clone(), NOW).await.expect_err("no list");
    assert!(format!("{error:?}").contains("list_everything"), "{error:?}");
    let error = node.audit_log(everything, query).await.expect_err("no log");
    assert!(format!("{error:?}").contains("audit_log"), "{error:?}");
}

#[tokio::test]
async fn p33_a_session_that_is_known_by_its_activity_alone_is_exempt() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let keys = |sid: &str| SessionKeys::new(StoreKey::session(None, sid), scopes().user);
    let touch = async |sid: &str, at: Timestamp| {
        node.touch(keys(sid), Touch::new(at, at, IDLE)).await.expect("the server answers");
        node.flush().await.expect("the server answers");
    };
    let account = Scope::Account(scopes().account.expect("ada has an account"));
    for (at, scope) in [
        (NOW + Duration::from_secs(1), Scope::User(scopes().user)),
        (NOW + Duration::from_secs(2), account),
        (NOW + Duration::from_secs(3), Scope::Everything(scopes().everything)),
    ] {
        let session = format!("{scope:?}");
        let seen = at - Duration::from_millis(1);
        touch(&session, seen).await;
        touch("another", seen).await;
        let exempt = Exempt::Sessions(vec![keys(&session).session]);
        let count = node.revoke_all(all_of(scope, at, exempt)).await.expect("it is revoked");
        assert_eq!(count, 0, "neither has a record");
        let revocations = node.revocations().expect("it has them");
        let is_revoked =
            |sid: &str| revocations.revoked_by(keys(sid).session, seen, scopes).is_some();
        assert!(!is_revoked(&session) && is_revoked("another"), "{scope:?}");
        // It has ended, and its activity is as it was.
        let later = at + Duration::from_millis(1);
        node.revoke_all(all_of(scope, later, Exempt::None)).await.expect("it is revoked");
        let exempt = Exempt::Sessions(vec![keys(&session).session]);
        let last = all_of(scope, later + Duration::from_millis(1), exempt);
        node.revoke_all(last).await.expect("it is revoked");
        assert!(is_revoked(&session), "an exemption revives nothing: {scope:?}");
    }
}

#[tokio::test]
async fn p33_the_sessions_of_a_user_are_not_exempt_while_one_may_have_lost_its_record() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    let account = Scope::Account(scopes().account.expect("ada has an account"));
    let begun = async |number: u64| {
        let at = NOW + Duration::from_millis(number);
        let session = SessionRecord {
            last_seen: at,
            auth_time: at,
            epoch: at,
            ..record(&number.to_string())
        };
        one.begin(SignIn::new(session.clone(), audit("session_started"))).await.expect("it begins");
        session
    };
    for number in 0..1_000 {
        begun(number).await;
    }
    let user = || Exempt::User(scopes().user);
    let count = one.revoke_all(all_of(account, NOW, user())).await.expect("it is revoked");
    assert_eq!(count, 0, "each has a record");
    let last = begun(1_000).await;
    let caller = CallerSession::new(last.key, last.scopes, last.epoch, IDLE);
    for exempt in [user(), Exempt::UserOfCaller(caller)] {
        let error = one.revoke_all(all_of(account, NOW, exempt)).await.expect_err("one has none");
        assert!(format!("{error:?}").contains("Exempt::Sessions"), "{error:?}");
    }
    for node in [&one, &other] {
        node.0.sync_now().await.expect("the server answers");
        assert!(!is_revoked(node, record("0").keys()), "nothing is revoked");
    }
    let exempt = Exempt::Sessions(vec![last.key]);
    assert_eq!(one.revoke_all(all_of(account, NOW, exempt)).await.expect("it is revoked"), 999);
    assert!(is_revoked(&one, record("0").keys()));
}

#[tokio::test]
async fn p33_a_node_that_starts_during_a_revocation_lets_an_exempt_session_in() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let exempt = begin(&one, "exempt").await;
    // What is kept takes several readings.
    let (at, until) = (NOW, NOW + DAY);
    let change = |number: u32| {
        let session = StoreKey::session(None, &number.to_string());
        node::Change::Exempt { session, at, until }.into()
    };
    let many: Vec<kept_change::FeedChange> = (0..3_000).map(change).collect();
    one.0.publish_exemptions(&many).await.expect("the server answers");
    let is_done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let revoking = tokio::spawn({
        let (is_done, key) = (Arc::clone(&is_done), exempt.key);
        async move {
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                let user = Scope::User(scopes().user);
                let revocation = all_of(user, NOW, Exempt::Sessions(vec![key]));
                one.revoke_all(revocation).await.expect("it is revoked");
            }
        }
    });
    for _ in 0..20 {
        let late = node(&server).await;
        assert!(!is_revoked(&late, exempt.keys()));
    }
    is_done.store(true, std::sync::atomic::Ordering::Relaxed);
    revoking.await.expect("it is revoked");
}

#[tokio::test]
async fn p29_a_revocation_ends_a_session_that_another_node_has_exempted() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    // Nothing is pushed to it.
    other.0.tasks.get().into_iter().flatten().for_each(tokio::task::AbortHandle::abort);
    let record = begin(&one, "s").await;
    let user = Scope::User(scopes().user);
    let later = NOW + Duration::from_secs(60);
    let exempt = Exempt::Sessions(vec![record.key]);
    one.revoke_all(all_of(user, later, exempt)).await.expect("it is revoked");
    // It has not read of that, and its clock is behind.
    assert_eq!(other.revoke_all(all_of(user, NOW, Exempt::None)).await.expect("it answers"), 1);
    one.0.sync_now().await.expect("the server answers");
    assert!(is_revoked(&one, record.keys()) && is_revoked(&other, record.keys()));
}

#[tokio::test]
async fn a_session_that_has_reached_its_end_is_not_counted() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let (end, user) = (NOW + IDLE / 2, Scope::User(scopes().user));
    for (sid, ends_at) in [("ended", end), ("active", end + Duration::from_millis(1))] {
        let record = SessionRecord { ends_at, ..record(sid) };
        node.begin(SignIn::new(record, audit("session_started"))).await.expect("it begins");
    }
    assert_eq!(node.revoke_all(all_of(user, end, Exempt::None)).await.expect("it answers"), 1);
}

/// Another node does not wait until the sessions are counted.
#[tokio::test]
async fn p29_a_session_that_begins_while_others_are_counted_is_not_counted() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    let before = begin(&one, "before").await;
    let all = all_of(Scope::User(scopes().user), NOW, Exempt::None);
    let raised = one.0.raise_cutoff(&all).await.expect("the server answers");
    let sign_in = SignIn::new(record("after"), audit("session_started"));
    let epoch = other.begin(sign_in).await.expect("it begins").begun().expect("no limit").epoch;
    let mut count = 0;
    one.0.count_revoked(&raised, &mut count).await.expect("the server answers");
    assert_eq!(count, 1, "the one from before");
    for (session, epoch, is_revoked) in
        [(before.key, before.epoch, true), (record("after").key, epoch, false)]
    {
        let revoked_by = one.0.revocations.revoked_by(session, epoch, scopes);
        assert_eq!(revoked_by.is_some(), is_revoked);
    }
}
