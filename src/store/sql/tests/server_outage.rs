//! A real server that is paused, or killed and started again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use super::{postgres_server::Server, *};
use crate::{
    clock::SystemClock,
    maybe_ready::LIFECYCLE_TIME_LIMIT,
    store::{LifecycleStore as _, RefreshState, Rotated, SessionStore as _, TouchOutcome},
};

/// How long a request waits for its store.
const LIMIT: Duration = Duration::from_millis(250);

const TASKS: usize = 20;

/// Longer than a busy machine takes for anything.
const BOUND: Duration = Duration::from_secs(30);

/// What requests were answered: how many were admitted, and how many could not be checked.
#[derive(Default)]
struct Answers {
    admitted: usize,
    unavailable: usize,
}

/// Requests of sessions that this node has not read, one after the other, until `stop`.
async fn request(store: SqlStore, task: usize, stop: Arc<AtomicBool>) -> Answers {
    let mut answers = Answers::default();
    for number in 0.. {
        if stop.load(Relaxed) {
            break;
        }
        let now = SystemClock.now();
        let touch = Touch::new(now, now, IDLE);
        let touched = store.touch(keys(&format!("{task} {number}")), touch);
        match timeout(LIMIT, touched).await {
            Ok(Ok(TouchOutcome::Active(_))) => answers.admitted += 1,
            Ok(Err(_)) | Err(_) => answers.unavailable += 1,
            Ok(Ok(outcome)) => panic!("an active session is {outcome:?}"),
        }
        tokio::task::yield_now().await;
    }
    answers
}

async fn is_admitted(store: &SqlStore, sid: &str) -> bool {
    let now = SystemClock.now();
    let touched = timeout(LIMIT, store.touch(keys(sid), Touch::new(now, now, IDLE))).await;
    matches!(touched, Ok(Ok(TouchOutcome::Active(_))))
}

/// Requests go on while a server is harmed for 3 s and helped again.
async fn survives(harm: fn(&mut Server), help: fn(&mut Server)) {
    let mut server = Server::start();
    let store = SqlStore::connect(&server.url).await.expect("the server is reachable");
    store.migrate().await.expect("the migration succeeds");
    let now = SystemClock.now();
    let revoked = tombstone(key("revoked"), now + DAY);
    store.write_tombstone(revoked).await.expect("the store answers");
    let stop = Arc::new(AtomicBool::new(false));
    let tasks =
        (0..TASKS).map(|task| tokio::spawn(request(store.clone(), task, Arc::clone(&stop))));
    let tasks: Vec<_> = tasks.collect();
    assert!(is_admitted(&store, "before").await);

    // Commands of the server block.
    let mut server = tokio::task::spawn_blocking(move || {
        harm(&mut server);
        server
    })
    .await
    .expect("the server is harmed");
    let begun = SystemClock.now();
    while SystemClock.now().since(begun) < Duration::from_secs(3) {
        assert!(!is_admitted(&store, "revoked").await);
        tokio::task::yield_now().await;
    }
    let now = SystemClock.now();
    let touched = timeout(LIMIT, store.touch(keys("meanwhile"), Touch::new(now, now, IDLE))).await;
    assert!(matches!(touched, Ok(Err(_))), "the server is not asked any more: {touched:?}");
    let server = tokio::task::spawn_blocking(move || {
        help(&mut server);
        server
    })
    .await
    .expect("the server is helped");
    let helped = SystemClock.now();
    while !is_admitted(&store, "after").await {
        tokio::task::yield_now().await;
        assert!(
            SystemClock.now().since(helped) <= Duration::from_secs(2),
            "it recovers within 2 s"
        );
    }
    let recovered = SystemClock.now().since(helped);
    assert!(!is_admitted(&store, "revoked").await);
    stop.store(true, Relaxed);
    let (mut admitted, mut unavailable) = (0, 0);
    for task in tasks {
        let answers = task.await.expect("no request is answered that its session has ended");
        admitted += answers.admitted;
        unavailable += answers.unavailable;
    }
    println!("{admitted} admitted, {unavailable} unavailable, recovered after {recovered:?}");
    assert!(admitted > 0 && unavailable > 0);
    drop(server);
}

