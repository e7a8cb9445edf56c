//! What a node writes back or asserts holds up no request, and nothing newer is replaced.

use super::{
    nodes::{DAY, IDLE, NOW, audit, begin, node, record, scopes, touched},
    *,
};
use crate::{
    clock::{Clock as _, ManualClock},
    identity::{Scope, Scopes},
    policy::TimeoutOverrides,
    store::{
        BulkRevocation, Exempt, LifecycleStore as _, OverridesChange, RefreshQuery,
        RevocationCutoff, SessionRecord, SignIn,
        node::{Change, LossSign},
        redis::kept_change::FeedChange,
    },
};

/// A node that is a user of the server whose rights can change.
async fn node_with_rights(server: &RedisServer, clock: &ManualClock) -> RedisStore {
    allow(server, &["~*"]);
    let address = server.url().replacen("://", "://app:pass@", 1);
    let store = RedisStore::at(address).time_limit(BOUND).clock(clock.clone());
    store.connect().await.expect("the server accepts connections")
}

fn allow(server: &RedisServer, keys: &[&str]) {
    let user = ["ACL", "SETUSER", "app", "reset", "on", ">pass", "+@all"];
    server.command(&[&user, keys].concat());
}

/// Lets the node reach the feed and the keys of `user` alone.
fn allow_only(server: &RedisServer, user: StoreKey) {
    let records = String::from_utf8(keys::Keys::new("tss").records(user)).expect("it is text");
    allow(server, &["~tss:[bd]:*", "~tss:{g}:*", &format!("~{records}*")]);
}

fn bob() -> Scopes {
    Scopes::new(None, Some("acme"), "bob")
}

async fn end(node: &RedisStore, sid: &str, scopes: Scopes) -> SessionKeys {
    let session = SessionRecord { scopes, ..record(sid) };
    node.begin(SignIn::new(session.clone(), audit("started"))).await.expect("it begins");
    let tombstone = Tombstone::new(session.key, NOW, NOW + DAY).of_user(scopes.user, Some(NOW));
    assert!(node.revoke(tombstone, audit("session_ended")).await.expect("it ends"));
    session.keys()
}

async fn has_ended_in_redis(node: &RedisStore, keys: SessionKeys) -> bool {
    let stored = node.0.stored(keys).await;
    matches!(stored.map(|stored| stored.map(|it| it.row())), Ok(Some(node::Row::Ended { .. })))
}

async fn forget(server: &RedisServer, node: &RedisStore, keys: SessionKeys) {
    allow(server, &["~*"]);
    let mut delete = redis::cmd("DEL");
    delete.arg(node.0.keys.tombstones(keys.user));
    node.0.connection.query(&delete).await.map_err(StoreError::from).expect("the server answers");
}

#[tokio::test]
async fn p22_a_node_that_starts_serves_when_no_other_writes_back_any_more() {
    for choice in [OnDataLoss::Trust, OnDataLoss::EndAll] {
        let server = RedisServer::start();
        let one = node(&server).await;
        let live = begin(&one, "live").await;
        one.0.begin_write_back().await.expect("the server answers");
        let late = RedisStore::at(server.url()).time_limit(BOUND).clock(ManualClock::new(NOW));
        let late = tokio::spawn(late.on_data_loss(choice).connect());
        // It reads the feed again and again.
        let scripts = || {
            let calls = server.command(&["INFO", "commandstats"]);
            let calls =
                calls.split("cmdstat_evalsha:calls=").nth(1).and_then(|it| it.split(',').next());
            calls.and_then(|calls| calls.parse::<u64>().ok()).unwrap_or_default()
        };
        let before = scripts();
        let waited = async {
            while scripts() < before + 20 {
                assert!(!late.is_finished(), "{choice:?}: it waits");
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND * 4, waited).await.expect("it reads");
        // What is written back last.
        let ended = end(&one, "ended", scopes()).await;
        let id = one.0.position.lock().await.as_ref().expect("it has read").store_id();
        let at = one.0.time_of_change(one.0.connection.server_time(&one.0.keys.feed()));
        one.0.announce_loss(id, at).await.expect("the server answers");
        one.0.end_write_back().await.expect("the server answers");
        let late = late.await.expect("no panic").expect("the server answers");
        let touch = Touch::new(NOW, NOW, IDLE);
        assert!(matches!(late.touch(ended, touch).await, Ok(TouchOutcome::Ended)));
        let revocations = late.revocations().expect("it has them");
        assert_eq!(revocations.revoked_by(live.key, NOW, scopes), None, "{choice:?}");
    }
}

#[tokio::test]
async fn p20_the_latest_policy_of_an_account_counts_after_a_loss() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let account = scopes().account.expect("ada has an account");
    let idle = |secs| TimeoutOverrides::new().idle(Duration::from_secs(secs));
    let change = |old, new| OverridesChange::new(account, old, new, audit("policy"));
    let default = TimeoutOverrides::default();
    assert!(one.set_overrides(change(default, idle(900))).await.expect("the server answers"));
    assert!(one.set_overrides(change(idle(900), idle(800))).await.expect("the server answers"));
    server.command(&["FLUSHALL"]);
    // Before the first has found the loss.
    let other = node(&server).await;
    assert!(other.set_overrides(change(default, idle(60))).await.expect("the server answers"));
    for node in [&one, &other] {
        node.0.sync_now().await.expect("the server answers");
    }
    for node in [&one, &other] {
        node.0.sync_now().await.expect("the server answers");
        let policies = node.account_policies().expect("it has them");
        assert_eq!(policies.overrides(|| Some(account)), Some(idle(60)));
        assert_eq!(node.overrides(account).await.expect("the server answers"), idle(60));
    }
}

