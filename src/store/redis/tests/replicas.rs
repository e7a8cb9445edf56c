//! Endings that wait for replicas: real ones, which are stopped.

use super::{
    nodes::{DAY, NOW, audit, begin, record, scopes, touched},
    redis_server::RedisCluster,
    *,
};
use crate::{
    audit::{AuditRecord, AuditSubject},
    clock::ManualClock,
    identity::{Scope, Scopes},
    maybe_ready::LIFECYCLE_TIME_LIMIT,
    store::{
        BulkRevocation, LifecycleStore as _, OnSessionLimit, RefreshQuery, ReplacedSession,
        RevocationCutoff, SessionLimit, SessionRecord, SignIn, TouchOutcome,
    },
};

/// Sessions of users of their own.
const MANY: usize = 20;

const NOT_CONFIRMED: &str = "the ending is written, but 0 of 1 replicas have confirmed it";

async fn connect(builder: RedisStoreBuilder, replicas: u32) -> RedisStore {
    let store = builder.time_limit(BOUND).clock(ManualClock::new(NOW)).wait_for_replicas(replicas);
    store.connect().await.expect("the server accepts connections")
}

fn replica_of(primary: &RedisServer) -> RedisServer {
    let replica = RedisServer::start();
    primary.command(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
    replica.replicate(primary);
    replica
}

fn of_user(user: &str, sid: &str) -> SessionRecord {
    let scopes = Scopes::new(None, Some("acme"), user);
    SessionRecord { scopes, ..record(sid) }
}

async fn sign_in(store: &RedisStore, user: &str, sid: &str) -> SessionRecord {
    let record = of_user(user, sid);
    let sign_in = SignIn::new(record.clone(), audit("session_started"));
    store.begin(sign_in).await.expect("the server answers");
    record
}

/// Ends a session, as long as callers wait for it.
async fn end(store: &RedisStore, record: &SessionRecord) -> Result<bool, String> {
    let tombstone = Tombstone::new(record.key, NOW, NOW + DAY);
    let tombstone = tombstone.of_user(record.scopes.user, Some(NOW));
    let ended = store.revoke(tombstone, audit("session_ended"));
    let ended = tokio::time::timeout(LIFECYCLE_TIME_LIMIT, ended).await.expect("it is in time");
    ended.map_err(|error| format!("{error:?}"))
}

async fn end_all(store: &RedisStore) -> Result<u64, String> {
    let scope = Scope::Account(scopes().account.expect("ada has an account"));
    let cutoff = RevocationCutoff::new(NOW, NOW + DAY);
    let revocation = BulkRevocation::new(scope, NOW, cutoff, audit("revoked"));
    let ended = store.revoke_all(revocation).await;
    ended.map_err(|error| format!("{error:?}"))
}

#[tokio::test]
async fn p22_an_ending_waits_for_replicas() {
    let primary = RedisServer::start();
    let replica = replica_of(&primary);
    let store = connect(RedisStore::at(primary.url()), 1).await;
    let (ended, late) = (begin(&store, "ended").await, begin(&store, "late").await);
    assert_eq!(end(&store, &ended).await, Ok(true));
    let tombstones = keys::Keys::new("tss").tombstones(scopes().user);
    let tombstones = String::from_utf8(tombstones).expect("it is text");
    assert_eq!(replica.command(&["HLEN", &tombstones]), "1");

    replica.pause();
    let unknown = record("of an unknown user");
    let (late_ended, ended_again, unknown_ended, all_ended) = tokio::join!(
        end(&store, &late),
        end(&store, &ended),
        store.write_tombstone(Tombstone::new(unknown.key, NOW, NOW + DAY)),
        end_all(&store),
    );
    let unknown_ended = unknown_ended.map_err(|error| format!("{error:?}"));
    for error in [late_ended.err(), ended_again.err(), unknown_ended.err(), all_ended.err()] {
        let error = error.expect("no replica confirms it");
        assert!(error.contains(NOT_CONFIRMED), "{error}");
    }
    assert_eq!(touched(&store, &late).await, TouchOutcome::Ended, "it has ended all the same");
    let patient = connect(RedisStore::at(primary.url()), 0).await;
    let other = sign_in(&patient, "bob", "other").await;
    assert_eq!(end(&patient, &other).await, Ok(true), "nobody waits by default");

    replica.resume();
    assert_eq!(end(&store, &late).await, Ok(false), "it may be repeated");
    assert!(end_all(&store).await.is_ok());
}

#[tokio::test]
async fn p22_endings_that_wait_for_replicas_at_the_same_time_wait_together() {
    let primary = RedisServer::start();
    let replica = replica_of(&primary);
    let store = connect(RedisStore::at(primary.url()), 1).await;
    let mut sessions = Vec::new();
    for user in 0..MANY {
        sessions.push(sign_in(&store, &user.to_string(), &user.to_string()).await);
    }
    replica.pause();
    let mut endings = tokio::task::JoinSet::new();
    for session in sessions {
        let store = store.clone();
        endings.spawn(async move { end(&store, &session).await });
    }
    for ended in endings.join_all().await {
        let error = ended.expect_err("no replica confirms it");
        assert!(error.contains(NOT_CONFIRMED), "{error}");
    }
}

/// How often the server was asked to wait.
fn waits(server: &RedisServer) -> u32 {
    let stats = server.command(&["INFO", "commandstats"]);
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_wait:calls="));
    calls.map_or(0, |calls| calls.split(',').next().map_or(0, |it| it.parse().expect("a number")))
}

#[tokio::test]
async fn p22_a_replica_that_is_slow_confirms_an_ending() {
    let primary = RedisServer::start();
    let replica = replica_of(&primary);
    let store = connect(RedisStore::at(primary.url()), 1).await;
    let session = begin(&store, "s").await;
    replica.pause();
    let ending = tokio::spawn(async move { end(&store, &session).await });
    // Longer than one command waits.
    while waits(&primary) < 2 {
        tokio::task::yield_now().await;
    }
    replica.resume();
    assert_eq!(ending.await.expect("no panic"), Ok(true));
}

/// A sign-in that ends other sessions waits for a slow replica, and not for one that is lost.
#[tokio::test]
async fn p22_a_sign_in_that_ends_sessions_waits_for_replicas() {
    let primary = RedisServer::start();
    let replica = replica_of(&primary);
    let store = connect(RedisStore::at(primary.url()), 1).await;
    for is_limited in [false, true] {
        let user = format!("limited: {is_limited}");
        let sign_in = |before: &SessionRecord, sid: &str| {
            let started = audit("session_started");
            let mut sign_in = SignIn::new(of_user(&user, &format!("{user} {sid}")), started);
            if is_limited {
                let oldest = OnSessionLimit::Oldest;
                sign_in.limit = Some(SessionLimit::new(1, oldest, Duration::ZERO));
            } else {
                let SessionRecord { key, epoch, scopes, .. } = *before;
                let query = RefreshQuery::new(key, epoch, scopes);
                let tombstone = Tombstone::new(key, NOW, NOW + DAY);
                let tombstone = tombstone.of_user(scopes.user, Some(epoch));
                let subject = AuditSubject::from_session(key, &scopes);
                let ended = AuditRecord::new(NOW, audit("session_ended").event, subject);
                sign_in.replaces = Some(ReplacedSession::new(query, tombstone, ended));
            }
            sign_in
        };
        let before = self::sign_in(&store, &user, &format!("{user} before")).await;
        let after = sign_in(&before, "after");
        let last = sign_in(&after.record, "last");
        replica.pause();
        let waited = waits(&primary);
        let (begins, store_of_it) = (after.clone(), store.clone());
        let begun = tokio::spawn(async move { store_of_it.begin(begins).await });
        // Longer than one command waits.
        while waits(&primary) < waited + 2 {
            assert!(!begun.is_finished(), "it waits");
            tokio::task::yield_now().await;
        }
        replica.resume();
        let begun = begun.await.expect("no panic").expect("the server answers").begun();
        assert_eq!(begun.expect("it begins").ended.len(), 1);
        assert_eq!(touched(&store, &before).await, TouchOutcome::Ended);
        replica.pause();
        let begun = store.begin(last).await.expect("it is answered in any case").begun();
        assert_eq!(begun.expect("it begins").ended.len(), 1);
        assert_eq!(touched(&store, &after.record).await, TouchOutcome::Ended);
        replica.resume();
    }
}

/// The replica of the primary of a cluster that has `key`.
fn replica_with<'a>(cluster: &'a RedisCluster, key: &[u8]) -> &'a RedisServer {
    let key = String::from_utf8(key.to_vec()).expect("it is text");
    let has_key = |server: &&RedisServer| {
        server.command(&["ROLE"]).starts_with("master")
            && !server.command(&["TYPE", &key]).starts_with("MOVED")
    };
    let primary = cluster.servers().iter().find(has_key).expect("every slot is served");
    let role = primary.command(&["ROLE"]);
    let port = role.lines().nth(3).expect("it has a replica");
    let replica = cluster.servers().iter().find(|it| it.url().ends_with(port));
    replica.expect("it is of the cluster")
}

