//! The stack under test: `SlidingSessions` with a manual clock.

#![allow(dead_code, reason = "each test file compiles this one and uses its part of it")]

use std::{future::Future, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::{Method, Request, Response, StatusCode, request};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_sliding_session::{
    JwtKeys, ManualClock, Policy, RejectionKind, SessionBody, SlidingSessions, Timestamp,
    sessions::SlidingSessionsBuilder, token::TokenVerifier,
};

pub(crate) mod faulty_store;
pub(crate) mod recorded_log;

/// When every test starts: a whole second.
pub(crate) const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(crate) const SECRET: [u8; 32] = [7; 32];
pub(crate) const RENEWED: &str = "x-refreshed-token";
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const MILLI: Duration = Duration::from_millis(1);

pub(crate) type Answer = Response<SessionBody<String>>;

pub(crate) struct TestStack {
    pub(crate) sessions: SlidingSessions,
    pub(crate) clock: ManualClock,
}

/// Token lifetime one hour; idle and absolute timeout twelve hours.
pub(crate) fn patient() -> Policy {
    Policy::builder().idle_timeout(12 * HOUR).build().expect("a legal configuration")
}

impl TestStack {
    pub(crate) fn new(policy: Policy) -> Self {
        Self::with(policy, |builder| builder)
    }

    pub(crate) fn with(
        policy: Policy,
        set: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder,
    ) -> Self {
        Self::with_keys(JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes"), policy, set)
    }

    pub(crate) fn with_keys(
        keys: impl Into<Arc<JwtKeys>>,
        policy: Policy,
        set: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder,
    ) -> Self {
        Self::with_cached_tokens(cached_tokens(), keys, policy, set)
    }

    pub(crate) fn with_cached_tokens(
        cached_tokens: usize,
        keys: impl Into<Arc<JwtKeys>>,
        policy: Policy,
        set: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder,
    ) -> Self {
        let clock = ManualClock::new(BEGIN);
        let builder = SlidingSessions::builder(keys, policy)
            .cached_tokens(cached_tokens)
            .clock(clock.clone());
        Self { sessions: set(builder).build().expect("a legal configuration"), clock }
    }

    pub(crate) fn at(&self, since_begin: Duration) -> &Self {
        self.clock.set(BEGIN + since_begin);
        self
    }

    /// The access token of a new session of the user `ada`.
    pub(crate) async fn sign_in(&self) -> String {
        self.sign_in_as("ada").await
    }

    /// The `Authorization` value of a new session of the user `ada`.
    pub(crate) async fn sign_in_bearer(&self) -> String {
        format!("Bearer {}", self.sign_in().await)
    }

    pub(crate) async fn sign_in_as(&self, sub: &str) -> String {
        self.sessions.start(sub).await.expect("the session starts").access_token().to_owned()
    }

    /// Sends `request` to a handler that responds with 200.
    pub(crate) async fn send(&self, request: Request<()>) -> Answer {
        self.send_to(async |_| ok(), request).await
    }

    pub(crate) async fn send_to<H, F>(&self, handler: H, request: Request<()>) -> Answer
    where
        H: FnMut(Request<()>) -> F + Clone,
        F: Future<Output = Response<String>>,
    {
        let mut handler = handler;
        let service = service_fn(move |request| {
            let answer = handler(request);
            async move { Ok::<_, std::convert::Infallible>(answer.await) }
        });
        let Ok(response) = self.sessions.layer().layer(service).oneshot(request).await;
        response
    }

    /// Sends `GET /` with `token`.
    pub(crate) async fn get(&self, token: &str) -> Answer {
        self.send(with(token)).await
    }

    /// Sends `GET /` with `token` to a handler that returns `response`.
    pub(crate) async fn get_from(&self, response: Response<String>, token: &str) -> Answer {
        self.send_to(move |_| std::future::ready(response.clone()), with(token)).await
    }
}

/// The size of the token cache. `tests/run` runs these tests a second time with the environment
/// variable set to 0, which turns the cache off.
pub(crate) fn cached_tokens() -> usize {
    match std::env::var("TEST_CACHED_TOKENS") {
        Ok(number) => number.parse().expect("a number"),
        Err(_) => TokenVerifier::DEFAULT_CACHED_TOKENS,
    }
}

pub(crate) fn ok() -> Response<String> {
    Response::new("ok".to_owned())
}

pub(crate) fn by(method: Method, token: &str) -> request::Builder {
    Request::builder().method(method).uri("/").header("authorization", format!("Bearer {token}"))
}

pub(crate) fn with(token: &str) -> Request<()> {
    by(Method::GET, token).body(()).expect("a request")
}

pub(crate) fn renewed(response: &Answer) -> Option<String> {
    Some(response.headers().get(RENEWED)?.to_str().expect("UTF-8").to_owned())
}

/// The kind of a rejection; `None` for the response of the handler.
pub(crate) fn rejected<B>(response: &Response<B>) -> Option<RejectionKind> {
    let rejection = response.extensions().get::<tower_sliding_session::Rejection>();
    let kind = rejection.map(tower_sliding_session::Rejection::kind);
    assert_eq!(kind.is_none(), response.status() == StatusCode::OK, "{:?}", response.status());
    kind
}

pub(crate) async fn text(response: Answer) -> String {
    let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The payload of `token`.
pub(crate) fn payload(token: &str) -> String {
    let body = token.split('.').nth(1).expect("three parts");
    String::from_utf8(URL_SAFE_NO_PAD.decode(body).expect("base64url")).expect("UTF-8")
}

pub(crate) fn claims(token: &str) -> serde_json::Value {
    serde_json::from_str(&payload(token)).expect("an object")
}

/// A token with this header and payload, signed by HS256 with `secret` whatever the header says.
pub(crate) fn forge(header: &str, payload: &str, secret: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let mac = Hmac::<sha2::Sha256>::new_from_slice(secret).expect("any length");
    let signature = mac.chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A token with a valid signature over `payload`.
pub(crate) fn signed(payload: &str) -> String {
    forge(r#"{"alg":"HS256","typ":"JWT"}"#, payload, &SECRET)
}