#[tokio::test]
async fn p23_a_change_that_cannot_be_asserted_holds_up_nobody_else() {
    let server = RedisServer::start();
    let clock = ManualClock::new(NOW);
    let one = node_with_rights(&server, &clock).await;
    let of_ada = end(&one, "ada's", scopes()).await;
    let of_bob = end(&one, "bob's", bob()).await;
    for keys in [of_ada, of_bob] {
        forget(&server, &one, keys).await;
    }
    allow_only(&server, bob().user);
    clock.advance(Duration::from_secs(30));
    one.0.sync_now().await.expect("no reading fails for it");
    one.0.repair().await.expect("the slot of the feed answers");
    assert!(has_ended_in_redis(&one, of_bob).await);
    one.0.sync_now().await.expect("no reading fails for it");
    allow(&server, &["~*"]);
    assert!(!has_ended_in_redis(&one, of_ada).await);
    clock.advance(Duration::from_secs(30));
    one.0.repair().await.expect("the slot of the feed answers");
    assert!(has_ended_in_redis(&one, of_ada).await, "it is tried again");
}

#[tokio::test]
async fn p23_changes_that_are_due_wait_while_the_feed_cannot_be_written() {
    let server = RedisServer::start();
    let clock = ManualClock::new(NOW);
    let one = node_with_rights(&server, &clock).await;
    let ended = end(&one, "s", scopes()).await;
    forget(&server, &one, ended).await;
    clock.advance(Duration::from_secs(30));
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    one.0.sync_now().await.expect("it can be read");
    one.0.repair().await.expect_err("it cannot be written");
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    one.0.repair().await.expect("the slot of the feed answers");
    assert!(has_ended_in_redis(&one, ended).await);
}

#[tokio::test]
async fn p23_a_user_whose_tombstones_cannot_be_written_back_holds_up_nobody_else() {
    let server = RedisServer::start();
    let clock = ManualClock::new(NOW);
    let one = node_with_rights(&server, &clock).await;
    let of_ada = end(&one, "ada's", scopes()).await;
    let of_bob = end(&one, "bob's", bob()).await;
    server.command(&["FLUSHALL"]);
    allow_only(&server, bob().user);
    one.0.sync_now().await.expect("the slot of the feed answers");
    assert!(one.0.is_up_to_date());
    assert!(has_ended_in_redis(&one, of_bob).await);
    allow(&server, &["~*"]);
    assert!(!has_ended_in_redis(&one, of_ada).await);
    clock.advance(Duration::from_secs(30));
    one.0.repair().await.expect("the slot of the feed answers");
    assert!(has_ended_in_redis(&one, of_ada).await, "it is tried again");
}

