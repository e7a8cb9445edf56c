//! Tokens are renewed in the second half of their lifetime, at most once per minute. Requests of
//! polled paths are authenticated and renew nothing. Guests have a profile with shorter timeouts.
//!
//! `EXAMPLE_ADDR` sets the address, 127.0.0.1:3000 by default; port 0 takes a free one.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, StatusCode},
    routing::{get, post},
};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower::BoxError;
use tower_sliding_session::{
    Clock, Grant, JwtKeys, PathRules, Policy, Session, SlidingSessions, StartError, SystemClock,
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

async fn guest(State(sessions): State<SlidingSessions>) -> Result<Grant, StartError> {
    // Each guest has its own subject, because the rate of renewals is limited per subject.
    sessions.start(format!("guest-{}", Uuid::new_v4())).profile("guest").await
}

/// Returns the service, with `clock` as its time source.
pub(crate) fn app(clock: impl Clock) -> Result<Router, BoxError> {
    // No activity is recorded: a session ends when its token expires before it was renewed.
    let sliding = |lifetime| Policy::sliding(lifetime, 7 * 24 * HOUR);
    // A random key: a restart invalidates every token. Load yours from your secret store.
    let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    let sessions = SlidingSessions::builder(JwtKeys::hs256(secret)?, sliding(48 * HOUR)?)
        .profile("guest", sliding(24 * HOUR)?)
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
        .route("/health", get("ok"))
        .route("/health/{part}", get("ok"))
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

# sign in as a guest or as ada, and keep the access_token
curl -s {url}/guest -X POST
curl -s {url}/login --json '{{\"user\": \"ada\"}}'
TOKEN=...
# in the second half of the token's lifetime the response has an x-new-token
curl -si {url}/documents -H \"authorization: Bearer $TOKEN\"
# a polled path needs the token and never renews it
curl -si {url}/documents/pipeline_status -H \"authorization: Bearer $TOKEN\"
# a public path needs no token
curl -si {url}/health"
    );
    axum::serve(listener, app(SystemClock)?).await?;
    Ok(())
}