#[tokio::test]
async fn p22_an_ending_on_a_cluster_waits_for_each_primary_that_it_writes_to() {
    let cluster = RedisCluster::start();
    let store = connect(RedisStore::cluster(cluster.urls()), 1).await;
    let keys = keys::Keys::new("tss");
    let feed = replica_with(&cluster, &keys.feed());
    let users = (0..).map(|number: usize| number.to_string());
    let users = users.map(|user| {
        (user.clone(), replica_with(&cluster, &keys.records(of_user(&user, "").scopes.user)))
    });
    let mut elsewhere = users.filter(|(_, replica)| replica.url() != feed.url());
    let (one, replica) = elsewhere.next().expect("two primaries have no feed");
    let other = elsewhere.find(|(_, other)| other.url() != replica.url());
    let (other, _) = other.expect("three primaries");
    for (sid, paused) in [("first", feed), ("second", replica)] {
        let session = sign_in(&store, &one, sid).await;
        paused.pause();
        let error = end(&store, &session).await.expect_err("a replica confirms nothing");
        assert!(error.contains(NOT_CONFIRMED), "{error}");
        paused.resume();
        assert_eq!(end(&store, &session).await, Ok(false));
    }
    let session = sign_in(&store, &other, "third").await;
    replica.pause();
    assert_eq!(end(&store, &session).await, Ok(true), "it is not written there");
    assert!(end_all(&store).await.is_ok(), "nor is a cutoff");
}
