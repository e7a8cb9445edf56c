//! Renewal in the second half of a token's life, at most once a minute; paths that are polled
//! neither count nor renew; guests have a profile of their own.
//!
//! `EXAMPLE_ADDR` sets the address, 127.0.0.1:3000 by default; port 0 takes a free one.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, StatusCode, header::CACHE_CONTROL},
    response::IntoResponse,
    routing::{get, post},
};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower::BoxError;
use tower_sliding_session::{
    Clock, JwtKeys, PathRules, Policy, Session, SlidingSessions, SystemClock, lifecycle::Start,
    request_class::subtree,
};
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3600);

/// The response header of renewed tokens.
pub(crate) const NEW_TOKEN: HeaderName = HeaderName::from_static("x-new-token");

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn granted(start: Start<'_>) -> Result<impl IntoResponse + use<>, StatusCode> {
    let grant = start.await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "no session was started");
        StatusCode::INTERNAL_SERVER_ERROR
    })?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(grant)))
}

async fn login(
    State(sessions): State<SlidingSessions>,
    Json(login): Json<Login>,
) -> Result<impl IntoResponse, StatusCode> {
    // Your check of a password or passkey belongs here.
    if login.user != "ada" {
        return Err(StatusCode::UNAUTHORIZED);
    }
    granted(sessions.start(login.user)).await
}

async fn guest(State(sessions): State<SlidingSessions>) -> Result<impl IntoResponse, StatusCode> {
    // Each guest is a user: the renewal rate is per user, and they are not to share it.
    granted(sessions.start(format!("guest-{}", Uuid::new_v4())).profile("guest")).await
}

/// The whole service, on `clock`.
pub(crate) fn app(clock: impl Clock) -> Result<Router, BoxError> {
    // Without a record of activity: a token that is not renewed in time ends its session.
    let lasting = |lifetime| -> Result<_, BoxError> {
        let policy = Policy::sliding(lifetime, 7 * 24 * HOUR)?.to_builder().renew_threshold(0.5);
        Ok(policy.renew_min_interval(Duration::from_secs(60)).build()?)
    };
    // A random key, so a restart ends every session; yours comes from where you keep secrets.
    let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    let sessions = SlidingSessions::builder(JwtKeys::hs256(secret)?, lasting(48 * HOUR)?)
        .profile("guest", lasting(24 * HOUR)?)
        .path_rules(
            PathRules::new()
                .public("/login")
                .public("/guest")
                .public(subtree("/health"))
                .background(subtree("/documents/paginated"))
                .background(subtree("/documents/pipeline_status")),
        )
        .renewed_token_header(NEW_TOKEN)
        .clock(clock)
        .build()?;

    let me = async |session: Session| session.subject().to_owned();
    Ok(Router::new()
        .route("/login", post(login))
        .route("/guest", post(guest))
        .route("/health", get("well"))
        .route("/health/{part}", get("well"))
        .route("/me", get(me))
        .route("/documents", get(me).post(me))
        .route("/documents/paginated", get(me).post(me))
        .route("/documents/pipeline_status", get(me))
        .route("/documents/pipeline_status/{job}", get(me))
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

# come as a guest, or sign in; keep the access_token
curl -s {url}/guest -X POST
curl -s {url}/login --json '{{\"user\": \"ada\"}}'
TOKEN=...
# renewed in the second half of its life, in the header x-new-token
curl -si {url}/documents -H \"authorization: Bearer $TOKEN\"
# polled: needs the token, never renews it
curl -si {url}/documents/pipeline_status -H \"authorization: Bearer $TOKEN\"
# needs no token
curl -si {url}/health"
    );
    axum::serve(listener, app(SystemClock)?).await?;
    Ok(())
}
