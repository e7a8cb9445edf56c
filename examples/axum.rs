//! Axum: sign in, and a route behind the session. Run it, then do what it prints.
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
use serde::Deserialize;
use tokio::net::TcpListener;
use tower::BoxError;
use tower_sliding_session::{
    Clock, JwtKeys, PathRules, Policy, Session, SlidingSessions, SystemClock,
};
use uuid::Uuid;

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

/// The whole service, on `clock`.
pub(crate) fn app(clock: impl Clock) -> Result<Router, BoxError> {
    let policy = Policy::builder()
        .idle_timeout(Duration::from_secs(20 * 60))
        .absolute_timeout(Duration::from_secs(12 * 3600))
        .token_lifetime(Duration::from_secs(3600))
        .renew_threshold(0.5)
        .renew_min_interval(Duration::from_secs(60))
        .build()?;

    // A random key, so a restart ends every session; yours comes from where you keep secrets.
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
# who am I? After half an hour the response has an x-refreshed-token: use it from then on
curl -si {url}/me -H \"authorization: Bearer $TOKEN\"
# without a token: 401 and why
curl -si {url}/me"
    );
    axum::serve(listener, app(SystemClock)?).await?;
    Ok(())
}
