//! A store of your own: sessions in a map behind a lock. It passes the tests of the crate's own stores,
//! which it runs when it starts.
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
use serde::Deserialize;
use tokio::net::TcpListener;
use tower::BoxError;
use tower_sliding_session::{
    Clock, Grant, JwtKeys, MaybeReady, PathRules, Policy, Session, SlidingSessions, SystemClock,
    Timestamp,
    identity::{SessionKeys, StoreKey},
    store::{SessionStore, StoredSession, Tombstone, Touch, TouchOutcome, conformance},
};
use uuid::Uuid;

/// What it knows of each session. It forgets nothing; a store for production removes a session that
/// has not been active for [`Touch::kept_for`], and a tombstone at its [`Tombstone::until`].
#[derive(Clone, Default)]
pub(crate) struct MapStore(Arc<Mutex<HashMap<StoreKey, Known>>>);

#[derive(Clone, Copy)]
enum Known {
    LastSeen(Timestamp),
    Ended,
}

impl MapStore {
    fn step<T>(&self, step: impl FnOnce(&mut HashMap<StoreKey, Known>) -> T) -> MaybeReady<T> {
        let answer = step(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        // A store with a network behind it returns `MaybeReady::new(async move { .. })`.
        MaybeReady::ready(Ok(answer))
    }
}

impl SessionStore for MapStore {
    fn touch(&self, keys: SessionKeys, touch: Touch) -> MaybeReady<TouchOutcome> {
        self.step(|sessions| {
            let stored = match sessions.get(&keys.session) {
                Some(Known::Ended) => return TouchOutcome::Ended,
                Some(Known::LastSeen(at)) => Some(*at),
                None if touch.known_only => return TouchOutcome::Unknown,
                None => None,
            };
            let last_activity =
                stored.map_or(touch.unknown_activity, |at| at.max(touch.token_activity));
            if touch.now >= last_activity + touch.idle {
                return TouchOutcome::Idle(last_activity);
            }
            let seen = stored.map_or(touch.now, |at| at.max(touch.now));
            sessions.insert(keys.session, Known::LastSeen(seen));
            TouchOutcome::Active(stored)
        })
    }

    fn get(&self, keys: SessionKeys) -> MaybeReady<StoredSession> {
        self.step(|sessions| match sessions.get(&keys.session) {
            Some(Known::Ended) => StoredSession::Ended,
            Some(Known::LastSeen(at)) => StoredSession::Active(*at),
            None => StoredSession::Unknown,
        })
    }

    fn write_tombstone(&self, tombstone: Tombstone) -> MaybeReady<bool> {
        self.step(|sessions| {
            let before = sessions.insert(tombstone.session, Known::Ended);
            !matches!(before, Some(Known::Ended))
        })
    }
}

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

async fn logout(session: Session) -> axum::response::Result<()> {
    Ok(session.sign_out().await?)
}

/// Returns the service, with `clock` as its time source.
pub(crate) fn app(store: MapStore, clock: impl Clock) -> Result<Router, BoxError> {
    let policy = Policy::builder()
        .idle_timeout(Duration::from_secs(20 * 60))
        .absolute_timeout(Duration::from_secs(12 * 3600))
        .token_lifetime(Duration::from_secs(3600))
        .build()?;

    // A random key: a restart invalidates every token. Load yours from your secret store.
    let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    let sessions = SlidingSessions::builder(JwtKeys::hs256(secret)?, policy)
        .store(store)
        .path_rules(PathRules::new().public("/login"))
        .clock(clock)
        .build()?;

    Ok(Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/me", get(|session: Session| async move { session.subject().to_owned() }))
        .layer(sessions.layer())
        .with_state(sessions))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    // In your crate this line is the body of a test.
    conformance::session_store(async || MapStore::default()).await;
    println!("the store passes the tests of a session store\n");

    let address = std::env::var("EXAMPLE_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!(
        "listening on {url}

# sign in and keep the access_token
curl -s {url}/login --json '{{\"user\": \"ada\"}}'
TOKEN=...
curl -si {url}/me -H \"authorization: Bearer $TOKEN\"
# sign out: from then on the store says that the session has ended
curl -si -X POST {url}/logout -H \"authorization: Bearer $TOKEN\"
curl -si {url}/me -H \"authorization: Bearer $TOKEN\""
    );
    axum::serve(listener, app(MapStore::default(), SystemClock)?).await?;
    Ok(())
}
