//! An idle timeout of 20 minutes and an absolute timeout of one hour. The front end reads both, so
//! that it can warn its user before the session expires.
//!
//! `EXAMPLE_ADDR` sets the address, 127.0.0.1:3000 by default; port 0 takes a free one.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tower::BoxError;
use tower_sliding_session::{
    Clock, Grant, JwtKeys, PathRules, Policy, Session, SlidingSessions, SystemClock,
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
) -> axum::response::Result<Grant> {
    // Check a password or a passkey here.
    if login.user != "ada" {
        return Err(StatusCode::UNAUTHORIZED.into());
    }
    Ok(sessions.start(login.user).await?)
}

/// The timeouts in seconds, for a page that warns its user.
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

/// Returns the service, with `clock` as its time source.
pub(crate) fn app(clock: impl Clock) -> Result<Router, BoxError> {
    // A token lives for twice the idle timeout and is renewed in its second half, so that it does
    // not expire before the idle timeout.
    let policy = Policy::builder()
        .idle_timeout(20 * MINUTE)
        .absolute_timeout(60 * MINUTE)
        .token_lifetime(40 * MINUTE)
        .build()?;
    // A random key: a restart invalidates every token. Load yours from your secret store.
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

# the timeouts in seconds, for the front end
curl -s {url}/session/config
# sign in and keep the access_token
curl -s {url}/login --json '{{\"user\": \"ada\"}}'
TOKEN=...
# session-expires says how many seconds are left; /me counts as activity, polling /unread does not
curl -si {url}/me -H \"authorization: Bearer $TOKEN\"
curl -si {url}/unread -H \"authorization: Bearer $TOKEN\""
    );
    axum::serve(listener, app(SystemClock)?).await?;
    Ok(())
}
