//! Two nodes that share a server.

use super::*;
use crate::{
    audit::{AuditEvent, AuditRecord, AuditSubject},
    clock::ManualClock,
    identity::{Scope, Scopes},
    policy::TimeoutOverrides,
    store::{
        BulkRevocation, ClaimsChange, Exempt, LifecycleStore as _, OverridesChange,
        RevocationCutoff, SessionRecord, SignIn, turns::tests::all_go_on_with,
    },
};

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(super) const IDLE: Duration = Duration::from_secs(600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn scopes() -> Scopes {
    Scopes::new(None, Some("acme"), "ada")
}

pub(super) fn record(sid: &str) -> SessionRecord {
    let key = StoreKey::session(None, sid);
    SessionRecord::new(key, sid, "ada", scopes(), NOW, IDLE, NOW + DAY)
}

pub(super) fn audit(event: &str) -> AuditRecord {
    let subject = AuditSubject::from_scope(Scope::User(scopes().user));
    AuditRecord::new(NOW, AuditEvent::from_stored(event, "{}"), subject)
}

pub(super) async fn node(server: &RedisServer) -> RedisStore {
    let store = RedisStore::at(server.url()).time_limit(BOUND).clock(ManualClock::new(NOW));
    store.connect().await.expect("the server accepts connections")
}

pub(super) async fn begin(node: &RedisStore, sid: &str) -> SessionRecord {
    let record = record(sid);
    node.begin(SignIn::new(record.clone(), audit("session_started"))).await.expect("it begins");
    record
}

pub(super) async fn touched(node: &RedisStore, record: &SessionRecord) -> TouchOutcome {
    node.touch(record.keys(), Touch::new(NOW, NOW, IDLE)).await.expect("the server answers")
}

#[tokio::test]
async fn the_rights_that_the_error_names_suffice() {
    let server = RedisServer::start();
    let connect = async |rights: &[&str]| {
        let user = ["ACL", "SETUSER", "app", "reset", "on", ">pass", "~tss:*"];
        server.command(&[&user, rights].concat());
        let address = server.url().replacen("://", "://app:pass@", 1);
        RedisStore::at(address).time_limit(BOUND).clock(ManualClock::new(NOW)).connect().await
    };
    let rights: Vec<_> = feed::RIGHTS.split(' ').collect();
    let store = connect(&rights).await.expect("the rights suffice");
    let record = begin(&store, "s").await;
    assert_eq!(touched(&store, &record).await, TouchOutcome::Active(Some(NOW)));
    store.flush().await.expect("activities are written");
    let tombstone = Tombstone::new(record.key, NOW, NOW + DAY).of_user(record.scopes.user, None);
    assert!(store.revoke(tombstone, audit("session_ended")).await.expect("it ends"));
    let error = connect(&rights[..rights.len() - 1]).await.expect_err("`TIME` is not allowed");
    assert!(format!("{error:?}").contains(feed::RIGHTS), "{error:?}");
}

/// If they went on one after the other, sign-ins would take seconds on a node with much to do.
#[tokio::test]
async fn p39_all_calls_that_wait_for_one_reading_go_on_at_once() {
    let server = RedisServer::start();
    let node = node(&server).await;
    for task in node.0.tasks.get().expect("they run") {
        task.abort();
    }
    // The first reading has begun when the others arrive, which need the next one.
    all_go_on_with(1, async || node.0.sync_now().await.expect("the server answers")).await;
}

/// The answer to an earlier call may have been lost.
#[tokio::test]
async fn p22_a_session_that_has_ended_elsewhere_ends_on_this_node_too() {
    let server = RedisServer::start();
    let [one, other] = [node(&server).await, node(&server).await];
    let session = begin(&one, "s").await;
    assert_eq!(touched(&other, &session).await, TouchOutcome::Active(Some(NOW)));
    // It hears of no change.
    for task in other.0.tasks.get().expect("they run") {
        task.abort();
    }
    let tombstone = Tombstone::new(session.key, NOW, NOW + DAY).of_user(scopes().user, Some(NOW));
    assert!(one.revoke(tombstone, audit("session_ended")).await.expect("it ends"));
    assert_eq!(touched(&other, &session).await, TouchOutcome::Active(Some(NOW)));
    assert!(!other.revoke(tombstone, audit("session_ended")).await.expect("it has ended"));
    assert_eq!(touched(&other, &session).await, TouchOutcome::Ended);
}

#[tokio::test]
async fn p22_what_one_node_ends_another_rejects_when_it_has_read_the_feed() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    let [session, revoked, exempt] =
        [begin(&one, "s").await, begin(&one, "cut off").await, begin(&one, "exempt").await];
    for record in [&session, &revoked, &exempt] {
        assert_eq!(touched(&other, record).await, TouchOutcome::Active(Some(NOW)));
    }
    let tombstone = Tombstone::new(session.key, NOW, NOW + DAY).of_user(scopes().user, Some(NOW));
    assert!(one.revoke(tombstone, audit("session_ended")).await.expect("it ends"));
    let cutoff = RevocationCutoff::new(NOW, NOW + DAY);
    let scope = Scope::Account(scopes().account.expect("ada has an account"));
    let mut all = BulkRevocation::new(scope, NOW, cutoff, audit("sessions_revoked_bulk"));
    all.exempt = Exempt::Sessions(vec![exempt.key]);
    assert_eq!(one.revoke_all(all).await.expect("they end"), 1);
    other.0.sync_now().await.expect("the server answers");
    let late = node(&server).await;
    for node in [&other, &late] {
        assert_eq!(touched(node, &session).await, TouchOutcome::Ended);
        let revocations = node.revocations().expect("it has them");
        for (record, is_revoked) in [(&revoked, true), (&exempt, false)] {
            let revoked_by = revocations.revoked_by(record.key, record.epoch, scopes);
            assert_eq!(revoked_by.is_some(), is_revoked, "{}", record.sid);
        }
    }
}

