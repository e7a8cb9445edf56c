//! What axum handlers return: grants, errors and cookies as responses.

use std::{error::Error, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Request, StatusCode},
    response::{IntoResponse, Redirect, Response},
    routing::post,
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_sliding_session::{
    Grant, JwtKeys, MaybeReady, Policy, Rejection, RejectionKind, Session, SessionCookie,
    SlidingSessions, Timestamp,
    identity::SessionKeys,
    lifecycle::{AccountPolicyError, StartError},
    policy::TimeoutOverrides,
    sessions::SlidingSessionsBuilder,
    store::{
        MemoryStore, OnSessionLimit, SessionStore, StoreError, StoredSession, Tombstone, Touch,
        TouchOutcome,
    },
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
    transport::SetCookie,
};

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("the body is complete").to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Self { status: head.status, headers: head.headers, body }
    }

    /// Asserts that the answer is a problem that no cache may store.
    fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), &self.body["code"]), (status, &json!(code)));
        assert_eq!(self.body["status"], status);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.headers["cache-control"], "no-store");
    }
}

fn sessions_with(
    set: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder,
) -> SlidingSessions {
    let keys = JwtKeys::hs256([7; 32]).expect("a key of 32 bytes is long enough");
    let builder = SlidingSessions::builder(keys, Policy::long_lived());
    set(builder).build().expect("the settings are valid")
}

/// Sends a sign-in to a handler that does nothing but start the session of `subject`.
async fn sign_in(sessions: SlidingSessions, subject: &'static str) -> Answer {
    async fn login(
        State((sessions, subject)): State<(SlidingSessions, &'static str)>,
    ) -> Result<Grant, StartError> {
        sessions.start(subject).await
    }
    let app = Router::new().route("/login", post(login)).with_state((sessions, subject));
    let request = Request::post("/login").body(Body::empty()).expect("the request is valid");
    Answer::read(app.oneshot(request).await.expect("infallible")).await
}

#[tokio::test]
async fn a_grant_is_json_that_no_cache_may_store() {
    let answer = sign_in(sessions_with(SlidingSessionsBuilder::refresh_tokens), "ada").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(
        (&answer.body["token_type"], &answer.body["expires_in"]),
        (&json!("Bearer"), &json!(900))
    );
    for member in ["access_token", "refresh_token", "session_id"] {
        assert!(answer.body[member].is_string(), "{member}");
    }
}

#[tokio::test]
async fn a_grant_deserializes_from_its_own_json() {
    for sessions in
        [sessions_with(|builder| builder), sessions_with(SlidingSessionsBuilder::refresh_tokens)]
    {
        let grant = sessions.start("ada").await.expect("the session starts");
        let json = serde_json::to_value(&grant).expect("a grant serializes");
        let read: Grant = serde_json::from_value(json.clone()).expect("a grant deserializes");
        assert_eq!(serde_json::to_value(&read).expect("it serializes"), json);
        assert_eq!(read.access_token(), grant.access_token());
        assert_eq!(read.absolute_expires_at().as_secs(), grant.absolute_expires_at().as_secs());
        for (member, value) in [
            ("token_type", json!("mac")),
            ("access_token", json!("x; Domain=evil")),
            ("expires_in", json!(-1)),
            ("idle_expires_at", json!("tomorrow")),
            ("access_token", Value::Null),
        ] {
            let mut changed = json.clone();
            changed[member] = value;
            assert!(serde_json::from_value::<Grant>(changed).is_err(), "{member}");
        }
    }
}

#[tokio::test]
async fn a_sign_in_beyond_the_limit_is_a_conflict() {
    let sessions = sessions_with(|builder| builder.max_sessions(1, OnSessionLimit::Refuse));
    assert_eq!(sign_in(sessions.clone(), "ada").await.status, StatusCode::OK);
    let refused = sign_in(sessions, "ada").await;
    refused.assert_problem(409, "too_many_sessions");
    assert!(refused.body["title"].as_str().expect("a title").contains("Sign out"));
}

#[tokio::test]
async fn a_label_that_is_too_long_is_named() {
    let sessions = sessions_with(|builder| builder);
    let refused = sessions.start("ada").label(&"secret".repeat(100)).await;
    let answer = Answer::read(refused.expect_err("602 bytes").into_response()).await;
    answer.assert_problem(422, "invalid_label");
    assert!(!answer.body.to_string().contains("secret"));
}

/// A store that never answers.
struct Unreachable;

impl SessionStore for Unreachable {
    fn touch(&self, _: SessionKeys, _: Touch) -> MaybeReady<TouchOutcome> {
        MaybeReady::ready(Err(StoreError::new("10.0.0.7: connection refused")))
    }

    fn get(&self, _: SessionKeys) -> MaybeReady<StoredSession> {
        MaybeReady::ready(Err(StoreError::new("10.0.0.7: connection refused")))
    }

    fn write_tombstone(&self, _: Tombstone) -> MaybeReady<bool> {
        MaybeReady::ready(Err(StoreError::new("10.0.0.7: connection refused")))
    }
}

#[tokio::test]
async fn p23_an_unavailable_store_is_503_with_retry_after() {
    let rejection = || Rejection::from(RejectionKind::StoreUnavailable);
    for response in [
        StartError::Unavailable(rejection()).into_response(),
        AccountPolicyError::Unavailable(rejection()).into_response(),
    ] {
        let answer = Answer::read(response).await;
        answer.assert_problem(503, "store_unavailable");
        assert!(answer.headers.contains_key("retry-after"));
    }
    // From a real call: this store keeps no account policies.
    let sessions = sessions_with(|builder| builder.store(Unreachable));
    let error = sessions.change_account_policy("acme", |old| old).await.expect_err("no store");
    Answer::read(error.into_response()).await.assert_problem(503, "store_unavailable");
}

#[tokio::test]
async fn a_mistake_of_the_app_is_500_and_reveals_nothing() {
    let sessions = sessions_with(|builder| builder);
    let answer = sign_in(sessions.clone(), "").await;
    answer.assert_problem(500, "internal_error");
    let unknown = sessions.start("ada").profile("top_secret").await.expect_err("unknown");
    let claims = sessions.start("ada").claims(&json!({ "sid": "top_secret" })).await;
    for error in [unknown, claims.expect_err("refused")] {
        let answer = Answer::read(error.into_response()).await;
        answer.assert_problem(500, "internal_error");
        assert!(!answer.body.to_string().contains("top_secret"), "{}", answer.body);
        assert!(!answer.headers.contains_key("retry-after"));
    }
}

/// A claims source that denies every user.
struct DenyAll;

impl ClaimsSource for DenyAll {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        MaybeReady::ready(Ok(ClaimsUpdate::Deny))
    }
}

