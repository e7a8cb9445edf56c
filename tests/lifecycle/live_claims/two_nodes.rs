//! Roles that change on one node, while requests, refreshes and sign-ins are in flight on two (P37).

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{sync::Barrier, task::JoinSet};
use tower_sliding_session::{
    Grant, JwtKeys, ManualClock, Policy, SlidingSessions, Timestamp, identity::Scopes,
    token::ClaimsSource,
};

#[cfg(feature = "redis")]
use tower_sliding_session::store::RedisStore;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use tower_sliding_session::store::SqlStore;

use super::{BOUND, Roles, Says, get, races::Rounds, role_of};
#[cfg(feature = "redis")]
use crate::redis_server::RedisServer;
use crate::{
    client::refreshed,
    empty_stores::Store,
    test_stack::{BEGIN, MILLI, MINUTE, SECRET, TestStack, rejected, renewed, text},
};

const SYNC: Duration = Duration::from_secs(1);
const ROUNDS: u32 = 200;
const REQUESTERS: usize = 2;

/// One process of the service.
struct Node {
    stack: TestStack,
    store: Store,
    /// Of the store alone: no time limit of a request passes when it reads changes.
    store_clock: ManualClock,
}

impl Node {
    async fn start<C>(connect: &C, source: impl ClaimsSource) -> Self
    where
        C: AsyncFn(ManualClock) -> Store,
    {
        let [clock, store_clock] = [ManualClock::new(BEGIN), ManualClock::new(BEGIN)];
        let store = connect(store_clock.clone()).await;
        let keys = JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes");
        let sessions = SlidingSessions::builder(keys, Policy::long_lived())
            .clock(clock.clone())
            .lifecycle_store(Arc::clone(&store))
            .refresh_tokens()
            .claims_source(source)
            .build()
            .expect("a legal configuration");
        Self { stack: TestStack { sessions, clock }, store, store_clock }
    }

    /// The number of the latest change that the node knows of.
    fn number(&self) -> Option<Timestamp> {
        let changes = self.store.claims_changes().expect("the store supports them");
        changes.number_of(&Scopes::new(None, Some("acme"), "ada"))
    }

    /// Waits until the node has read what `other` has changed.
    async fn reads(&self, other: &Self) {
        let number = other.number();
        let is_read = async {
            // It reads nothing now.
            while self.store_clock.waiting_timers() == 0 {
                tokio::task::yield_now().await;
            }
            self.store_clock.advance(SYNC);
            while self.number() < number {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, is_read).await.expect("the node reads the change");
    }

    async fn sign_in(&self) -> Grant {
        let start = self.stack.sessions.start("ada").tenant("acme");
        start.await.expect("the session starts")
    }

    async fn change(&self, round: u32) {
        let sessions = &self.stack.sessions;
        let scope = match round % 4 {
            0 => sessions.user_scope(Some("acme"), "ada"),
            1 => sessions.subject_scope("ada"),
            2 => sessions.account_scope("acme"),
            _ => sessions.everything(),
        };
        sessions.claims_changed(scope).await.expect("the store answers");
    }
}

struct Race {
    /// The first one changes the roles.
    nodes: [Node; 2],
    /// The latest round whose change each node knows of.
    known: [AtomicU32; 2],
    token: Mutex<String>,
    grant: Mutex<Option<Grant>>,
}

impl Race {
    /// Sends a request to a node; its handler must not see a role that was changed before, as far as
    /// the node knew when the request was sent.
    async fn request(&self, node: usize, token: &str) {
        let before = self.known[node].load(SeqCst);
        let response = get(&self.nodes[node].stack, token).await;
        assert_eq!(rejected(&response), None);
        if let Some(successor) = renewed(&response) {
            *self.token.lock().expect("no panic") = successor;
        }
        let seen: u32 = text(response).await.parse().expect("a round");
        assert!(seen >= before, "node {node} knew of round {before} and has served {seen}");
    }