#[tokio::test]
async fn p37_overrides_and_claims_numbers_reach_other_nodes() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    let account = scopes().account.expect("ada has an account");
    let overrides = TimeoutOverrides::new().idle(IDLE);
    let old = TimeoutOverrides::default();
    let change = OverridesChange::new(account, old, overrides, audit("session_policy_update"));
    assert!(one.set_overrides(change).await.expect("the server answers"));
    let change =
        ClaimsChange::new(Scope::Account(account), NOW, NOW + DAY, audit("claims_changed"));
    let number = one.change_claims(change).await.expect("the server answers");
    other.0.sync_now().await.expect("the server answers");
    for node in [&other, &node(&server).await] {
        let policies = node.account_policies().expect("it has them");
        assert_eq!(policies.overrides(|| Some(account)), Some(overrides));
        let claims = node.claims_changes().expect("it has them");
        assert_eq!(claims.number_of(&scopes()), Some(number));
    }
}

#[tokio::test]
async fn p24_activity_is_written_once_per_interval_and_read_by_other_nodes() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    let record = begin(&one, "s").await;
    let commands = || server.command(&["INFO", "commandstats"]);
    let before = commands();
    for millis in 0..100 {
        let now = NOW + Duration::from_millis(millis);
        let touch = one.touch(record.keys(), Touch::new(now, NOW, IDLE)).try_ready();
        assert!(matches!(touch, Ok(Ok(TouchOutcome::Active(_)))), "no round trip");
    }
    let scripts =
        |text: &str| text.lines().find(|it| it.starts_with("cmdstat_evalsha")).map(str::to_owned);
    assert_eq!(scripts(&commands()), scripts(&before));
    one.flush().await.expect("the server answers");
    let seen = NOW + Duration::from_millis(99);
    let stored = other.get(record.keys()).await.expect("the server answers");
    assert_eq!(stored, StoredSession::Active(seen));
}

#[tokio::test]
async fn a_feed_that_was_trimmed_is_read_from_what_is_kept() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    let cutoff = RevocationCutoff::new(NOW, NOW + DAY);
    let scope = Scope::User(scopes().user);
    let all = BulkRevocation::new(scope, NOW, cutoff, audit("sessions_revoked_bulk"));
    one.revoke_all(all).await.expect("they end");
    server.command(&["XTRIM", "tss:{g}:f", "MAXLEN", "0"]);
    other.0.sync_now().await.expect("the server answers");
    let revocations = other.revocations().expect("it has them");
    assert_eq!(revocations.cutoff_of(&scopes().user), Some(NOW));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p22_a_revocation_is_pushed_to_other_nodes() {
    let (server, cluster) = (RedisServer::start(), redis_server::RedisCluster::start());
    let in_cluster = async || {
        let store = RedisStore::cluster(cluster.urls()).time_limit(BOUND);
        let store = store.clock(ManualClock::new(NOW)).connect().await;
        store.expect("the cluster accepts connections")
    };
    for (one, other) in
        [(node(&server).await, node(&server).await), (in_cluster().await, in_cluster().await)]
    {
        let session = begin(&one, "s").await;
        assert_eq!(touched(&other, &session).await, TouchOutcome::Active(Some(NOW)));
        let tombstone = Tombstone::new(session.key, NOW, NOW + DAY);
        let tombstone = tombstone.of_user(scopes().user, Some(NOW));
        assert!(one.revoke(tombstone, audit("session_ended")).await.expect("it ends"));
        // No time passes on its clock: it does not read by itself.
        let pushed = async {
            while touched(&other, &session).await != TouchOutcome::Ended {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, pushed).await.expect("it is told");
    }
}
