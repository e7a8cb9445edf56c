//! The metrics, as Prometheus reads them: the whole stack on a hyper server, over a SQLite file. One test,
//! since a process has one recorder.

#[path = "../servers/client.rs"]
mod client;
#[path = "../servers/hyper_server.rs"]
mod hyper_server;
#[cfg(feature = "redis")]
#[path = "../redis_server/mod.rs"]
mod redis_server;
#[path = "../test_stack/mod.rs"]
mod test_stack;

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version, request};
use http_body_util::Full;
use hyper::body::Incoming;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use tokio::sync::mpsc;
use tower::{ServiceBuilder, service_fn};
use tower_sliding_session::{
    Grant, MaybeReady, Policy, RejectionKind, Session,
    audit::{AuditRecord, AuditSink},
    metrics::{
        AUDIT_DROPPED, CACHE_LOOKUPS, LIVE_SESSIONS, OPEN_STREAMS, REFRESHES, REJECTIONS, RENEWALS,
        STORE_BREAKER_OPEN, STORE_DURATION,
    },
    store::{SqlStore, StoreError},
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};

use crate::{
    client::Client,
    test_stack::{MINUTE, RENEWED, TestStack, forge, payload},
};

/// A token of one hour is due for renewal after this time.
const DUE: Duration = Duration::from_secs(31 * 60);

/// What the exporter shows of one series; 0 if it shows none.
struct Exported(PrometheusHandle);

