//! Four nodes that share one Redis: what each sees of a sign-in, of activity, a renewal, a sign-out, and
//! of a server that is killed. Exits with 0 if every promise held.
//!
//! `REDIS_URL` names the server; without it the example starts a `redis-server`, which it kills, starts
//! again and stops.

#[path = "cluster/redis.rs"]
pub(crate) mod redis;

use std::{
    future::IntoFuture as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::{net::TcpListener, time::sleep};
use tower::BoxError;
use tower_sliding_session::{
    Grant, JwtKeys, PathRules, Policy, Session, SlidingSessions,
    store::{RedisLimiter, RedisStore},
};
use uuid::Uuid;

use self::redis::Redis;

const NODES: usize = 4;
const IDLE: Duration = Duration::from_secs(4);

/// How long another node may admit a session that has ended: it hears of the end much earlier.
const UNTIL_HEARD: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(
    State(sessions): State<SlidingSessions>,
    Json(login): Json<Login>,
) -> axum::response::Result<Grant> {
    Ok(sessions.start(login.user).await?)
}

async fn logout(session: Session) -> axum::response::Result<()> {
    Ok(session.sign_out().await?)
}

/// Starts a node; returns its address.
async fn start_node(redis: &str, namespace: &str, secret: &[u8]) -> Result<String, BoxError> {
    let store = RedisStore::at(redis).namespace(namespace).connect().await?;
    let limiter = RedisLimiter::at(redis).namespace(namespace).connect().await?;
    let policy = Policy::builder()
        .idle_timeout(IDLE)
        .absolute_timeout(Duration::from_secs(600))
        .token_lifetime(2 * IDLE)
        .renew_min_interval(Duration::from_secs(3))
        .build()?;
    let sessions = SlidingSessions::builder(JwtKeys::hs256(secret)?, policy)
        .lifecycle_store(store)
        .renewal_limiter(limiter)
        .path_rules(PathRules::new().public("/login"))
        .build()?;
    let app = Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/me", get(|session: Session| async move { session.subject().to_owned() }))
        .layer(sessions.layer())
        .with_state(sessions);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, app).into_future());
    Ok(origin)
}

/// The four nodes, called over HTTP, and what did not hold.
struct Cluster {
    http: reqwest::Client,
    nodes: Vec<String>,
    broken: u32,
}

impl Cluster {
    fn check(&mut self, promise: &str, holds: bool) {
        println!("  {} {promise}", if holds { "held   " } else { "BROKEN " });
        self.broken += u32::from(!holds);
    }

