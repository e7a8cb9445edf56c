//! The smallest axum service: a sign-in, and a route that needs a session. Run it, then run the
//! commands that it prints.
//!
//! `EXAMPLE_ADDR` sets the address, 127.0.0.1:3000 by default; port 0 takes a free one.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower::BoxError;
use tower_sliding_session::{
    Clock, Grant, JwtKeys, PathRules, Policy, Session, SlidingSessions, SystemClock,
};
use uuid::Uuid;

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

/// Returns the service, with `clock` as its time source.
pub(crate) fn app(clock: impl Clock) -> Result<Router, BoxError> {
    let policy = Policy::builder()
        .idle_timeout(Duration::from_secs(20 * 60))
        .absolute_timeout(Duration::from_secs(12 * 3600))
        .token_lifetime(Duration::from_secs(3600))
        .build()?;

    // A random key: a restart invalidates every token. Load yours from your secret store.
    let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    let sessions = SlidingSessions::builder(JwtKeys::hs256(secret)?, policy)
        .path_rules(PathRules::new().public("/login"))
        .clock(clock)
        .build()?;

    Ok(Router::new()
        .route("/login", post(login))
        .route("/me", get(|session: Session| async move { session.subject().to_owned() }))
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

# sign in and keep the access_token
curl -s {url}/login --json '{{\"user\": \"ada\"}}'
TOKEN=...
# a route that needs a session; after half an hour the response has an x-refreshed-token: use it
# from then on
curl -si {url}/me -H \"authorization: Bearer $TOKEN\"
# without a token: 401 with a code
curl -si {url}/me"
    );
    axum::serve(listener, app(SystemClock)?).await?;
    Ok(())
}
