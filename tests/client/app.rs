//! The service under test, and a client of it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    routing::{any, get, post},
};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Layer, ServiceExt};
use tower_sliding_session::{
    Grant, JwtKeys, ManualClock, PathRules, Policy, Session, SlidingSessions, Timestamp,
    client::{
        ClientBody, ClientEvent, RefreshRoute, SessionClient, SessionClientBuilder,
        SessionClientService,
    },
    layers::RequireRecentAuthLayer,
    sessions::SlidingSessionsBuilder,
};

use crate::{echo::Echo, server::Server};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const LIFETIME: Duration = Duration::from_secs(10 * 60);
pub(crate) const IDLE: Duration = Duration::from_secs(60 * 60);
pub(crate) const ABSOLUTE: Duration = Duration::from_secs(12 * 3600);
pub(crate) const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

pub(crate) type Http<B> = Client<HttpConnector, B>;

/// The service under test: `/auth` has the ready-made routes.
pub(crate) struct App {
    pub(crate) clock: ManualClock,
    pub(crate) sessions: SlidingSessions,
    pub(crate) server: Server,
}

/// A client of an [`App`], and what it was told.
pub(crate) struct Caller {
    pub(crate) session: SessionClient,
    pub(crate) events: Events,
    service: SessionClientService<Http<ClientBody<Full<Bytes>>>>,
    origin: String,
}

/// The events of a client.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<ClientEvent>>>);

impl Events {
    pub(crate) fn record(&self) -> impl Fn(ClientEvent) + Send + Sync + use<> {
        let events = Arc::clone(&self.0);
        move |event| events.lock().expect("not poisoned").push(event)
    }

    pub(crate) fn all(&self) -> Vec<ClientEvent> {
        self.0.lock().expect("not poisoned").clone()
    }
}

pub(crate) fn http<B>(version: http::Version) -> Http<B>
where
    B: http_body::Body<Data: Send> + Send,
{
    let is_http2 = version == http::Version::HTTP_2;
    Client::builder(TokioExecutor::new()).http2_only(is_http2).build_http()
}

pub(crate) fn builder(clock: &ManualClock) -> SlidingSessionsBuilder {
    let policy = Policy::builder()
        .token_lifetime(LIFETIME)
        .idle_timeout(IDLE)
        .absolute_timeout(ABSOLUTE)
        .build()
        .expect("a legal configuration");
    let keys = JwtKeys::hs256([7; 32]).expect("a secret of at least 32 bytes");
    SlidingSessions::builder(keys, policy)
        .clock(clock.clone())
        .refresh_tokens()
        .path_rules(PathRules::new().public("/bare").public("/sign-in"))
        .router_at("/auth")
}

/// Responds with the value that the request names, in the trailers.
async fn trailers(headers: HeaderMap) -> Response<axum::body::Body> {
    let name = headers
        .get("x-trailer")
        .map_or("x-refreshed-token", |name| name.to_str().expect("the name of a header"));
    let name: http::HeaderName = name.parse().expect("the name of a header");
    let trailers = HeaderMap::from_iter([(name, headers["x-token"].clone())]);
    let body = Full::new(Bytes::from_static(b"body"));
    let trailers = std::future::ready(Some(Ok(trailers)));
    Response::new(axum::body::Body::new(body.with_trailers(trailers)))
}

async fn replace_claims(session: Session) {
    session.replace_claims(&serde_json::json!({ "team": 2 })).expect("claims of the app");
}

/// Responds with the checksum in the trailers of the request.
async fn checksum(request: axum::extract::Request) -> String {
    let body = request.into_body().collect().await.expect("a whole body");
    let trailers = body.trailers().expect("trailers");
    trailers["x-checksum"].to_str().expect("ASCII").to_owned()
}