    async fn sign_in(&self, node: usize, user: &str) -> Result<String, BoxError> {
        let request = self.http.post(format!("{}/login", self.nodes[node]));
        let request = request.header("content-type", "application/json");
        let grant = request.body(format!(r#"{{"user":"{user}"}}"#)).send().await?;
        let grant: serde_json::Value = serde_json::from_slice(&grant.bytes().await?)?;
        Ok(grant["access_token"].as_str().ok_or("the sign-in failed")?.to_owned())
    }

    /// Returns the status of a request, and the renewed token.
    async fn me(&self, node: usize, token: &str) -> Result<(StatusCode, Option<String>), BoxError> {
        let request = self.http.get(format!("{}/me", self.nodes[node]));
        let response = request.header("authorization", format!("Bearer {token}")).send().await?;
        let renewed = response.headers().get("x-refreshed-token");
        let renewed = renewed.map(|token| Ok::<_, BoxError>(token.to_str()?.to_owned()));
        Ok((response.status(), renewed.transpose()?))
    }

    /// The status of a request on each node.
    async fn statuses(&self, token: &str) -> Result<Vec<u16>, BoxError> {
        let mut statuses = Vec::new();
        for node in 0..NODES {
            statuses.push(self.me(node, token).await?.0.as_u16());
        }
        Ok(statuses)
    }

    async fn lose(&mut self, redis: &mut Redis, active: &str, ended: &str) -> Result<(), BoxError> {
        println!("the Redis is killed");
        redis.kill();
        let (active, ended) = (self.statuses(active).await?, self.statuses(ended).await?);
        println!("  GET /me of the active session: {active:?}, of the one signed out: {ended:?}");
        self.check("nobody is signed out", !active.contains(&401));
        self.check("nobody is let in", !ended.contains(&200));
        Ok(())
    }

    async fn recover(&mut self, active: &str, ended: &str) -> Result<(), BoxError> {
        let recovered = self.wait_for(active, 200, Duration::from_secs(2)).await?;
        println!("  every node admits the active session after {}", in_millis(recovered));
        self.check("the nodes recover within 2 s", recovered.is_some());
        // Until each node has read the changes again, by itself.
        sleep(2 * UNTIL_HEARD).await;
        let statuses = self.statuses(ended).await?;
        println!("  GET /me of the session that was signed out: {statuses:?}");
        self.check("it stays signed out", statuses == [401; NODES]);
        Ok(())
    }

    /// Calls every node until each answers `expected`. Returns how long it took, `None` if they do not in
    /// `limit`.
    async fn wait_for(
        &self,
        token: &str,
        expected: u16,
        limit: Duration,
    ) -> Result<Option<Duration>, BoxError> {
        #[expect(clippy::disallowed_methods, reason = "a stopwatch, not the time of day")]
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if self.statuses(token).await? == [expected; NODES] {
                return Ok(Some(begun.elapsed()));
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(None)
    }
}

fn in_millis(time: Option<Duration>) -> String {
    time.map_or_else(|| "too long".to_owned(), |time| format!("{} ms", time.as_millis()))
}

/// Runs every step; returns how many promises did not hold.
pub(crate) async fn run(redis: &mut Redis) -> Result<u32, BoxError> {
    let namespace = format!("cluster-{}", Uuid::new_v4().simple());
    let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        nodes.push(start_node(redis.url(), &namespace, &secret).await?);
    }
    println!("{NODES} nodes over {}: {}\n", redis.url(), nodes.join(", "));
    let mut cluster = Cluster { http: reqwest::Client::new(), nodes, broken: 0 };

    println!("a sign-in on node 1");
    let mut token = cluster.sign_in(0, "ada").await?;
    let statuses = cluster.statuses(&token).await?;
    println!("  GET /me on nodes 1 to 4: {statuses:?}");
    cluster.check("every node admits the session", statuses == [200; NODES]);

    println!("a request every second, each on another node, with an idle timeout of {IDLE:?}");
    for second in 0..5 {
        sleep(Duration::from_secs(1)).await;
        let (status, renewed) = cluster.me(second % NODES, &token).await?;
        token = renewed.unwrap_or(token);
        if status != StatusCode::OK {
            println!("  node {}: {status}", second % NODES + 1);
            cluster.broken += 1;
        }
    }
    let statuses = cluster.statuses(&token).await?;
    println!("  then GET /me on nodes 1 to 4: {statuses:?}");
    cluster.check("activity on one node counts on all", statuses == [200; NODES]);

    println!("40 parallel requests on all nodes with a token that is due to be renewed");
    let due = cluster.sign_in(1, "bob").await?;
    for second in 0..5 {
        sleep(Duration::from_secs(1)).await;
        token = cluster.me(second % NODES, &token).await?.1.unwrap_or(token);
        // Active, and not renewed yet: more than half of its life is left.
        if second < 3 {
            cluster.me(second % NODES, &due).await?;
        }
    }
    let requests = (0..40).map(|number| cluster.me(number % NODES, &due));
    let mut renewed = 0;
    for answer in futures_util::future::join_all(requests).await {
        renewed += u32::from(answer?.1.is_some());
    }
    println!("  responses with a successor: {renewed}");
    cluster.check("one renewal for all nodes", renewed == 1);

    println!("a sign-out on node 2");
    let ended = due;
    let request = cluster.http.post(format!("{}/logout", cluster.nodes[1]));
    let status = request.header("authorization", format!("Bearer {ended}")).send().await?.status();
    let heard = cluster.wait_for(&ended, 401, UNTIL_HEARD).await?;
    println!("  POST /logout: {status}; rejected by every node after {}", in_millis(heard));
    cluster.check("every node rejects the session", status.is_success() && heard.is_some());

    if redis.is_own() {
        cluster.lose(redis, &token, &ended).await?;
        println!("it is started again with what it has stored");
        redis.start().await?;
        cluster.recover(&token, &ended).await?;
        cluster.lose(redis, &token, &ended).await?;
        println!("it is started again without anything");
        redis.forget()?;
        redis.start().await?;
        cluster.recover(&token, &ended).await?;
    }
    Ok(cluster.broken)
}

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let broken = match std::env::var("REDIS_URL") {
        Ok(url) => run(&mut Redis::at(url)).await?,
        Err(_) => run(&mut Redis::start_own().await?).await?,
    };
    if broken > 0 {
        println!("\n{broken} promises did not hold");
        return Ok(ExitCode::FAILURE);
    }
    println!("\nevery promise held; next: REDIS_URL=redis://.. for a server of yours");
    Ok(ExitCode::SUCCESS)
}