#[tokio::test]
async fn p23_a_server_that_was_paused_is_used_again_within_2_s() {
    survives(Server::pause, Server::resume).await;
}

#[tokio::test]
async fn p23_a_server_that_was_killed_is_used_again_within_2_s() {
    survives(Server::kill, Server::start_again).await;
}

/// Requests wait for a lock that another transaction holds, and so does a sign-in.
#[tokio::test]
async fn p23_a_lock_that_silences_requests_ends_no_call_of_the_lifecycle() {
    let database = TestDatabase::postgres().await;
    // Nothing but what the test asks is answered.
    let store = SqlStore::at(&database.address).sync_interval(DAY).connect().await;
    let store = store.expect("the server is reachable");
    store.migrate().await.expect("the migration succeeds");
    begin(&store, "s").await;
    let mut other = PgConnection::connect(&database.address).await.expect("it is reachable");
    let lock = "BEGIN; LOCK TABLE tss_sessions IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut other).await.expect("nobody uses the table");
    let sign_in = tokio::spawn(store.begin(SignIn::new(record("t"), audit("session_started"))));
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = (0..3).map(|task| tokio::spawn(request(store.clone(), task, Arc::clone(&stop))));
    let tasks: Vec<_> = tasks.collect();
    let (pools, _) = store.0.database.postgres().expect("it is Postgres");
    pools.breaker.as_ref().expect("a server has a breaker").opened().await;
    // One that begins meanwhile, and waits for no lock.
    let account = scopes().account.expect("ada has an account");
    store.overrides(account).await.expect("the server answers");
    stop.store(true, Relaxed);
    for task in tasks {
        assert_eq!(task.await.expect("no request is rejected").admitted, 0);
    }
    sqlx::raw_sql("COMMIT").execute(&mut other).await.expect("the lock is released");
    sign_in.await.expect("no panic").expect("the sign-in has waited for the lock");
    database.remove().await;
}

/// The server comes to an exchange when its caller has given up, and the client repeats it later than the
/// grace.
#[tokio::test]
async fn p23_an_exchange_that_is_executed_too_late_consumes_no_token() {
    let mut server = Server::start();
    let store = SqlStore::connect(&server.url).await.expect("the server is reachable");
    store.migrate().await.expect("the migration succeeds");
    begin(&store, "s").await;
    begin(&store, "other").await;
    // On each connection: one that has to prepare the statement first sends no exchange.
    for generation in 0..20 {
        let exchanged = store.rotate(rotation("other", generation, &generation.to_string())).await;
        assert_eq!(exchanged.expect("the server answers"), Rotated::Done, "it is in time");
    }
    let mut other = PgConnection::connect(&server.url).await.expect("the server answers");
    let now = "SELECT CAST(clock_timestamp() AS TEXT)";
    let paused_at: String =
        sqlx::query_scalar(now).fetch_one(&mut other).await.expect("it answers");
    drop(other);
    server.pause();
    store.rotate(rotation("s", 0, "late")).await.expect_err("the server is paused");
    tokio::time::sleep(LIFECYCLE_TIME_LIMIT).await;
    server.resume();
    store.0.database.recovered().await;
    // Those that had a statement have executed it.
    let mut other = PgConnection::connect(&server.url).await.expect("the server answers");
    let earlier = "SELECT COUNT(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
        AND backend_start < CAST($1 AS TIMESTAMPTZ)";
    let are_gone = async {
        loop {
            let count = sqlx::query_scalar::<_, i64>(earlier).bind(&paused_at);
            if count.fetch_one(&mut other).await.expect("the server answers") == 0 {
                break;
            }
        }
    };
    timeout(BOUND, are_gone).await.expect("they notice that nobody waits for them");
    let state = store.refresh_state(query("s")).await.expect("the server answers");
    let RefreshState::Known(recorded) = state else { panic!("{state:?}") };
    assert_eq!(recorded.generation, 0);
    let exchanged = store.rotate(rotation("s", 0, "repeated")).await;
    assert_eq!(exchanged.expect("the server answers"), Rotated::Done);
}
