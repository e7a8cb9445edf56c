//! An axum app behind the stack, over TCP.

use std::net::SocketAddr;

use axum::{
    Json, Router,
    extract::State,
    routing::{any, get, post},
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version, header::AUTHORIZATION};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_sliding_session::{
    Claims, Clock, Grant, PathRules, Rejection, RejectionKind, Session, SlidingSessions,
    sessions::SlidingSessionsBuilder,
};

use crate::{
    client::Client,
    stack::{IDLE_TIMEOUT, RENEWAL_DUE, stack, title},
};

#[derive(Deserialize)]
struct Role {
    role: String,
}

async fn login(State(sessions): State<SlidingSessions>) -> Result<Json<Grant>, StatusCode> {
    let claims = serde_json::json!({ "role": "engineer" });
    let grant = sessions.start("ada").claims(&claims).await;
    grant.map(Json).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn logout(session: Session) -> Result<StatusCode, Rejection> {
    session.sign_out().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn greet(session: Option<Session>) -> String {
    session.map_or_else(|| "nobody".to_owned(), |session| session.subject().to_owned())
}

fn routes(sessions: &SlidingSessions) -> Router {
    Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/me", get(async |session: Session| session.subject().to_owned()))
        .route("/role", get(async |Claims(Role { role }): Claims<Role>| role))
        .route("/number", get(async |_: Claims<u64>| "never"))
        .route("/greet", get(greet))
        .route("/any", any(async || "reached"))
        .with_state(sessions.clone())
}

async fn serve(app: Router) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address: SocketAddr = listener.local_addr().expect("a bound socket");
    tokio::spawn(axum::serve(listener, app).into_future());
    Client::new(address, Version::HTTP_11)
}

fn public_login() -> PathRules {
    PathRules::new().public("/login")
}

fn assert_rejected(response: &Response<Bytes>, kind: RejectionKind) {
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let headers = response.headers();
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["cache-control"], "no-store");
    assert!(headers["www-authenticate"].to_str().expect("UTF-8").starts_with("Bearer"));
    let problem: serde_json::Value = serde_json::from_slice(response.body()).expect("JSON");
    let expected = serde_json::json!({
        "type": "about:blank", "title": title(kind), "status": 401, "code": kind.code(),
    });
    assert_eq!(problem, expected);
}

