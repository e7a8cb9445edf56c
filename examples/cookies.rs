//! Sessions in a cookie, for a site that its own server renders. Browsers send cookies whoever
//! asks, so a `CsrfLayer` stands outside.
//!
//! `EXAMPLE_ADDR` sets the address, 127.0.0.1:3000 by default; port 0 takes a free one.

use axum::{
    Form, Router,
    extract::State,
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, SET_COOKIE},
    },
    response::IntoResponse,
    routing::{get, post},
};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower::BoxError;
use tower_http::csrf::CsrfLayer;
use tower_sliding_session::{
    Clock, JwtKeys, PathRules, Policy, Rejection, Session, SessionCookie, SlidingSessions,
    SystemClock,
};
use uuid::Uuid;

#[derive(Deserialize)]
struct Login {
    user: String,
}

/// Nothing but a cookie, which no cache may keep.
fn set_cookie(cookie: HeaderValue) -> impl IntoResponse {
    let no_store = HeaderValue::from_static("no-store");
    (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie), (CACHE_CONTROL, no_store)])
}

async fn login(
    State((sessions, cookie)): State<(SlidingSessions, SessionCookie)>,
    Form(login): Form<Login>,
) -> Result<impl IntoResponse, StatusCode> {
    // Your check of a password or passkey belongs here.
    if login.user != "ada" {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let grant = sessions.start(login.user).await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "no session was started");
        StatusCode::INTERNAL_SERVER_ERROR
    })?;
    Ok(set_cookie(cookie.set(grant.access_token(), grant.expires_in())))
}

async fn logout(
    State((_, cookie)): State<(SlidingSessions, SessionCookie)>,
    session: Session,
) -> Result<impl IntoResponse, Rejection> {
    session.sign_out().await?;
    Ok(set_cookie(cookie.clear()))
}

/// The whole service, on `clock`.
pub(crate) fn app(clock: impl Clock) -> Result<Router, BoxError> {
    // A random key, so a restart ends every session; yours comes from where you keep secrets.
    let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    let sessions = SlidingSessions::builder(JwtKeys::hs256(secret)?, Policy::builder().build()?)
        .path_rules(PathRules::new().public("/login"))
        .session_cookie(SessionCookie::new())
        .clock(clock)
        .build()?;
    let cookie = sessions.cookie().cloned().ok_or("the cookie transport is on")?;

    Ok(Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/me", get(|session: Session| async move { session.subject().to_owned() }))
        .layer(sessions.layer())
        // Outermost: another site's request is refused before anybody looks at its cookie.
        .layer(CsrfLayer::new())
        .with_state((sessions, cookie)))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let address = std::env::var("EXAMPLE_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!(
        "listening on {url}

# sign in: the cookie goes into a jar
curl -si -c jar {url}/login -d user=ada
curl -si -b jar -c jar {url}/me
# from another site: 403
curl -si -b jar {url}/logout -X POST -H 'sec-fetch-site: cross-site'
# sign out: the session is over, and the cookie gone
curl -si -b jar -c jar {url}/logout -X POST
curl -si -b jar {url}/me"
    );
    axum::serve(listener, app(SystemClock)?).await?;
    Ok(())
}
