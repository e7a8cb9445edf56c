//! The first requests after a restart: 6,000 users within two seconds, each once. Prints one line
//! for each store: the requests that were answered 503, the time that a request took, and the
//! statements. `benches/restart/run` makes every flush of the SQLite file take 8 ms. Postgres is the
//! server at `TEST_POSTGRES_URL`, or one that is started here.

#[path = "../../tests/postgres_server/mod.rs"]
mod postgres_server;

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use http::{Request, Response, StatusCode};
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt, service_fn};
use tower_sliding_session::{JwtKeys, Policy, SlidingSessions, store::SqlStore};

const USERS: u32 = 6_000;
const WITHIN: Duration = Duration::from_secs(2);
const TASKS: u32 = 32;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let file = std::env::temp_dir().join(format!("{}.db", uuid::Uuid::new_v4().simple()));
    println!("store\t503s\tmedian ms\t99 % ms\tmax ms\tstatements read\tstatements written");
    for (name, address) in
        [("sqlite", file.to_string_lossy().into_owned()), ("postgres", postgres_server::schema())]
    {
        let tokens = sign_in(&address).await;
        measure(name, &address, tokens).await;
    }
    for ending in ["", "-wal", "-shm"] {
        // A file that does not exist is no error.
        let _ = std::fs::remove_file(format!("{}{ending}", file.display()));
    }
}

fn sessions(store: SqlStore) -> SlidingSessions {
    let keys = JwtKeys::hs256([7; 32]).expect("32 bytes");
    let policy = Policy::builder().build().expect("the default policy");
    let sessions = SlidingSessions::builder(keys, policy).lifecycle_store(store);
    sessions.build().expect("a legal configuration")
}

/// Signs in every user. The store is closed then.
async fn sign_in(address: &str) -> Vec<String> {
    let store = SqlStore::connect(address).await.expect("the database is reachable");
    store.migrate().await.expect("the tables are created");
    let sessions = sessions(store);
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let sessions = sessions.clone();
        tasks.spawn(async move {
            let mut tokens = Vec::new();
            for user in (task..USERS).step_by(TASKS as usize) {
                let grant = sessions.start(format!("user {user}")).await.expect("it starts");
                tokens.push(grant.access_token().to_owned());
            }
            tokens
        });
    }
    tasks.join_all().await.concat()
}

async fn measure(name: &str, address: &str, tokens: Vec<String>) {
    let store = SqlStore::connect(address).await.expect("the database is reachable");
    let sessions = sessions(store.clone());
    let before = store.statements();
    let start = now();
    let mut requests = JoinSet::new();
    for (token, number) in tokens.into_iter().zip(0..) {
        let service = sessions.layer().layer(service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(Response::new(String::new()))
        }));
        requests.spawn(async move {
            let begins = start + WITHIN * number / USERS;
            tokio::time::sleep_until(begins.into()).await;
            let request = Request::get("/").header("authorization", format!("Bearer {token}"));
            let answer = service.oneshot(request.body(()).expect("a valid request")).await;
            let status = answer.expect("infallible").status();
            (status, begins.elapsed().as_secs_f64() * 1e3)
        });
    }
    let answers = requests.join_all().await;
    let read = store.statements() - before;
    sessions.flush().await.expect("the database answers");
    let written = store.statements() - before - read;
    let of = |status| answers.iter().filter(|(it, _)| *it == status).count();
    let refused = of(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused + of(StatusCode::OK), answers.len(), "nobody is signed out");
    let mut millis: Vec<_> = answers.iter().map(|(_, millis)| *millis).collect();
    millis.sort_by(f64::total_cmp);
    let [median, most, max] =
        [millis.len() / 2, millis.len() * 99 / 100, millis.len() - 1].map(|at| millis[at]);
    println!("{name}\t{refused}\t{median:.1}\t{most:.1}\t{max:.1}\t{read}\t{written}");
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}
