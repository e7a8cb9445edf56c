//! The service under test: an app with accounts, and the routes at `/auth`.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, request::Builder},
    routing::get,
};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_sliding_session::{
    Grant, JwtKeys, ManualClock, MaybeReady, Policy, Session, SlidingSessions, Timestamp,
    lifecycle::{DirectoryEntry, UserDirectory},
    sessions::SlidingSessionsBuilder,
    store::MemoryStore,
};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// When every test starts.
pub(crate) const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

pub(crate) struct Service {
    pub(crate) clock: ManualClock,
    pub(crate) sessions: SlidingSessions,
    app: Router,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

#[derive(Deserialize)]
struct Role<'a> {
    role: Option<&'a str>,
}

/// A directory that knows `ada` only.
struct Names;

impl UserDirectory for Names {
    fn entries(&self, tenant: &str, subjects: &[&str]) -> MaybeReady<Vec<DirectoryEntry>> {
        let ada = subjects.iter().filter(|subject| **subject == "ada").map(|_| DirectoryEntry {
            subject: "ada".to_owned(),
            name: "Ada Lovelace".to_owned(),
            email: format!("ada@{tenant}.example"),
        });
        MaybeReady::ready(Ok(ada.collect()))
    }
}

impl Service {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(set: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder) -> Self {
        Self::bare(|builder| {
            let builder = builder.lifecycle_store(Arc::new(MemoryStore::new()));
            set(builder
                .refresh_tokens()
                .activity_log()
                .route_pattern(matched_path)
                .user_directory(Names))
        })
    }

    /// A service without a lifecycle store.
    pub(crate) fn bare(set: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder) -> Self {
        let clock = ManualClock::new(BEGIN);
        let keys = JwtKeys::hs256([7; 32]).expect("a secret of at least 32 bytes");
        let builder = SlidingSessions::builder(keys, Policy::long_lived())
            .clock(clock.clone())
            .account_owner(|session: &Session| {
                session.claims::<Role>().is_ok_and(|claims| claims.role == Some("owner"))
            })
            .router_at("/auth");
        let sessions = set(builder).build().expect("a legal configuration");
        let app = Router::new()
            .route("/me", get(async || "me"))
            .nest("/auth", sessions.router())
            .layer(sessions.layer());
        Self { clock, sessions, app }
    }

    pub(crate) async fn owner(&self, user: &str, account: &str) -> Grant {
        self.start(user, Some(account), "owner").await
    }

    pub(crate) async fn engineer(&self, user: &str, account: &str) -> Grant {
        self.start(user, Some(account), "engineer").await
    }

    pub(crate) async fn start(&self, user: &str, account: Option<&str>, role: &str) -> Grant {
        let start = self.sessions.start(user).claims(&json!({ "role": role }));
        let start = if let Some(account) = account { start.tenant(account) } else { start };
        start.await.expect("a session")
    }

    /// Sends a request below `/auth`; `line` is a method and a path, as in `"GET /sessions"`.
    pub(crate) async fn call(&self, line: &str, grant: &Grant) -> Answer {
        self.send(by(line, grant), "").await
    }

    pub(crate) async fn send_json(&self, line: &str, grant: &Grant, body: &Value) -> Answer {
        let request = by(line, grant).header("content-type", "application/json");
        self.send(request, body.to_string()).await
    }

    /// Whether the stack accepts the session of `grant`.
    pub(crate) async fn is_accepted(&self, grant: &Grant) -> bool {
        self.send(by("GET /sessions", grant), "").await.status == StatusCode::OK
    }

    /// Sends a request that is activity.
    pub(crate) async fn entry(&self, grant: &Grant) {
        let request = by("GET ", grant).uri("/me");
        assert_eq!(self.send_anywhere(request, "").await.status, StatusCode::OK);
    }

    /// Sends a request to a route. Checks that the response is `no-store` and no error of the
    /// server.
    pub(crate) async fn send(&self, request: Builder, body: impl Into<Body>) -> Answer {
        let answer = self.send_anywhere(request, body).await;
        assert_eq!(answer.headers["cache-control"], "no-store", "{}", answer.body);
        assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        if !answer.status.is_success() {
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            assert_eq!(answer.json()["status"], answer.status.as_u16());
        }
        answer
    }

    /// As [`send`](Self::send), for a route that answers a form in its own way.
    pub(crate) async fn send_form(&self, request: Builder, body: impl Into<Body>) -> Answer {
        let answer = self.send_anywhere(request, body).await;
        assert_eq!(answer.headers["cache-control"], "no-store", "{}", answer.body);
        answer
    }

    /// Serves the app on a free port.
    pub(crate) async fn serve(&self) -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        tokio::spawn(axum::serve(listener, self.app.clone()).into_future());
        address
    }

    pub(crate) async fn send_anywhere(&self, request: Builder, body: impl Into<Body>) -> Answer {
        let request = request.body(body.into()).expect("a request");
        let response = self.app.clone().oneshot(request).await.expect("infallible");
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let body = String::from_utf8(body.into()).expect("UTF-8");
        Answer { status: head.status, headers: head.headers, body }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// The status and the code of a problem.
    pub(crate) fn problem(&self) -> (u16, String) {
        let code = self.json()["code"].as_str().expect("a code").to_owned();
        (self.status.as_u16(), code)
    }

    /// The JSON of a success.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.json()
    }
}

/// A request without a token below `/auth`; `line` is a method and a path.
pub(crate) fn request(line: &str) -> Builder {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    Request::builder().method(method).uri(format!("/auth{path}"))
}

/// The same with the access token of `grant`.
pub(crate) fn by(line: &str, grant: &Grant) -> Builder {
    request(line).header("authorization", format!("Bearer {}", grant.access_token()))
}

/// A problem as [`Answer::problem`] returns it.
pub(crate) fn problem(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn matched_path(extensions: &http::Extensions) -> Option<String> {
    Some(extensions.get::<axum::extract::MatchedPath>()?.as_str().to_owned())
}
