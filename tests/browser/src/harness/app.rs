//! The routes of the test server.

use std::{convert::Infallible, pin::pin, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{
        FromRef, Path, Query, Request, State, WebSocketUpgrade,
        ws::{CloseFrame, Message},
    },
    http::{Method, StatusCode},
    middleware,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{any, get, post},
};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_sliding_session::{
    Grant, JwtKeys, PathRules, Rejection, Session, SlidingSessions, StartError,
    layers::RequireRecentAuthLayer,
    lifecycle::{Ticket, TicketError},
    request_class::{RequestHead, subtree},
    transport::{RENEWED_TOKEN, SetCookie},
};

use super::{
    recorder::{Recorder, record},
    server::Setup,
};

const SECRET: [u8; 32] = [7; 32];

#[derive(Clone)]
struct App {
    sessions: SlidingSessions,
    recorder: Recorder,
}

impl FromRef<App> for SlidingSessions {
    fn from_ref(app: &App) -> Self {
        app.sessions.clone()
    }
}

impl FromRef<App> for Recorder {
    fn from_ref(app: &App) -> Self {
        app.recorder.clone()
    }
}

pub(super) fn app(setup: &Setup, recorder: &Recorder) -> Router {
    let keys = JwtKeys::hs256(SECRET).expect("a secret of 32 bytes");
    let rules = PathRules::new()
        .public("/page")
        .public("/sign-in")
        .public("/login")
        .public("/login/cookie")
        .public("/logout")
        .public("/public/{*path}")
        .background(subtree("/poll"));
    let builder = SlidingSessions::builder(keys, setup.policy.clone())
        .path_rules(rules)
        .router_at("/auth")
        .session_expires();
    let sessions = (setup.configure)(builder).build().expect("a legal configuration");
    Router::new()
        .route("/page", get(async || Html(include_str!("page.html"))))
        .route("/sign-in", get(async || Html("<!doctype html><title>Sign in</title>")))
        .route("/login", post(login))
        .route("/login/cookie", post(login_by_cookie))
        .route("/logout", post(logout))
        .route("/reauthenticate", post(reauthenticate))
        .route("/api/me", get(me))
        .route("/public/held", get(held))
        .route("/public/renewed-as/{token}", get(renewed_as))
        .route("/api/transfer", post(me).layer(RequireRecentAuthLayer::new(Duration::from_secs(3))))
        .route("/api/echo", post(async |body: Bytes| body))
        .route("/api/claims-changed", post(claims_changed))
        .route("/api/team/{team}", post(join_team))
        .route("/api/stream/{kind}", get(stream))
        .route("/api/socket/{selected}", any(socket))
        .route("/api/ticket", post(ticket))
        .route("/poll", get(async || "nothing new"))
        .route("/public/foreign-401", any(async || StatusCode::UNAUTHORIZED))
        .route("/public/redirect", get(redirect))
        .route("/public/revoke", post(revoke))
        .route("/public/reject/{code}", get(reject))
        .nest("/auth", sessions.router())
        .layer(sessions.layer())
        .layer(cors(&sessions))
        .layer(middleware::from_fn_with_state(recorder.clone(), record))
        .with_state(App { sessions, recorder: recorder.clone() })
}

/// Any page may call, with credentials.
fn cors(sessions: &SlidingSessions) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(sessions.request_headers())
        .expose_headers(sessions.exposed_headers())
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(
    State(sessions): State<SlidingSessions>,
    Json(login): Json<Login>,
) -> Result<Grant, StartError> {
    sessions.start(login.user).await
}

/// Sets a cookie; the body has times and no token.
async fn login_by_cookie(
    State(sessions): State<SlidingSessions>,
    Json(login): Json<Login>,
) -> Result<impl IntoResponse, StartError> {
    let grant = sessions.start(login.user).await?;
    let mut body = serde_json::to_value(&grant).expect("it serializes");
    let members = body.as_object_mut().expect("an object");
    members.retain(|name, _| !name.ends_with("_token"));
    let cookie = sessions.cookie().expect("the stack has a cookie");
    Ok((grant.set_cookie(cookie), Json(body)))
}

async fn logout(
    State(sessions): State<SlidingSessions>,
    request: Request,
) -> Result<(SetCookie, StatusCode), Rejection> {
    let cleared = sessions.sign_out_request(RequestHead::new(&request)).await?;
    Ok((cleared, StatusCode::NO_CONTENT))
}

