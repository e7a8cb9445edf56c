//! Redis loses data: what nodes know comes back, and nobody is signed out.

use super::{
    nodes::{DAY, IDLE, NOW, audit, begin, record, scopes, touched},
    redis_server::Proxy,
    *,
};
use crate::{
    clock::{Clock, ManualClock, SystemClock},
    identity::Scope,
    policy::TimeoutOverrides,
    store::{
        BulkRevocation, ClaimsChange, LifecycleStore as _, OverridesChange, RefreshQuery,
        RefreshState, RevocationCutoff, SessionRecord, SignIn,
    },
};

async fn connect(url: &str, clock: impl Clock) -> RedisStore {
    let store = RedisStore::at(url).time_limit(BOUND).clock(clock);
    store.connect().await.expect("the server accepts connections")
}

async fn node(url: &str) -> RedisStore {
    connect(url, ManualClock::new(NOW)).await
}

/// Repeats a reading, and what follows it, until they succeed: the connection is replaced meanwhile.
async fn synced(node: &RedisStore) {
    let synced = async {
        while node.0.sync_now().await.is_err() || node.0.repair().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, synced).await.expect("the server is back");
}

/// Touches a session until a node knows that it has ended.
async fn is_told_of_the_end(node: &RedisStore, record: &SessionRecord) {
    let told = async {
        while answer(node, record).await != Some(TouchOutcome::Ended) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, told).await.expect("the end is written back");
}

/// The answer to a request; `None` for 503.
async fn answer(node: &RedisStore, record: &SessionRecord) -> Option<TouchOutcome> {
    node.touch(record.keys(), Touch::new(NOW, NOW, IDLE)).await.ok()
}

async fn end(node: &RedisStore, record: &SessionRecord) {
    let tombstone = Tombstone::new(record.key, NOW, NOW + DAY);
    let tombstone = tombstone.of_user(record.scopes.user, Some(NOW));
    assert!(node.revoke(tombstone, audit("session_ended")).await.expect("it ends"));
}

/// What is known of one user: a session that is active, one that has ended, and all else that is kept.
struct Known {
    active: SessionRecord,
    ended: SessionRecord,
    overrides: TimeoutOverrides,
    number: Timestamp,
}

impl Known {
    /// Changes everything on `node`.
    async fn change(node: &RedisStore) -> Self {
        let active = begin(node, "active").await;
        let ended = begin(node, "ended").await;
        let account = scopes().account.expect("ada has an account");
        let overrides = TimeoutOverrides::new().idle(IDLE);
        let old = TimeoutOverrides::default();
        let change = OverridesChange::new(account, old, overrides, audit("policy"));
        assert!(node.set_overrides(change).await.expect("the server answers"));
        let change = ClaimsChange::new(Scope::Account(account), NOW, NOW + DAY, audit("claims"));
        let number = node.change_claims(change).await.expect("the server answers");
        let cutoff = RevocationCutoff::new(NOW, NOW + DAY);
        let everybody = Scope::Everything(bob().scopes.everything);
        let all = BulkRevocation::new(everybody, NOW, cutoff, audit("bulk"));
        node.revoke_all(all).await.expect("they end");
        end(node, &ended).await;
        Self { active, ended, overrides, number }
    }

    /// Asserts that `node` knows what is not about one session.
    fn is_told(&self, node: &RedisStore) {
        let revocations = node.revocations().expect("it has them");
        let bob = bob();
        assert!(revocations.revoked_by(bob.key, NOW, || bob.scopes).is_some(), "the cutoff");
        let policies = node.account_policies().expect("it has them");
        assert_eq!(policies.overrides(|| scopes().account), Some(self.overrides));
        let claims = node.claims_changes().expect("it has them");
        assert_eq!(claims.number_of(&scopes()), Some(self.number));
    }
}

/// A session of another issuer, which has no record here.
fn bob() -> SessionRecord {
    let scopes = crate::identity::Scopes::new(Some("https://issuer"), None, "bob");
    SessionRecord { scopes, ..record("bob's") }
}

