//! The cost of the lifecycle with 10,000 active sessions: refreshes and sign-outs per second, the time to
//! issue a ticket and to use it, SQL statements per refresh, per ticket and per request. Prints one line for each store; of the sign-outs the
//! median, the least and the most of five rounds. Postgres is the server at
//! `TEST_POSTGRES_URL`, or one that is started here.

#[path = "../tests/postgres_server/mod.rs"]
mod postgres_server;

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Request, Response};
use tokio::task::JoinSet;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_sliding_session::{
    JwtKeys, Policy, Session, SlidingSessions,
    store::{LifecycleStore, MemoryStore, SqlStore},
};

const SESSIONS: usize = 10_000;
const REFRESHES: usize = 2_000;
const TASKS: usize = 32;
const REQUESTS: u64 = 100;

/// Sign-outs of one round, and how many are concurrent.
const SIGN_OUTS: usize = 1_200;
const SIGN_OUT_TASKS: usize = 64;
const ROUNDS: usize = 5;

/// Tickets, each issued and used, one after the other.
const TICKETS: usize = 500;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let file = std::env::temp_dir().join(format!("{}.db", uuid::Uuid::new_v4().simple()));
    println!("{SESSIONS} active sessions; {TASKS} concurrent refresh tasks");
    println!(
        "store\trefreshes/s\tstatements/refresh\tstatements/{REQUESTS} requests of one user\t\
         us to issue a ticket\tus to use it\tstatements/ticket\t\
         sign-outs/s of {SIGN_OUT_TASKS} tasks\tstatements/sign-out"
    );
    measure("memory", Arc::new(MemoryStore::new()), || 0).await;
    for (name, address) in
        [("sqlite", file.to_string_lossy().into_owned()), ("postgres", postgres_server::schema())]
    {
        // A connection for each task that signs out.
        let store = SqlStore::at(&address).pool_size(100).connect().await;
        let store = store.expect("the database is reachable");
        store.migrate().await.expect("the tables are created");
        let counter = store.clone();
        measure(name, Arc::new(store), move || counter.statements()).await;
    }
    for ending in ["", "-wal", "-shm"] {
        // A file that does not exist is no error.
        let _ = std::fs::remove_file(format!("{}{ending}", file.display()));
    }
}

