//! Only writes renew a token, and each renewal reads the user's role from the user table. A session
//! lives for a day after the last write, with `remember_me` for a week.
//!
//! `EXAMPLE_ADDR` sets the address, 127.0.0.1:3000 by default; port 0 takes a free one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

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
    Claims, Clock, Grant, JwtKeys, MaybeReady, PathRules, Policy, Rejection, Session,
    SlidingSessions, SystemClock,
    request_class::Methods,
    store::StoreError,
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The user table: the role of each user who may sign in. Yours is in a database.
#[derive(Clone, Default)]
pub(crate) struct Users(Arc<Mutex<HashMap<String, String>>>);

impl Users {
    /// Sets the role of `user`; `None` deactivates the user.
    pub(crate) fn set_role(&self, user: &str, role: Option<&str>) {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match role {
            Some(role) => users.insert(user.to_owned(), role.to_owned()),
            None => users.remove(user),
        };
    }

    fn claims(&self, user: &str) -> Option<AppClaims> {
        let role = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(user).cloned();
        role.map(|role| AppClaims { role })
    }
}

#[derive(Deserialize, Serialize)]
struct AppClaims {
    role: String,
}

impl ClaimsSource for Users {
    fn current_claims(&self, token: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        // Put a database query into `MaybeReady::new(async move { .. })`.
        MaybeReady::ready(match self.claims(&token.claims().sub) {
            Some(claims) => ClaimsUpdate::replace(&claims).map_err(StoreError::new),
            None => Ok(ClaimsUpdate::End),
        })
    }
}

#[derive(Deserialize)]
struct Login {
    user: String,
    #[serde(default)]
    remember_me: bool,
}

async fn login(
    State((sessions, users)): State<(SlidingSessions, Users)>,
    Json(Login { user, remember_me }): Json<Login>,
) -> axum::response::Result<Grant> {
    // Check a password or a passkey here.
    let claims = users.claims(&user).ok_or(StatusCode::UNAUTHORIZED)?;
    let profile = if remember_me { "remember_me" } else { "normal" };
    Ok(sessions.start(user).profile(profile).claims(&claims).await?)
}

async fn logout(session: Session) -> Result<StatusCode, Rejection> {
    session.sign_out().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn read(Claims(claims): Claims<AppClaims>) -> String {
    format!("read as {}", claims.role)
}

async fn write(document: String) -> StatusCode {
    if document.is_empty() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::NO_CONTENT }
}

/// Returns the service, with `clock` as its time source.
pub(crate) fn app(clock: impl Clock, users: Users) -> Result<Router, BoxError> {
    // Every write renews the token, at most once per minute. No activity is recorded, so the token
    // lifetime is the idle timeout.
    let sliding = |lifetime, absolute| -> Result<_, BoxError> {
        Ok(Policy::sliding(lifetime, absolute)?.to_builder().renew_always().build()?)
    };
    // A random key: a restart invalidates every token. Load yours from your secret store.
    let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    let sessions = SlidingSessions::builder(JwtKeys::hs256(secret)?, sliding(DAY, 7 * DAY)?)
        .profile("remember_me", sliding(7 * DAY, 30 * DAY)?)
        .path_rules(PathRules::new().public("/login"))
        .classify(Methods::reads_are_background())
        .claims_source(users.clone())
        .clock(clock)
        .build()?;

    Ok(Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/document", get(read).post(write).put(write).patch(write).delete(write))
        .layer(sessions.layer())
        .with_state((sessions, users)))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let users = Users::default();
    users.set_role("ada", Some("admin"));
    let address = std::env::var("EXAMPLE_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!(
        "listening on {url}

# sign in and keep the access_token
curl -s {url}/login --json '{{\"user\": \"ada\", \"remember_me\": true}}'
TOKEN=...
# a GET does not renew the token, a POST does
curl -si {url}/document -H \"authorization: Bearer $TOKEN\"
curl -si {url}/document -H \"authorization: Bearer $TOKEN\" -d text
# sign out
curl -si {url}/logout -H \"authorization: Bearer $TOKEN\" -X POST"
    );
    axum::serve(listener, app(SystemClock, users)?).await?;
    Ok(())
}