#[tokio::test]
async fn p22_an_empty_restart_revives_no_session_that_a_node_knows_to_have_ended() {
    let mut server = RedisServer::start();
    let (one, other) = (node(&server.url()).await, node(&server.url()).await);
    let known = Known::change(&one).await;
    synced(&other).await;
    drop(one);
    server.kill();
    server.restart();
    // It starts before the other one has found the loss, or while it writes back.
    let late = node(&server.url()).await;
    synced(&other).await;
    is_told_of_the_end(&late, &known.ended).await;
    for node in [&other, &late, &node(&server.url()).await] {
        is_told_of_the_end(node, &known.ended).await;
        assert!(matches!(answer(node, &known.active).await, Some(TouchOutcome::Active(_))));
    }
    known.is_told(&late);
    let account = scopes().account.expect("ada has an account");
    let change = ClaimsChange::new(Scope::Account(account), NOW, NOW + DAY, audit("claims"));
    let number = late.change_claims(change).await.expect("the server answers");
    assert!(known.number < number, "numbers go on from the latest");
}

#[tokio::test]
async fn p22_a_node_that_starts_on_an_empty_store_serves_when_the_others_have_written_back() {
    let mut server = RedisServer::start();
    // The time of the day: it is compared with the time at which the store was made.
    let one = connect(&server.url(), SystemClock).await;
    let now = SystemClock.now();
    let record = SessionRecord { epoch: now, last_seen: now, ends_at: now + DAY, ..record("s") };
    one.begin(SignIn::new(record.clone(), audit("started"))).await.expect("it begins");
    let tombstone = Tombstone::new(record.key, now, now + DAY).of_user(record.scopes.user, None);
    one.revoke(tombstone, audit("session_ended")).await.expect("it ends");
    server.kill();
    server.restart();
    let late = connect(&server.url(), SystemClock).await;
    let now = SystemClock.now();
    let touch = Touch::new(now, now, IDLE);
    let touched = late.touch(record.keys(), touch).await.expect("the server answers");
    assert_eq!(touched, TouchOutcome::Ended);
}

#[tokio::test]
async fn p22_a_flushed_server_gets_everything_back() {
    let server = RedisServer::start();
    let (one, other) = (node(&server.url()).await, node(&server.url()).await);
    let known = Known::change(&one).await;
    synced(&other).await;
    server.command(&["FLUSHALL"]);
    // Whoever notices first writes back.
    synced(&one).await;
    synced(&other).await;
    drop((one, other));
    let late = node(&server.url()).await;
    known.is_told(&late);
    assert_eq!(answer(&late, &known.ended).await, Some(TouchOutcome::Ended));
}

#[tokio::test]
async fn p22_an_old_copy_of_the_data_gets_everything_back() {
    let mut server = RedisServer::start();
    let (one, other) = (node(&server.url()).await, node(&server.url()).await);
    begin(&one, "before").await;
    server.command(&["SAVE"]);
    let known = Known::change(&one).await;
    synced(&other).await;
    drop(one);
    server.kill();
    server.restart();
    synced(&other).await;
    drop(other);
    let late = node(&server.url()).await;
    known.is_told(&late);
    assert_eq!(answer(&late, &known.ended).await, Some(TouchOutcome::Ended));
}

#[tokio::test]
async fn p22_a_replica_that_lacks_writes_gets_them_when_it_is_promoted() {
    let (primary, replica) = (RedisServer::start(), RedisServer::start_with(FAST_SYNC));
    let proxy = Proxy::new(&primary).await;
    let one = node(&proxy.url()).await;
    let active = begin(&one, "active").await;
    let ended = begin(&one, "ended").await;
    assert_eq!(touched(&one, &active).await, TouchOutcome::Active(Some(NOW)));
    replica.replicate(&primary);
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    // The replica lacks this.
    end(&one, &ended).await;
    // Another node is there first, and its entries take the numbers of those that were lost.
    let other = node(&replica.url()).await;
    for sid in ["t", "u", "v"] {
        let record = begin(&other, sid).await;
        end(&other, &record).await;
    }
    proxy.lead_to(&replica);
    synced(&one).await;
    is_told_of_the_end(&other, &ended).await;
    for node in [&one, &other, &node(&replica.url()).await] {
        assert_eq!(answer(node, &ended).await, Some(TouchOutcome::Ended));
        assert_eq!(answer(node, &active).await, Some(TouchOutcome::Active(Some(NOW))));
    }
}