async fn sign_in(caller: &Client) -> String {
    let response = caller.send(Request::post("/login")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let grant: serde_json::Value = serde_json::from_slice(response.body()).expect("JSON");
    assert_eq!(grant["token_type"], "Bearer");
    assert_eq!(grant["expires_in"], 3600);
    assert_eq!(grant["idle_expires_in"], IDLE_TIMEOUT.as_secs());
    format!("Bearer {}", grant["access_token"].as_str().expect("a token"))
}

fn with(bearer: &str, method: Method, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header(AUTHORIZATION, bearer)
}

#[tokio::test]
async fn a_session_from_sign_in_through_renewal_to_sign_out() {
    let stack = stack(|builder| builder.path_rules(public_login()));
    let caller = serve(routes(&stack.sessions).layer(stack.sessions.layer())).await;
    let bearer = sign_in(&caller).await;

    stack.clock.advance(RENEWAL_DUE);
    let response = caller.send(with(&bearer, Method::GET, "/me")).await;
    assert_eq!(response.body(), "ada");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let renewed = response.headers()["x-refreshed-token"].to_str().expect("a token");
    let renewed = format!("Bearer {renewed}");

    stack.clock.advance(RENEWAL_DUE);
    let response = caller.send(with(&bearer, Method::GET, "/me")).await;
    assert_rejected(&response, RejectionKind::TokenExpired);
    let response = caller.send(with(&renewed, Method::GET, "/role")).await;
    assert_eq!(response.body(), "engineer", "a renewal keeps the claims of the app");

    let response = caller.send(with(&renewed, Method::POST, "/logout")).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert!(!response.headers().contains_key("x-refreshed-token"));
    let response = caller.send(with(&renewed, Method::GET, "/me")).await;
    assert_rejected(&response, RejectionKind::SessionRevoked);
}

#[tokio::test]
async fn rejections_are_problem_details() {
    let stack = stack(|builder| builder);
    let caller = serve(routes(&stack.sessions).layer(stack.sessions.layer())).await;
    let bearer = stack.sign_in_bearer().await;

    let response = caller.send(Request::get("/me")).await;
    assert_rejected(&response, RejectionKind::MissingToken);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    let response = caller.send(with("Basic YTpi", Method::GET, "/me")).await;
    assert_rejected(&response, RejectionKind::MissingToken);
    for bad in ["Bearer", "Bearer a.b.c"] {
        let response = caller.send(with(bad, Method::GET, "/me")).await;
        assert_rejected(&response, RejectionKind::InvalidToken);
    }
    let twice = with(&bearer, Method::GET, "/me").header(AUTHORIZATION, &bearer);
    assert_rejected(&caller.send(twice).await, RejectionKind::InvalidToken);

    stack.clock.advance(IDLE_TIMEOUT);
    let response = caller.send(with(&bearer, Method::GET, "/me")).await;
    assert_rejected(&response, RejectionKind::SessionExpiredIdle);
    let response = caller.send(Request::get("/no-such-page")).await;
    assert_rejected(&response, RejectionKind::MissingToken);
}

#[tokio::test]
async fn extractors_reject_behind_an_optional_layer() {
    let stack = stack(|builder| builder);
    let caller = serve(routes(&stack.sessions).layer(stack.sessions.layer().optional())).await;
    let bearer = stack.sign_in_bearer().await;

    assert_eq!(caller.send(Request::get("/greet")).await.body(), "nobody");
    assert_eq!(caller.send(with(&bearer, Method::GET, "/greet")).await.body(), "ada");
    for path in ["/me", "/role"] {
        let response = caller.send(Request::get(path)).await;
        assert_rejected(&response, RejectionKind::MissingToken);
    }
    for path in ["/number", "/role"] {
        let response = caller.send(with(&bearer, Method::GET, path)).await;
        assert_rejected(&response, RejectionKind::InvalidToken);
    }
    let response = caller.send(with("Bearer a.b.c", Method::GET, "/greet")).await;
    assert_rejected(&response, RejectionKind::InvalidToken);
}

#[tokio::test]
async fn rules_outside_nest_see_the_whole_path() {
    let stack = stack(|builder| builder.path_rules(public_login().strip_prefix("/app")));
    let nested = Router::new().nest("/app", routes(&stack.sessions));
    let caller = serve(nested.layer(stack.sessions.layer())).await;
    assert_eq!(caller.send(Request::post("/app/login")).await.status(), StatusCode::OK);
    assert_rejected(&caller.send(Request::get("/app/me")).await, RejectionKind::MissingToken);
    assert_rejected(&caller.send(Request::post("/login")).await, RejectionKind::MissingToken);
}

#[tokio::test]
async fn rules_inside_nest_see_the_rest_of_the_path() {
    let stack = stack(|builder| builder.path_rules(public_login()));
    let inside = routes(&stack.sessions).layer(stack.sessions.layer());
    let caller = serve(Router::new().nest("/app", inside)).await;
    assert_eq!(caller.send(Request::post("/app/login")).await.status(), StatusCode::OK);
    assert_rejected(&caller.send(Request::get("/app/me")).await, RejectionKind::MissingToken);
    let response = caller.send(Request::get("/elsewhere")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn head_is_a_request_of_class_user_without_a_body() {
    let stack = stack(|builder| builder);
    let caller = serve(routes(&stack.sessions).layer(stack.sessions.layer())).await;
    let bearer = stack.sign_in_bearer().await;
    stack.clock.advance(RENEWAL_DUE);
    let response = caller.send(Request::head("/me")).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.body().is_empty());
    assert_eq!(response.headers()["session-error"], "missing_token");
    let response = caller.send(with(&bearer, Method::HEAD, "/me")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-length"], "3");
    assert!(response.headers().contains_key("x-refreshed-token"));
}

#[tokio::test]
async fn p27_options_is_authenticated_and_is_not_activity() {
    let stack = stack(|builder| builder);
    let caller = serve(routes(&stack.sessions).layer(stack.sessions.layer())).await;
    let bearer = stack.sign_in_bearer().await;
    let signed_in = stack.clock.now();
    stack.clock.advance(RENEWAL_DUE);
    let preflight = Request::options("/any")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST");
    assert_rejected(&caller.send(preflight).await, RejectionKind::MissingToken);
    let response = caller.send(with(&bearer, Method::OPTIONS, "/any")).await;
    assert_eq!(response.body(), "reached");
    assert!(!response.headers().contains_key("x-refreshed-token"));
    stack.clock.set(signed_in + IDLE_TIMEOUT);
    let response = caller.send(with(&bearer, Method::GET, "/any")).await;
    assert_rejected(&response, RejectionKind::SessionExpiredIdle);
}

#[tokio::test]
async fn allow_preflight_answers_preflights_only() {
    let stack = stack(SlidingSessionsBuilder::allow_preflight);
    let caller = serve(routes(&stack.sessions).layer(stack.sessions.layer())).await;
    let preflight = Request::options("/any")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST");
    let response = caller.send(preflight).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert!(response.body().is_empty());
    assert_rejected(&caller.send(Request::options("/any")).await, RejectionKind::MissingToken);
}