#[tokio::test]
async fn a_denied_user_is_403() {
    let sessions = sessions_with(|builder| builder.claims_source(DenyAll));
    let session = Session::builder("ada").sid("s1").auth_time(Timestamp::from_secs(1));
    let session = session.build().expect("the session is complete");
    let error = sessions.reauthenticate(&session).await.expect_err("denied");
    assert!(matches!(error, StartError::Denied), "{error}");
    Answer::read(error.into_response()).await.assert_problem(403, "access_denied");
}

#[tokio::test]
async fn overrides_out_of_bounds_are_422_with_each_field() {
    let sessions = sessions_with(|builder| builder.lifecycle_store(MemoryStore::new()));
    let overrides = TimeoutOverrides::new()
        .idle(Duration::from_secs(60))
        .absolute(Duration::from_secs(15 * 86_400));
    let error = sessions.change_account_policy("acme", |_| overrides).await.expect_err("refused");
    let answer = Answer::read(error.into_response()).await;
    answer.assert_problem(422, "invalid_settings");
    assert_eq!(
        answer.body["errors"],
        json!([
            {
                "field": "idle_timeout_minutes",
                "value": 1,
                "bound": { "min": 5 },
                "message": "Invalid idle timeout of 1m: at least 5m.",
            },
            {
                "field": "absolute_timeout_minutes",
                "value": 21_600,
                "bound": { "max": 20_160 },
                "message": "Invalid absolute timeout of 15d: at most 14d.",
            },
        ])
    );
}

#[tokio::test]
async fn a_cookie_goes_before_any_response() {
    async fn login(
        State((sessions, cookie)): State<(SlidingSessions, SessionCookie)>,
    ) -> Result<(SetCookie, Redirect), StartError> {
        let grant = sessions.start("ada").await?;
        Ok((grant.set_cookie(&cookie), Redirect::to("/")))
    }
    let cookie = SessionCookie::new();
    let sessions = sessions_with(|builder| builder.session_cookie(cookie.clone()));
    let app = Router::new().route("/login", post(login)).with_state((sessions, cookie.clone()));
    let request = Request::post("/login").body(Body::empty()).expect("the request is valid");
    let answer = Answer::read(app.oneshot(request).await.expect("infallible")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let set = &answer.headers["set-cookie"];
    assert!(set.is_sensitive());
    let set = set.to_str().expect("the cookie is ASCII");
    assert!(set.starts_with("__Host-session=ey") && set.ends_with("; Max-Age=900"), "{set}");

    let answer = Answer::read((SetCookie::clear(&cookie), StatusCode::NO_CONTENT).into_response());
    let answer = answer.await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let cleared = answer.headers["set-cookie"].to_str().expect("the cookie is ASCII");
    assert!(
        cleared.starts_with("__Host-session=;") && cleared.ends_with("; Max-Age=0"),
        "{cleared}"
    );
}

#[test]
fn an_error_has_its_source() {
    let rejection = Rejection::from(RejectionKind::StoreUnavailable);
    let errors: [Box<dyn Error>; 2] = [
        Box::new(StartError::Unavailable(rejection)),
        Box::new(AccountPolicyError::Unavailable(rejection)),
    ];
    for error in errors {
        let source = error.source().and_then(|source| source.downcast_ref::<Rejection>());
        assert_eq!(source.map(Rejection::kind), Some(RejectionKind::StoreUnavailable));
    }
    assert!(StartError::NoSubject.source().is_none());
}