fn routes(sessions: &SlidingSessions) -> Router {
    let sign_in = sessions.clone();
    let (_, health) = tonic_health::server::health_reporter();
    let recent = RequireRecentAuthLayer::new(5 * MINUTE);
    Router::new()
        .route("/me", get(async |session: Session| session.subject().to_owned()))
        .route("/echo", post(async |body: Bytes| body))
        .route("/team", post(replace_claims))
        .route("/recent", get(async || "recent").layer(recent))
        .route("/bare", any(async || StatusCode::UNAUTHORIZED))
        .route(
            "/upstream",
            any(async || (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")])),
        )
        // Responds as another service of the same kind has responded.
        .route(
            "/forwarded",
            any(async |headers: HeaderMap| {
                let status = StatusCode::from_bytes(headers["x-status"].as_bytes());
                let code = headers["x-code"].clone();
                (status.expect("a status"), [("session-error", code)])
            }),
        )
        // Responds with the header that the request names.
        .route(
            "/renewed",
            get(async |headers: HeaderMap| [("x-refreshed-token", headers["x-token"].clone())]),
        )
        .route("/trailers", get(trailers))
        .route("/checksum", post(checksum))
        .route_service("/grpc.health.v1.Health/{method}", health)
        .route_service("/echo.Echo/{method}", Echo)
        .route(
            "/sign-in",
            post(async move || Json::<Grant>(sign_in.start("guest").await.expect("a session"))),
        )
        .nest("/auth", sessions.router())
        .layer(sessions.layer())
        // Another service of the same kind.
        .route("/other/trailers", get(trailers))
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(
        set: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder,
    ) -> Self {
        let clock = ManualClock::new(BEGIN);
        let sessions = set(builder(&clock)).build().expect("a legal configuration");
        Self::serve(sessions, clock).await
    }

    pub(crate) async fn serve(sessions: SlidingSessions, clock: ManualClock) -> Self {
        let server = Server::start(routes(&sessions)).await;
        Self { clock, sessions, server }
    }

    pub(crate) fn clock_now(&self) -> Timestamp {
        tower_sliding_session::Clock::now(&self.clock)
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.server.address)
    }

    pub(crate) fn refresh_uri(&self) -> http::Uri {
        format!("{}/auth/refresh", self.origin()).parse().expect("an address")
    }

    /// How often a token was refreshed, or an attempt was answered.
    pub(crate) fn refreshes(&self) -> usize {
        self.server.control.seen("/auth/refresh").len()
    }

    /// A client that nobody has signed in.
    pub(crate) fn stranger(&self, version: http::Version) -> Caller {
        self.caller(version, |builder| builder)
    }

    pub(crate) fn caller(
        &self,
        version: http::Version,
        set: impl FnOnce(SessionClientBuilder) -> SessionClientBuilder,
    ) -> Caller {
        let events = Events::default();
        let refresh = RefreshRoute::<_, Full<Bytes>>::new(http(version), self.refresh_uri());
        let builder = SessionClient::builder().refresh(refresh).on_event(events.record());
        let session = set(builder).build();
        let service = session.layer().layer(http(version));
        Caller { session, events, service, origin: self.origin() }
    }

    /// A client of the user `ada`.
    pub(crate) async fn ada(&self, version: http::Version) -> Caller {
        let caller = self.stranger(version);
        caller.session.sign_in(self.sign_in("ada").await);
        caller
    }

    pub(crate) async fn sign_in(&self, user: &str) -> Grant {
        self.sessions.start(user).await.expect("a session")
    }
}

impl Caller {
    pub(crate) fn clone_of(&self) -> Self {
        Self {
            session: self.session.clone(),
            events: self.events.clone(),
            service: self.service.clone(),
            origin: self.origin.clone(),
        }
    }

    /// A caller of the same session that shares no connection with this one.
    pub(crate) fn with_connections_of_its_own(&self) -> Self {
        Self {
            service: self.session.layer().layer(http(http::Version::HTTP_11)),
            ..self.clone_of()
        }
    }

    /// Sends a request; `line` is a method and a path.
    pub(crate) async fn try_send(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Response<Bytes>, hyper_util::client::legacy::Error> {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.origin));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        let (head, body) = self.service.clone().oneshot(request).await?.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Ok(Response::from_parts(head, body))
    }

    pub(crate) async fn send(&self, line: &str, headers: &[(&str, &str)]) -> Response<Bytes> {
        self.try_send(line, headers, Bytes::new()).await.expect("a response")
    }

    pub(crate) async fn get(&self, path: &str) -> Response<Bytes> {
        self.send(&format!("GET {path}"), &[]).await
    }

    pub(crate) fn access_token(&self) -> Option<String> {
        Some(self.session.tokens()?.access_token().to_owned())
    }
}

/// The code in the body of a rejection, which its header repeats.
pub(crate) fn code(response: &Response<Bytes>) -> String {
    let problem: serde_json::Value = serde_json::from_slice(response.body()).expect("JSON");
    let code = problem["code"].as_str().expect("a code");
    assert_eq!(response.headers()["session-error"], code);
    code.to_owned()
}
