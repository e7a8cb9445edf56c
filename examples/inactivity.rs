//! Signed out after 20 minutes without activity, and after an hour whatever happens; the front end
//! asks for both timeouts, so that it can warn in time.
//!
//! `EXAMPLE_ADDR` sets the address, 127.0.0.1:3000 by default; port 0 takes a free one.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CACHE_CONTROL},
    response::IntoResponse,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tower::BoxError;
use tower_sliding_session::{
    Clock, JwtKeys, PathRules, Policy, Session, SlidingSessions, SystemClock,
};
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(
    State(sessions): State<SlidingSessions>,
    Json(login): Json<Login>,
) -> Result<impl IntoResponse, StatusCode> {
    // Your check of a password or passkey belongs here.
    if login.user != "ada" {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let grant = sessions.start(login.user).await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "no session was started");
        StatusCode::INTERNAL_SERVER_ERROR
    })?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(grant)))
}

/// What a page needs to warn its user; all in seconds.
#[derive(Serialize)]
struct Timeouts {
    idle_timeout: u64,
    absolute_timeout: u64,
}

async fn timeouts(State(sessions): State<SlidingSessions>) -> Json<Timeouts> {
    let policy = sessions.profiles().normal();
    Json(Timeouts {
        idle_timeout: policy.idle_timeout().as_secs(),
        absolute_timeout: policy.absolute_timeout().as_secs(),
    })
}

/// The whole service, on `clock`.
pub(crate) fn app(clock: impl Clock) -> Result<Router, BoxError> {
    // Tokens live for twice the idle timeout, so that the idle timeout is what ends a session.
    let policy = Policy::builder()
        .idle_timeout(20 * MINUTE)
        .absolute_timeout(60 * MINUTE)
        .token_lifetime(40 * MINUTE)
        .build()?;
    // A random key, so a restart ends every session; yours comes from where you keep secrets.
    let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    let sessions = SlidingSessions::builder(JwtKeys::hs256(secret)?, policy)
        .path_rules(
            PathRules::new().public("/login").public("/session/config").background("/unread"),
        )
        .session_expires()
        .clock(clock)
        .build()?;

    Ok(Router::new()
        .route("/login", post(login))
        .route("/session/config", get(timeouts))
        .route("/me", get(|session: Session| async move { session.subject().to_owned() }))
        .route("/unread", get("0"))
        .layer(sessions.layer())
        .with_state(sessions))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let address = std::env::var("EXAMPLE_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!(
        "listening on {url}

# the timeouts in seconds, for the node_cache end
curl -s {url}/session/config
# sign in and keep the access_token
curl -s {url}/login --json '{{\"user\": \"ada\"}}'
TOKEN=...
# session-expires says how many seconds are left; a call of /me is activity, polling /unread not
curl -si {url}/me -H \"authorization: Bearer $TOKEN\"
curl -si {url}/unread -H \"authorization: Bearer $TOKEN\""
    );
    axum::serve(listener, app(SystemClock)?).await?;
    Ok(())
}
