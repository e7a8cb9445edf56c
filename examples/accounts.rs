//! Accounts with owners: refresh tokens, a durable store, and a page on which an owner sets
//! timeouts, sees who is signed in and signs everyone out.
//!
//! `cargo run --example accounts --features sqlite,postgres`, then open the address it prints.
//! `ACCOUNTS_ADDR` is where it listens (127.0.0.1:3001), `ACCOUNTS_DB` a SQLite file (one in the
//! temporary directory) or a `postgres://` address, `ACCOUNTS_SECRET` what signs the tokens (else
//! it is made once and kept beside the file, so that sessions outlive a restart).

#[path = "accounts/people.rs"]
mod people;
#[path = "accounts/secret.rs"]
pub(crate) mod secret;
#[path = "accounts/shutdown.rs"]
mod shutdown;

use std::{env, error::Error, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;
use tower_sliding_session::{
    JwtKeys, PathRules, Policy, Rejection, Session, SlidingSessions, Timestamp, store::SqlStore,
};

use self::people::{Directory, Person, Role, Roles};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let database = env::var("ACCOUNTS_DB").unwrap_or_else(|_| {
        let file = env::temp_dir().join("tower-sliding-session-accounts.db");
        file.to_string_lossy().into_owned()
    });
    let secret = match env::var("ACCOUNTS_SECRET") {
        Ok(secret) => secret,
        Err(_) => secret::kept_for(&database)?,
    };
    let sessions = sessions(&database, &secret).await?;

    let addr = env::var("ACCOUNTS_ADDR").unwrap_or_else(|_| "127.0.0.1:3001".to_owned());
    let listener = tokio::net::TcpListener::bind(addr.parse::<SocketAddr>()?).await?;
    println!("listening on http://{}", listener.local_addr()?);
    println!("open it in a browser and sign in as ada, bob or eve, or try:");
    println!("  curl -i -H 'content-type: application/json' -d '{{\"user\":\"ada\"}}' .../login");
    println!("  curl -i -H 'authorization: Bearer <access_token>' .../auth/security");
    let served = axum::serve(listener, app(&sessions));
    served.with_graceful_shutdown(shutdown::asked_for()).await?;
    if let Some(audit_queue) = sessions.audit_queue() {
        audit_queue.flush().await;
    }
    Ok(())
}

pub(crate) async fn sessions(
    database: &str,
    secret: &str,
) -> Result<SlidingSessions, Box<dyn Error>> {
    let store = SqlStore::connect(database).await?;
    store.migrate().await?;
    let rules = PathRules::new().public("/").public("/login").public("/health");
    Ok(SlidingSessions::builder(JwtKeys::hs256(secret)?, Policy::long_lived())
        .lifecycle_store(Arc::new(store))
        .refresh_tokens()
        .activity_log()
        .path_rules(rules)
        .router_at("/auth")
        // What a role is today, not what it was at sign-in.
        .claims_source(Roles)
        .account_owner(people::is_owner)
        .user_directory(Directory)
        .build()?)
}

pub(crate) fn app(sessions: &SlidingSessions) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/health", get(async || "ok"))
        .route("/login", post(login))
        .route("/me", get(me))
        .route("/logout", post(logout))
        .nest("/auth", sessions.router())
        .layer(sessions.layer())
        .with_state(sessions.clone())
}

async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; \
                  form-action 'none'; frame-ancestors 'none'; \
                  style-src 'unsafe-inline'; script-src 'unsafe-inline'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("accounts.html")))
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

/// An example believes everybody it knows; check a password or a passkey here.
async fn login(State(sessions): State<SlidingSessions>, Json(body): Json<Login>) -> Response {
    let Some(Person { user, account, role, .. }) = people::find(&body.user) else {
        return problem(StatusCode::UNAUTHORIZED, "unknown_user", "There is no such user");
    };
    match sessions.start(*user).tenant(*account).claims(&Role { role }).await {
        Ok(grant) => ([(header::CACHE_CONTROL, "no-store")], Json(grant)).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn Error, "nobody was signed in");
            problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again in a moment")
        }
    }
}

async fn me(session: Session) -> impl IntoResponse {
    let claims = session.session_claims();
    let deadlines = session.deadlines();
    let text = |at: Timestamp| at.to_string();
    Json(json!({
        "sub": session.subject(),
        "sid": session.id(),
        "tenant": claims.tenant,
        "role": session.claims::<Role>().ok().map(|claims| claims.role.to_owned()),
        "name": people::find(session.subject()).map(|person| person.name),
        "token_expires_at": text(claims.exp),
        "idle_expires_at": deadlines.and_then(|it| it.idle).map(text),
        "absolute_expires_at": deadlines.map(|it| text(it.absolute)),
    }))
}

async fn logout(
    State(sessions): State<SlidingSessions>,
    session: Session,
) -> Result<StatusCode, Rejection> {
    sessions.sign_out(&session).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn problem(status: StatusCode, code: &str, title: &str) -> Response {
    let body = json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "code": code,
    });
    let content_type = HeaderValue::from_static("application/problem+json");
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