#[tokio::test]
async fn p23_a_reading_does_not_wait_until_what_a_node_holds_is_compared() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let record = begin(&one, "s").await;
    one.0.note_loss(LossSign::Suspected);
    // Nothing is compared meanwhile.
    let under_way = one.0.repairs.under_way.lock().await;
    one.0.sync_now().await.expect("the server answers");
    assert!(one.0.is_up_to_date());
    assert_eq!(touched(&one, &record).await, TouchOutcome::Active(Some(NOW)));
    let lost = one.0.node_cache.lost_activity();
    assert_eq!(lost.last_activity(NOW - IDLE, NOW), NOW, "activity may be lost");
    let query = RefreshQuery::new(record.key, NOW, record.scopes);
    one.refresh_state(query).await.expect_err("its generation may be lost");
    drop(under_way);
    one.0.repair().await.expect("the server answers");
    one.refresh_state(query).await.expect("nothing was missing");
}

/// So that no node takes the store for a new one, or for one that is whole.
#[tokio::test]
async fn p22_a_node_announces_a_loss_and_until_when_it_writes_back() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let ended = end(&one, "s", scopes()).await;
    server.command(&["FLUSHALL"]);
    one.0.sync_now().await.expect("the server answers");
    let feed = one.0.read_feed(feed::NO_ENTRY).await.map_err(StoreError::from);
    let entries = feed.expect("the server answers").entries.into_iter();
    let changes: Vec<_> = entries.flat_map(|entry| entry.changes).collect();
    let [
        FeedChange::WritesBack { until, .. },
        FeedChange::Lost { .. },
        FeedChange::Known(Change::Revoked { session, .. }),
        FeedChange::WritesBack { until: Timestamp::EPOCH, .. },
    ] = changes[..]
    else {
        panic!("{changes:?}");
    };
    assert!(one.0.connection.server_time(&one.0.keys.feed()) < until);
    assert_eq!(session, ended.session);
}

/// A session may have lost its record: nothing is folded that reaches as far.
#[tokio::test]
async fn p33_a_loss_that_is_suspected_counts_at_once_and_on_nodes_that_start_later() {
    let server = RedisServer::start();
    let one = node(&server).await;
    one.0.note_loss(LossSign::Suspected);
    one.0.sync_now().await.expect("the server answers");
    assert_eq!(one.0.latest_lost_epoch(), NOW + Duration::from_secs(10));
    let late = node(&server).await;
    assert_eq!(late.0.latest_lost_epoch(), NOW + Duration::from_secs(10));
    let lost = late.0.node_cache.lost_activity();
    assert_eq!(lost.last_activity(NOW - IDLE, NOW), NOW, "activity may be lost, too");
    let feed = server.command(&["XLEN", "tss:{g}:f"]);
    // Within the interval one node has announced it for all.
    let other = node(&server).await;
    other.0.note_loss(LossSign::Suspected);
    other.0.sync_now().await.expect("the server answers");
    assert_eq!(server.command(&["XLEN", "tss:{g}:f"]), feed);
}

#[tokio::test]
async fn p22_a_sign_of_a_loss_during_a_comparison_is_not_forgotten() {
    let server = RedisServer::start();
    let one = node(&server).await;
    one.0.note_loss(LossSign::Suspected);
    let suspicion = one.0.suspicion().expect("it is noted");
    one.0.note_loss(LossSign::Suspected);
    one.0.end_suspicion(suspicion);
    let suspicion = one.0.suspicion().expect("another one is noted");
    one.0.note_loss(LossSign::Certain);
    one.0.end_suspicion(suspicion);
    assert_eq!(one.0.loss_sign(), Some(LossSign::Certain));
}

#[tokio::test]
async fn p23_a_full_server_is_read() {
    let server = RedisServer::start();
    let clock = ManualClock::new(NOW);
    let store = RedisStore::at(server.url()).time_limit(BOUND).clock(clock.clone());
    let one = store.connect().await.expect("the server accepts connections");
    let record = begin(&one, "s").await;
    for (setting, full, normal) in [("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")] {
        server.command(&["CONFIG", "SET", setting, full]);
        // The last reading is too old to rely on.
        clock.advance(Duration::from_secs(60));
        let touch = Touch::new(clock.now(), NOW, IDLE);
        let touched = one.touch(record.keys(), touch).await;
        assert!(matches!(touched, Ok(TouchOutcome::Active(_))), "{setting}: {touched:?}");
        server.command(&["CONFIG", "SET", setting, normal]);
    }
}