async fn measure(name: &str, store: Arc<dyn LifecycleStore>, statements: impl Fn() -> u64) {
    let keys = JwtKeys::hs256([7; 32]).expect("32 bytes");
    let sessions = SlidingSessions::builder(keys, Policy::long_lived())
        .lifecycle_store(store)
        .refresh_tokens()
        .tickets()
        .build()
        .expect("a legal configuration");
    let mut tokens = sign_in(&sessions).await;
    let bearer = format!("Bearer {}", tokens[0].0);

    let (before, watch) = (statements(), watch());
    let mut tasks = JoinSet::new();
    let rest = tokens.split_off(SESSIONS - REFRESHES);
    for share in rest.chunks(REFRESHES.div_ceil(TASKS)) {
        let (sessions, share) = (sessions.clone(), share.to_vec());
        tasks.spawn(async move {
            for (_, refresh) in share {
                sessions.refresh(&refresh).await.expect("a valid token");
            }
        });
    }
    tasks.join_all().await;
    let a_second = to_f64(REFRESHES) / watch.elapsed().as_secs_f64();
    let a_refresh =
        to_f64(usize::try_from(statements() - before).expect("a small number")) / to_f64(REFRESHES);

    let mut service = sessions.layer().layer(service_fn(async |request: Request<()>| {
        let session = request.extensions().get::<Session>().cloned();
        let mut response = Response::new(String::new());
        response.extensions_mut().insert(session.expect("the stack requires one"));
        Ok::<_, Infallible>(response)
    }));
    let before = statements();
    for _ in 0..REQUESTS {
        let request =
            Request::get("/").header("authorization", &bearer).body(()).expect("a valid request");
        let response = service.ready().await.expect("always ready").call(request).await;
        assert!(response.expect("infallible").status().is_success());
    }
    let requests = statements() - before;

    let request = Request::get("/").header("authorization", &bearer);
    let request = request.body(()).expect("a valid request");
    let response = service.ready().await.expect("always ready").call(request).await;
    let mut response = response.expect("infallible");
    let session: Session = response.extensions_mut().remove().expect("the handler's");
    let before = statements();
    let (mut issued, mut used) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..TICKETS {
        let watch = self::watch();
        let ticket = sessions.ticket(&session).path("/").await.expect("the store answers");
        issued += watch.elapsed();
        let request = Request::get(format!("/?ticket={}", ticket.as_str())).body(());
        let request = request.expect("a valid request");
        let watch = self::watch();
        let response = service.ready().await.expect("always ready").call(request).await;
        used += watch.elapsed();
        assert!(response.expect("infallible").status().is_success());
    }
    let micros = |total: Duration| total.as_secs_f64() * 1e6 / to_f64(TICKETS);
    let (issued, used) = (micros(issued), micros(used));
    let a_ticket =
        to_f64(usize::try_from(statements() - before).expect("a small number")) / to_f64(TICKETS);
    let mut sign_outs = Vec::new();
    let before = statements();
    for round in tokens.chunks(SIGN_OUTS).take(ROUNDS) {
        let mut ended = Vec::new();
        for (access, _) in round {
            let request = Request::get("/").header("authorization", format!("Bearer {access}"));
            let request = request.body(()).expect("a valid request");
            let response = service.ready().await.expect("always ready").call(request).await;
            let session = response.expect("infallible").extensions_mut().remove::<Session>();
            ended.push(session.expect("the handler's"));
        }
        sign_outs.push(sign_out(ended).await);
    }
    sign_outs.sort_unstable_by(f64::total_cmp);
    let (least, median, most) = (sign_outs[0], sign_outs[ROUNDS / 2], sign_outs[ROUNDS - 1]);
    let a_sign_out = to_f64(usize::try_from(statements() - before).expect("a small number"))
        / to_f64(ROUNDS * SIGN_OUTS);
    println!(
        "{name}\t{a_second:.0}\t{a_refresh:.2}\t{requests}\t{issued:.0}\t{used:.0}\t{a_ticket:.2}\t\
         {median:.0} ({least:.0} to {most:.0})\t{a_sign_out:.2}"
    );
}

/// Signs the sessions out concurrently. Returns how many a second.
async fn sign_out(sessions: Vec<Session>) -> f64 {
    let (count, watch) = (sessions.len(), watch());
    let mut tasks = JoinSet::new();
    for share in sessions.chunks(count.div_ceil(SIGN_OUT_TASKS)) {
        let share = share.to_vec();
        tasks.spawn(async move {
            for session in share {
                session.sign_out().await.expect("the store answers");
            }
        });
    }
    tasks.join_all().await;
    to_f64(count) / watch.elapsed().as_secs_f64()
}

/// Signs every user in and returns the access and the refresh token of each.
async fn sign_in(sessions: &SlidingSessions) -> Vec<(String, String)> {
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let sessions = sessions.clone();
        tasks.spawn(async move {
            let mut tokens = Vec::new();
            for user in (task..SESSIONS).step_by(TASKS) {
                let start = sessions.start(format!("user-{user}")).tenant("acme");
                let grant = start.await.expect("the session starts");
                let refresh = grant.refresh_token().expect("refresh tokens are on");
                tokens.push((grant.access_token().to_owned(), refresh.to_owned()));
            }
            tokens
        });
    }
    tasks.join_all().await.concat()
}

#[expect(clippy::disallowed_methods, reason = "a stopwatch, not the time of day")]
fn watch() -> Instant {
    Instant::now()
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn to_f64(count: usize) -> f64 {
    count as f64
}