impl Exported {
    fn value(&self, name: &str, labels: &str) -> f64 {
        let series =
            if labels.is_empty() { name.to_owned() } else { format!("{name}{{{labels}}}") };
        let text = self.0.render();
        let line = text.lines().find_map(|line| line.strip_prefix(&series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Checks several series of one counter.
    fn assert_counted(&self, name: &str, expected: &[(&str, u32)]) {
        for (labels, count) in expected {
            let value = self.value(name, labels);
            assert!(
                (value - f64::from(*count)).abs() < 0.5,
                "{name} {labels}: {value}, not {count}"
            );
        }
    }
}

/// Keeps nothing.
struct Failing;

impl AuditSink for Failing {
    fn record(&self, _: Arc<[AuditRecord]>) -> MaybeReady<()> {
        MaybeReady::ready(Err(StoreError::new("the disk is full")))
    }
}

/// Everybody is a reader.
struct Readers;

impl ClaimsSource for Readers {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        MaybeReady::ready(
            ClaimsUpdate::replace(&json!({ "role": "reader" })).map_err(StoreError::new),
        )
    }
}

async fn stack() -> TestStack {
    let file = format!("{}/metrics-{}.db", env!("CARGO_TARGET_TMPDIR"), uuid::Uuid::new_v4());
    let store = SqlStore::connect(&file).await.expect("a new file");
    store.migrate().await.expect("the tables are created");
    let policy = Policy::long_lived().to_builder().token_lifetime(Duration::from_secs(3600));
    TestStack::with(policy.build().expect("a legal configuration"), |builder| {
        builder.lifecycle_store(store).refresh_tokens().claims_source(Readers).audit_sink(Failing)
    })
}

/// Serves a handler that tells the test of the session; below `/cached` it responds with 304.
async fn serve(stack: &TestStack) -> (Client, mpsc::UnboundedReceiver<Session>) {
    let (sender, sessions) = mpsc::unbounded_channel();
    let handler = service_fn(move |request: Request<Incoming>| {
        let session = request.extensions().get::<Session>().expect("authenticated").clone();
        sender.send(session).expect("the test listens");
        let status = match request.uri().path() {
            "/cached" => StatusCode::NOT_MODIFIED,
            _ => StatusCode::OK,
        };
        let response = Response::builder().status(status).body(Full::<Bytes>::default());
        std::future::ready(Ok::<_, Infallible>(response.expect("a response")))
    });
    let service = ServiceBuilder::new().layer(stack.sessions.layer()).service(handler);
    let address = hyper_server::serve(service, Version::HTTP_11).await;
    (Client::new(address, Version::HTTP_11), sessions)
}

fn get(path: &str, token: &str) -> request::Builder {
    Request::get(path).header("authorization", format!("Bearer {token}"))
}

async fn sign_in(stack: &TestStack) -> Grant {
    stack.sessions.start("ada").await.expect("the session starts")
}

async fn refused(stack: &TestStack, token: &str) -> RejectionKind {
    stack.sessions.refresh(token).await.expect_err("refused").kind()
}

fn refresh_token(grant: &Grant) -> &str {
    grant.refresh_token().expect("refresh tokens are on")
}

async fn assert_rejections_are_counted(
    exported: &Exported,
    client: &Client,
    token: &str,
    revoked: &str,
) {
    let forged = forge(r#"{"alg":"HS256","typ":"JWT"}"#, &payload(token), &[8; 32]);
    for (request, status) in [
        (Request::get("/"), 401),
        (get("/", "a.b.c"), 401),
        (get("/", &forged), 401),
        (get("/", revoked), 401),
    ] {
        assert_eq!(client.send(request).await.status().as_u16(), status);
    }
    exported.assert_counted(
        REJECTIONS,
        &[
            ("code=\"missing_token\",cause=\"none\"", 1),
            ("code=\"invalid_token\",cause=\"malformed\"", 1),
            ("code=\"invalid_token\",cause=\"signature\"", 1),
            ("code=\"session_revoked\",cause=\"tombstone\"", 1),
        ],
    );
}

/// Two stores, one after the other killed: the metric is of both.
#[cfg(feature = "redis")]
async fn assert_breaker_is_shown(exported: &Exported) {
    use tower_sliding_session::{
        Timestamp,
        identity::StoreKey,
        store::{RedisLimiter, RenewalLimiter as _, RenewalRequest},
    };
    let mut servers = [redis_server::RedisServer::start(), redis_server::RedisServer::start()];
    let mut limiters = Vec::new();
    for server in &servers {
        limiters.push(RedisLimiter::connect(&server.url()).await.expect("the server runs"));
    }
    let labels = "store=\"redis\"";
    exported.assert_counted(STORE_BREAKER_OPEN, &[(labels, 0)]);
    for (server, limiter) in servers.iter_mut().zip(&limiters) {
        server.kill();
        let request = RenewalRequest::new(
            StoreKey::session(None, "s"),
            StoreKey::user(None, None, "ada"),
            Timestamp::from_secs(1),
            MINUTE,
        );
        while limiter.acquire(request).await.is_ok() {}
        exported.assert_counted(STORE_BREAKER_OPEN, &[(labels, 1)]);
    }
    servers[0].restart();
    while !format!("{:?}", limiters[0]).contains("is_connected: true") {
        tokio::task::yield_now().await;
    }
    exported.assert_counted(STORE_BREAKER_OPEN, &[(labels, 1)]);
    drop(limiters.pop());
    while exported.value(STORE_BREAKER_OPEN, labels) > 0.5 {
        tokio::task::yield_now().await;
    }
    assert!(exported.0.render().contains(&format!("# HELP {STORE_BREAKER_OPEN} ")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_reads_every_metric() {
    let exported = PrometheusBuilder::new().install_recorder().expect("the first recorder");
    let exported = Exported(exported);
    let stack = stack().await;
    let (client, mut sessions) = serve(&stack).await;
    let grant = sign_in(&stack).await;
    let token = grant.access_token();

    // The first request verifies the token; the second finds both.
    for _ in 0..2 {
        assert_eq!(client.send(get("/", token)).await.status(), StatusCode::OK);
    }
    let lookups = [
        ("cache=\"token\",result=\"miss\"", 1),
        ("cache=\"token\",result=\"hit\"", 1),
        ("cache=\"session\",result=\"hit\"", 2),
    ];
    exported.assert_counted(CACHE_LOOKUPS, &lookups);
    exported.assert_counted(LIVE_SESSIONS, &[("", 1)]);

    // Streams.
    let session = sessions.recv().await.expect("the request reached the handler");
    let ended = session.ended();
    exported.assert_counted(OPEN_STREAMS, &[("", 1)]);
    drop(ended);
    exported.assert_counted(OPEN_STREAMS, &[("", 0)]);

    // Renewals.
    stack.at(DUE);
    assert_eq!(client.send(get("/cached", token)).await.status(), StatusCode::NOT_MODIFIED);
    let renewed = client.send(get("/", token)).await;
    assert!(renewed.headers().contains_key(RENEWED));
    assert!(!client.send(get("/", token)).await.headers().contains_key(RENEWED));
    let everything = stack.sessions.everything();
    stack.sessions.claims_changed(everything).await.expect("the store answers");
    for _ in 0..3 {
        assert!(client.send(get("/", token)).await.headers().contains_key(RENEWED));
    }
    exported.assert_counted(
        RENEWALS,
        &[
            ("outcome=\"withheld\"", 1),
            ("outcome=\"renewed\"", 2),
            ("outcome=\"limited\"", 1),
            ("outcome=\"shared\"", 2),
        ],
    );

    // Refreshes.
    let next = stack.sessions.refresh(refresh_token(&grant)).await.expect("the first exchange");
    stack.sessions.refresh(refresh_token(&grant)).await.expect("within the grace");
    client.send(get("/", next.access_token())).await;
    stack.clock.advance(MINUTE);
    let reused = refused(&stack, refresh_token(&grant)).await;
    assert_eq!(reused, RejectionKind::RefreshTokenReused);
    assert_eq!(refused(&stack, "a.b.c").await, RejectionKind::InvalidRefreshToken);
    assert_eq!(refused(&stack, refresh_token(&next)).await, RejectionKind::InvalidRefreshToken);
    exported.assert_counted(
        REFRESHES,
        &[
            ("outcome=\"first\"", 1),
            ("outcome=\"repeated\"", 1),
            ("outcome=\"reused\"", 1),
            ("outcome=\"refused\"", 2),
        ],
    );

    assert_rejections_are_counted(&exported, &client, token, next.access_token()).await;

    // What the store was asked for, and what a sink has lost.
    for operation in ["begin", "rotate", "refresh_state", "revoke", "change_claims"] {
        let labels = format!("operation=\"{operation}\",outcome=\"ok\"");
        assert!(exported.value(&format!("{STORE_DURATION}_count"), &labels) > 0.5, "{operation}");
        let seconds = exported.value(&format!("{STORE_DURATION}_sum"), &labels);
        assert!(seconds > 0.0 && seconds < 60.0, "{operation}: {seconds} s");
    }
    let queue = stack.sessions.audit_queue().expect("an audit queue");
    queue.flush().await;
    assert!(queue.dropped() > 0);
    exported.assert_counted(AUDIT_DROPPED, &[("", u32::try_from(queue.dropped()).expect("few"))]);

    #[cfg(feature = "redis")]
    assert_breaker_is_shown(&exported).await;

    // Nobody's name, session or token is a label, and each metric is described.
    let text = exported.0.render();
    for secret in ["ada", grant.session_id(), token] {
        assert!(!text.contains(secret), "{text}");
    }
    for name in [
        RENEWALS,
        REJECTIONS,
        REFRESHES,
        STORE_DURATION,
        CACHE_LOOKUPS,
        OPEN_STREAMS,
        AUDIT_DROPPED,
        LIVE_SESSIONS,
    ] {
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
    }
}