/// A replica is in step at once.
const FAST_SYNC: &[&str] = &["--repl-diskless-sync-delay", "0", "--appendonly", "yes"];

#[tokio::test]
async fn p22_an_evicted_tombstone_is_written_again() {
    let server = RedisServer::start();
    let clock = ManualClock::new(NOW);
    let one = connect(&server.url(), clock.clone()).await;
    let ended = begin(&one, "ended").await;
    end(&one, &ended).await;
    synced(&one).await;
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    while server.command(&["DBSIZE"]) != "0" {
        server.command(&["GET", "s"]);
    }
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    one.0.look_at_servers().await;
    synced(&one).await;
    let late = node(&server.url()).await;
    assert_eq!(answer(&late, &ended).await, Some(TouchOutcome::Ended));
}

#[tokio::test]
async fn p22_without_a_node_that_remembers_the_setting_decides() {
    for (choice, is_ended) in [(OnDataLoss::Trust, false), (OnDataLoss::EndAll, true)] {
        let mut server = RedisServer::start();
        let one = node(&server.url()).await;
        let record = begin(&one, "s").await;
        drop(one);
        server.kill();
        server.restart();
        let connect = async || {
            let store = RedisStore::at(server.url()).clock(ManualClock::new(NOW));
            store.time_limit(BOUND).on_data_loss(choice).connect().await.expect("it is reachable")
        };
        let first = connect().await;
        let begun = first.begin(SignIn::new(super::nodes::record("new"), audit("started"))).await;
        let epoch = begun.expect("the server answers").begun().expect("there is no limit").epoch;
        for node in [first, connect().await] {
            let revocations = node.revocations().expect("it has them");
            let revoked_by = |key, epoch| revocations.revoked_by(key, epoch, scopes);
            assert_eq!(revoked_by(record.key, NOW).is_some(), is_ended, "{choice:?}");
            let new = StoreKey::session(None, "new");
            assert_eq!(revoked_by(new, epoch), None, "{choice:?}: a later sign-in lives");
            let foreign = || crate::identity::Scopes::new(Some("https://issuer"), None, "bob");
            let foreign = revocations.revoked_by(record.key, NOW, foreign);
            assert_eq!(foreign.is_some(), is_ended, "{choice:?}: of every issuer");
        }
    }
}

#[tokio::test]
async fn p22_a_node_that_remembers_makes_the_setting_irrelevant() {
    let mut server = RedisServer::start();
    let one = node(&server.url()).await;
    let record = begin(&one, "s").await;
    server.kill();
    server.restart();
    synced(&one).await;
    let store = RedisStore::at(server.url()).time_limit(BOUND).clock(ManualClock::new(NOW));
    let late = store.on_data_loss(OnDataLoss::EndAll).connect().await.expect("it is reachable");
    let revocations = late.revocations().expect("it has them");
    assert_eq!(revocations.revoked_by(record.key, NOW, scopes), None);
}

#[tokio::test]
async fn p23_refreshes_fail_for_two_intervals_after_a_loss_and_then_go_on() {
    let server = RedisServer::start();
    let clock = ManualClock::new(NOW);
    let one = connect(&server.url(), clock.clone()).await;
    let record = begin(&one, "s").await;
    let query = RefreshQuery::new(record.key, NOW, record.scopes);
    server.command(&["FLUSHALL"]);
    one.refresh_state(query).await.expect_err("the store has lost data");
    clock.advance(Duration::from_millis(1999));
    one.refresh_state(query).await.expect_err("the store has lost data");
    clock.advance(Duration::from_millis(1));
    let state = one.refresh_state(query).await.expect("the server answers");
    assert_eq!(state, RefreshState::Unknown(None));
}