#[tokio::test]
async fn p23_a_reading_from_a_replica_does_not_count() {
    let (primary, server) = (RedisServer::start(), RedisServer::start());
    let one = node(&server).await;
    server.command(&["CONFIG", "SET", "replica-read-only", "no"]);
    server.replicate(&primary);
    one.0.sync_now().await.expect_err("it may be behind, even if it takes writes");
}

/// Only a comparison of everything tells what else is lost.
#[tokio::test]
async fn p22_a_node_that_misses_a_change_of_its_own_writes_back_those_of_others() {
    let server = RedisServer::start();
    let clock = ManualClock::new(NOW);
    let (one, other) = (node_with_rights(&server, &clock).await, node(&server).await);
    let of_other = end(&other, "other's", bob()).await;
    one.0.sync_now().await.expect("the server answers");
    let own = end(&one, "own", scopes()).await;
    for keys in [own, of_other] {
        forget(&server, &one, keys).await;
    }
    clock.advance(Duration::from_secs(30));
    one.0.repair().await.expect("the server answers");
    for keys in [own, of_other] {
        assert!(has_ended_in_redis(&one, keys).await);
    }
}

#[tokio::test]
async fn p22_what_was_replaced_meanwhile_is_not_asserted() {
    let server = RedisServer::start();
    let clock = ManualClock::new(NOW);
    let one = RedisStore::at(server.url()).time_limit(BOUND).clock(clock.clone()).connect().await;
    let one = one.expect("the server accepts connections");
    let session = begin(&one, "s").await;
    let cutoff = RevocationCutoff::new(NOW, NOW + DAY);
    let account = Scope::Account(scopes().account.expect("ada has an account"));
    let mut all = BulkRevocation::new(account, NOW, cutoff, audit("sessions_revoked_bulk"));
    all.exempt = Exempt::Sessions(vec![session.key]);
    one.revoke_all(all).await.expect("the server answers");
    // It is folded, and no longer exempt.
    one.0.apply(&[Change::Revoked { session: session.key, user: None, until: NOW + DAY }]);
    one.0.apply_own(&[
        Change::Revoked { session: session.key, user: None, until: NOW + DAY }.into()
    ]);
    one.0.apply(&[Change::TombstoneFolded { session: session.key }]);
    let kept = || server.command(&["HLEN", "tss:{g}:c"]);
    let exempt = kept_change::exemption(session.key);
    one.0.publish(&[], &[], &[exempt]).await.map_err(StoreError::from).expect("it is removed");
    let before = kept();
    clock.advance(Duration::from_secs(30));
    one.0.repair().await.expect("the server answers");
    assert_eq!(kept(), before);
}

/// What has expired may have been removed.
#[tokio::test]
async fn p22_what_has_expired_is_no_loss() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let changes = |until| {
        let session = StoreKey::session(None, "s");
        [
            Change::Cutoff { scope: scopes().user, cutoff: RevocationCutoff::new(NOW, until) },
            Change::Revoked { session, user: Some(scopes().user), until },
        ]
    };
    for (until, is_missing) in [(NOW, false), (NOW + Duration::from_millis(1), true)] {
        for change in changes(until) {
            let found = one.0.write_changes_back(&[change], NOW).await;
            assert_eq!(found.expect("the server answers"), is_missing, "{change:?}");
        }
    }
}

#[tokio::test]
async fn p22_an_exemption_that_another_node_has_removed_is_no_loss() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let exempt = StoreKey::session(None, "exempt");
    let cutoff = RevocationCutoff::new(NOW, NOW + DAY);
    let changes = [
        Change::Exempt { session: exempt, at: NOW, until: NOW + DAY },
        Change::Cutoff { scope: scopes().everything, cutoff },
    ];
    assert!(one.0.write_changes_back(&changes, NOW).await.expect("the server answers"));
    let removed = [kept_change::exemption(exempt)];
    one.0.publish(&[], &[], &removed).await.map_err(StoreError::from).expect("it is removed");
    assert!(!one.0.write_changes_back(&changes, NOW).await.expect("the server answers"));
}