    fn token(&self) -> String {
        self.token.lock().expect("no panic").clone()
    }
}

async fn no_node_serves_a_role_after_its_change(connect: impl AsyncFn(ManualClock) -> Store) {
    let written = Arc::new(AtomicU32::new(0));
    let node = async || Node::start(&connect, Rounds::new(&written)).await;
    let nodes = [node().await, node().await];
    let grant = nodes[0].sign_in().await;
    let race = Arc::new(Race {
        nodes,
        known: [AtomicU32::new(0), AtomicU32::new(0)],
        token: Mutex::new(grant.access_token().to_owned()),
        grant: Mutex::new(Some(grant)),
    });
    for round in 1..=ROUNDS {
        let start = Arc::new(Barrier::new(2 * REQUESTERS + 3));
        let mut tasks = JoinSet::new();
        for number in 0..2 * REQUESTERS {
            let (race, start) = (Arc::clone(&race), Arc::clone(&start));
            tasks.spawn(async move {
                start.wait().await;
                for _ in 0..3 {
                    race.request(number % 2, &race.token()).await;
                }
            });
        }
        // A refresh and a sign-in mint while the other node changes the role.
        let (refresher, at_start) = (Arc::clone(&race), Arc::clone(&start));
        tasks.spawn(async move {
            let grant = refresher.grant.lock().expect("no panic").take().expect("it is put back");
            at_start.wait().await;
            let next = refreshed(&refresher.nodes[1].stack, &grant).await;
            for node in [1, 0] {
                refresher.request(node, next.access_token()).await;
            }
            *refresher.grant.lock().expect("no panic") = Some(next);
        });
        let (visitor, at_start) = (Arc::clone(&race), Arc::clone(&start));
        tasks.spawn(async move {
            at_start.wait().await;
            let other = visitor.nodes[1].sign_in().await;
            for node in [1, 0] {
                visitor.request(node, other.access_token()).await;
            }
        });
        start.wait().await;
        for _ in 0..round % 5 {
            tokio::task::yield_now().await;
        }
        written.store(round, SeqCst);
        race.nodes[0].change(round).await;
        race.known[0].store(round, SeqCst);
        race.request(0, &race.token()).await;
        race.nodes[1].reads(&race.nodes[0]).await;
        race.known[1].store(round, SeqCst);
        race.request(1, &race.token()).await;
        tasks.join_all().await;
        for node in &race.nodes {
            node.stack.clock.advance(MILLI);
        }
    }
}

/// A mint of the other node reads the old role before the change, and answers after that node has read
/// the change.
async fn a_mint_in_flight_on_the_other_node_is_stale(connect: impl AsyncFn(ManualClock) -> Store) {
    let roles = Roles::new();
    let node = async || Node::start(&connect, roles.clone()).await;
    let [changing, other] = [node().await, node().await];
    for is_refresh in [true, false] {
        roles.set("editor");
        roles.say(Says::Role);
        let grant = changing.sign_in().await;
        roles.was_asked().await;
        roles.say(Says::RoleLater);
        let changed = async {
            roles.was_asked().await;
            roles.set("reader");
            changing.change(0).await;
            other.reads(&changing).await;
            roles.answer();
        };
        let mint = async {
            if is_refresh { refreshed(&other.stack, &grant).await } else { other.sign_in().await }
        };
        let (minted, ()) = tokio::join!(mint, changed);
        roles.say(Says::Role);
        for node in [&other, &changing] {
            assert_eq!(role_of(&node.stack, minted.access_token()).await, "reader", "{is_refresh}");
            roles.was_asked().await;
            node.stack.clock.advance(MINUTE);
        }
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
async fn sql(address: &str, clock: ManualClock) -> Store {
    let store = SqlStore::at(address).clock(clock).sync_interval(SYNC).connect().await;
    let store = store.expect("the database is reachable");
    store.migrate().await.expect("the tables are created");
    Arc::new(store)
}

#[cfg(feature = "sqlite")]
fn file() -> String {
    let name = uuid::Uuid::new_v4().simple().to_string();
    format!("{}/{name}.db", env!("CARGO_TARGET_TMPDIR"))
}

#[cfg(feature = "redis")]
async fn redis(server: &RedisServer, clock: ManualClock) -> Store {
    let store = RedisStore::at(server.url()).time_limit(BOUND).clock(clock).sync_interval(SYNC);
    Arc::new(store.connect().await.expect("the server runs"))
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p37_no_node_serves_a_role_after_its_change_on_sqlite() {
    let file = file();
    no_node_serves_a_role_after_its_change(async |clock| sql(&file, clock).await).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p37_no_node_serves_a_role_after_its_change_on_postgres() {
    let schema = crate::postgres_server::schema();
    no_node_serves_a_role_after_its_change(async |clock| sql(&schema, clock).await).await;
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p37_no_node_serves_a_role_after_its_change_on_redis() {
    let server = RedisServer::start();
    no_node_serves_a_role_after_its_change(async |clock| redis(&server, clock).await).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p37_a_mint_in_flight_on_another_node_is_stale_on_sqlite() {
    let file = file();
    a_mint_in_flight_on_the_other_node_is_stale(async |clock| sql(&file, clock).await).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p37_a_mint_in_flight_on_another_node_is_stale_on_postgres() {
    let schema = crate::postgres_server::schema();
    a_mint_in_flight_on_the_other_node_is_stale(async |clock| sql(&schema, clock).await).await;
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p37_a_mint_in_flight_on_another_node_is_stale_on_redis() {
    let server = RedisServer::start();
    a_mint_in_flight_on_the_other_node_is_stale(async |clock| redis(&server, clock).await).await;
}