#[tokio::test]
async fn p23_another_node_refuses_refreshes_when_it_hears_of_a_loss() {
    let (primary, replica) = (RedisServer::start(), RedisServer::start_with(FAST_SYNC));
    let proxy = Proxy::new(&primary).await;
    let one = node(&proxy.url()).await;
    let ended = begin(&one, "ended").await;
    replica.replicate(&primary);
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    end(&one, &ended).await;
    // It sees nothing of the loss: it has read no more than there is.
    let other = node(&replica.url()).await;
    proxy.lead_to(&replica);
    synced(&one).await;
    let query = RefreshQuery::new(ended.key, NOW, ended.scopes);
    other.refresh_state(query).await.expect_err("it was announced");
}

#[tokio::test]
async fn p23_lost_activity_signs_nobody_out() {
    let mut server = RedisServer::start();
    let clock = ManualClock::new(NOW);
    let one = connect(&server.url(), clock.clone()).await;
    let other = connect(&server.url(), clock.clone()).await;
    let record = begin(&one, "s").await;
    server.command(&["SAVE"]);
    // The user is active here all the time; nothing but activity is lost.
    let active = async |node: &RedisStore, now: Timestamp| {
        let mut touch = Touch::new(now, NOW, IDLE);
        // What a token of this age tells.
        touch.unknown_activity = now;
        node.touch(record.keys(), touch).await
    };
    for _ in 0..3 {
        clock.advance(IDLE / 2);
        synced(&one).await;
        active(&one, clock.now()).await.expect("the server answers");
        one.flush().await.expect("the server answers");
    }
    server.kill();
    server.restart();
    // A request reaches the node that has not seen the session yet.
    let touched = async {
        loop {
            if let Ok(touched) = active(&other, clock.now()).await {
                return touched;
            }
            tokio::task::yield_now().await;
        }
    };
    let touched = tokio::time::timeout(BOUND, touched).await.expect("the server is back");
    assert!(matches!(touched, TouchOutcome::Active(_)), "{touched:?}");
    let late = connect(&server.url(), clock.clone()).await;
    clock.advance(IDLE / 2);
    let touched = active(&late, clock.now()).await;
    assert!(matches!(touched, Ok(TouchOutcome::Active(_))), "{touched:?}");
}

#[tokio::test]
async fn p22_an_ending_is_asserted_once_more_after_30_seconds() {
    let server = RedisServer::start();
    let clock = ManualClock::new(NOW);
    let one = connect(&server.url(), clock.clone()).await;
    let ended = begin(&one, "ended").await;
    end(&one, &ended).await;
    // A replica was promoted that lacked it, and nothing else tells.
    let mut delete = redis::cmd("DEL");
    delete.arg(one.0.keys.tombstones(ended.scopes.user));
    let deleted = one.0.connection.query(&delete).await;
    assert!(matches!(deleted, Ok(redis::Value::Int(1))));
    clock.advance(Duration::from_millis(29_999));
    synced(&one).await;
    assert!(one.0.stored(ended.keys()).await.is_ok_and(|stored| stored.is_none()));
    clock.advance(Duration::from_millis(1));
    synced(&one).await;
    let late = connect(&server.url(), clock.clone()).await;
    assert_eq!(answer(&late, &ended).await, Some(TouchOutcome::Ended));
}

#[tokio::test]
async fn p22_many_nodes_write_back_at_once() {
    let server = RedisServer::start();
    let one = node(&server.url()).await;
    let mut ended = Vec::new();
    for number in 0..250 {
        let record = record(&number.to_string());
        let user = StoreKey::session(None, &format!("user {number}"));
        let tombstone = Tombstone::new(record.key, NOW, NOW + DAY).of_user(user, None);
        assert!(one.write_tombstone(tombstone).await.expect("the server answers"));
        ended.push(SessionKeys::new(record.key, user));
    }
    drop(one);
    // They start after that, and read of it in the feed.
    let mut nodes = Vec::new();
    for _ in 0..9 {
        nodes.push(node(&server.url()).await);
    }
    server.command(&["FLUSHALL"]);
    let mut tasks = tokio::task::JoinSet::new();
    for node in nodes {
        tasks.spawn(async move { synced(&node).await });
    }
    tasks.join_all().await;
    let late = node(&server.url()).await;
    for keys in ended {
        let touched = late.touch(keys, Touch::new(NOW, NOW, IDLE)).await;
        assert!(matches!(touched, Ok(TouchOutcome::Ended)), "{touched:?}");
    }
}