async fn me(session: Session) -> Json<Value> {
    Json(json!({ "sub": session.subject(), "sid": session.id() }))
}

/// The claims of the user have changed: the next request asks the claims source.
async fn claims_changed(State(sessions): State<SlidingSessions>, session: Session) -> StatusCode {
    let user = sessions.user_scope(None, session.subject());
    sessions.claims_changed(user).await.expect("the store is in memory");
    StatusCode::NO_CONTENT
}

async fn join_team(Path(team): Path<String>, session: Session) {
    session.replace_claims(&json!({ "team": team })).expect("claims of the app");
}

/// A stream of events: `closed` after one, `hasty` after one with a short `retry`, or `open`. Or an
/// open stream of gRPC-Web, after its first message.
async fn stream(Path(kind): Path<String>) -> impl IntoResponse {
    let (content_type, first) = match &*kind {
        "grpc-web" => ("application/grpc-web+proto", "\0\0\0\0\x01a"),
        "grpc-web-text" => ("application/grpc-web-text+proto", "AAAAAAFh"),
        "hasty" => ("text/event-stream", "retry: 10\nid: 7\ndata: one\n\n"),
        _ => ("text/event-stream", "id: 7\ndata: one\n\n"),
    };
    let first = stream::iter([Ok::<_, Infallible>(first)]);
    let body = match &*kind {
        "hasty" | "closed" => Body::from_stream(first),
        _ => Body::from_stream(first.chain(stream::pending())),
    };
    ([("content-type", content_type)], body)
}

/// A WebSocket that echoes, selects what the path says, and is closed when the session ends.
async fn socket(
    Path(selected): Path<String>,
    session: Session,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.protocols([selected]).on_upgrade(async move |mut socket| {
        let mut ended = pin!(session.ended());
        loop {
            tokio::select! {
                end = &mut ended => {
                    let reason = end.code().into();
                    let close = CloseFrame { code: 3000, reason };
                    let _ = socket.send(Message::Close(Some(close))).await;
                    return;
                }
                message = socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => {
                        let _ = socket.send(Message::Text(text)).await;
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                },
            }
        }
    })
}

#[derive(Deserialize)]
struct ForPath {
    path: String,
}

async fn ticket(
    State(sessions): State<SlidingSessions>,
    session: Session,
    Json(ForPath { path }): Json<ForPath>,
) -> Result<Ticket, TicketError> {
    sessions.ticket(&session).path(path).await
}

/// Starts a session in place of that of the request: step-up.
async fn reauthenticate(
    State(sessions): State<SlidingSessions>,
    session: Session,
) -> Result<Grant, StartError> {
    sessions.reauthenticate(&session).await
}

/// A rejection as another server might send it.
async fn reject(Path(code): Path<String>) -> impl IntoResponse {
    (StatusCode::UNAUTHORIZED, [("session-error", code)])
}

#[derive(Deserialize)]
struct Revoke {
    sid: String,
}

async fn revoke(
    State(sessions): State<SlidingSessions>,
    Json(Revoke { sid }): Json<Revoke>,
) -> Result<StatusCode, Rejection> {
    sessions.revoke(&sid).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Answers when the test says so: with the token of the query, the code of a rejection, or deadlines.
async fn held(State(recorder): State<Recorder>, Query(query): Query<Held>) -> Response {
    recorder.wait_for_release().await;
    match (query.token, query.code) {
        (Some(token), _) => ([(RENEWED_TOKEN, token)], "late").into_response(),
        (None, Some(code)) => reject(Path(code)).await.into_response(),
        (None, None) => ([("session-expires", query.expires)], "late").into_response(),
    }
}

#[derive(Deserialize)]
struct Held {
    token: Option<String>,
    code: Option<String>,
    #[serde(default)]
    expires: String,
}

/// Answers with a token that the test has made: the module verifies none.
async fn renewed_as(Path(token): Path<String>) -> Response {
    ([(RENEWED_TOKEN, token)], "renewed").into_response()
}

#[derive(Deserialize)]
struct To {
    to: String,
}

async fn redirect(Query(To { to }): Query<To>) -> Redirect {
    Redirect::temporary(&to)
}
