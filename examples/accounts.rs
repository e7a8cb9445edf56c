//! Accounts with owners: refresh tokens, a SQL store, and a page on which an owner sets timeouts,
//! lists active users and revokes all sessions; each session is listed with the device of its sign-in.
//!
//! Run `cargo run --example accounts --features axum-router,sqlite,postgres`, then open the address
//! that it prints. `ACCOUNTS_ADDR` is the address to listen on (default 127.0.0.1:3001),
//! `ACCOUNTS_DB` a SQLite file (default: one in the temporary directory) or a `postgres://`
//! address, `ACCOUNTS_SECRET` the secret that signs tokens (default: a random one in a file beside
//! the database, so that sessions survive a restart). `ACCOUNTS_MAX_SESSIONS` is how many sessions a
//! user may have (default: any number); a further sign-in ends the oldest. `ACCOUNTS_IDLE_TIMEOUT` and the other settings
//! of a policy are as in `.env.example`; by default the policy is `Policy::long_lived()`.

#[path = "page/files.rs"]
mod files;
#[path = "accounts/people.rs"]
mod people;
#[path = "accounts/secret.rs"]
pub(crate) mod secret;
#[path = "accounts/shutdown.rs"]
mod shutdown;

use std::{env, error::Error, net::SocketAddr};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tower_sliding_session::{
    Grant, JwtKeys, PathRules, Policy, Rejection, Session, SlidingSessions,
    request_class::RequestHead,
    store::{OnSessionLimit, SqlStore},
    transport::SetCookie,
};

use self::{
    files::PageFile,
    people::{Directory, Person, Role, Roles},
};

pub(crate) const PAGE: [PageFile; 6] = [
    PageFile::html("/", include_str!("accounts/index.html")),
    files::BASE_CSS,
    PageFile::css("/accounts.css", include_str!("accounts/accounts.css")),
    PageFile::js("/accounts.js", include_str!("accounts/accounts.js")),
    PageFile::js("/dom.js", include_str!("accounts/dom.js")),
    PageFile::js("/timeouts.js", include_str!("accounts/timeouts.js")),
];

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
    let policy = Policy::long_lived().to_builder().env("ACCOUNTS").build()?;
    let sessions = sessions(&database, &secret, policy).await?;

    let addr = env::var("ACCOUNTS_ADDR").unwrap_or_else(|_| "127.0.0.1:3001".to_owned());
    let listener = tokio::net::TcpListener::bind(addr.parse::<SocketAddr>()?).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("listening on {url}");
    println!(
        "open it in a browser and sign in as ada, bob or eve; or try, with the access_token of"
    );
    println!("the first response:");
    println!("  curl -s {url}/login --json '{{\"user\": \"ada\"}}'");
    println!("  curl -si {url}/auth/security -H 'authorization: Bearer <access_token>'");
    println!("next: a separate window for bob, and \"Everyone but me\" in the window of ada;");
    println!("  a restart, which signs nobody out; or a session of a minute:");
    println!(
        "  ACCOUNTS_IDLE_TIMEOUT=1m ACCOUNTS_TOKEN_LIFETIME=20s ACCOUNTS_RENEW_MIN_INTERVAL=0s"
    );
    let served = axum::serve(listener, app(&sessions));
    served.with_graceful_shutdown(shutdown::signal()).await?;
    if let Some(audit_queue) = sessions.audit_queue() {
        audit_queue.flush().await;
    }
    Ok(())
}

pub(crate) async fn sessions(
    database: &str,
    secret: &str,
    policy: Policy,
) -> Result<SlidingSessions, Box<dyn Error>> {
    let store = SqlStore::connect(database).await?;
    store.migrate().await?;
    let rules = PathRules::new().public("/login").public("/logout").public("/health");
    let mut builder = SlidingSessions::builder(JwtKeys::hs256(secret)?, policy);
    if let Ok(max) = env::var("ACCOUNTS_MAX_SESSIONS") {
        let max = max.parse().map_err(|_| "ACCOUNTS_MAX_SESSIONS is a number")?;
        builder = builder.max_sessions(max, OnSessionLimit::Oldest);
    }
    Ok(builder
        .lifecycle_store(store)
        .refresh_tokens()
        .activity_log()
        .path_rules(files::public(&PAGE, rules))
        .session_expires()
        .router_at("/auth")
        // Each renewal reads the current role.
        .claims_source(Roles)
        .account_owner(people::is_owner)
        .user_directory(Directory)
        .build()?)
}

pub(crate) fn app(sessions: &SlidingSessions) -> Router {
    Router::new()
        .merge(files::routes(&PAGE))
        .route("/health", get(async || "ok"))
        .route("/login", post(login))
        .route("/me", get(me))
        .route("/logout", post(logout))
        .nest("/auth", sessions.router())
        .layer(sessions.layer())
        .with_state(sessions.clone())
}

#[derive(Deserialize)]
struct Login {
    user: String,
    /// What the user recognises the session by.
    label: Option<Value>,
}

async fn login(
    State(sessions): State<SlidingSessions>,
    Json(body): Json<Login>,
) -> axum::response::Result<Grant> {
    // Check a password or a passkey here.
    let Some(Person { user, account, role, .. }) = people::find(&body.user) else {
        let problem = json!({ "code": "unknown_user", "title": "Unknown user." });
        return Err((StatusCode::UNAUTHORIZED, Json(problem)).into());
    };
    let mut start = sessions.start(*user).tenant(*account).claims(&Role { role });
    if let Some(label) = &body.label {
        start = start.label(label);
    }
    Ok(start.await?)
}

async fn me(session: Session) -> impl IntoResponse {
    let claims = session.session_claims();
    let deadlines = session.deadlines();
    Json(json!({
        "sub": session.subject(),
        "sid": session.id(),
        "tenant": claims.tenant,
        "role": session.claims::<Role>().ok().map(|claims| claims.role.to_owned()),
        "name": people::find(session.subject()).map(|person| person.name),
        "token_expires_at": claims.exp,
        "idle_expires_at": deadlines.and_then(|it| it.idle),
        "absolute_expires_at": deadlines.map(|it| it.absolute),
    }))
}

/// Public, so that a session can be signed out whose token has expired.
async fn logout(
    State(sessions): State<SlidingSessions>,
    request: Request,
) -> Result<(SetCookie, StatusCode), Rejection> {
    let cleared = sessions.sign_out_request(RequestHead::new(&request)).await?;
    Ok((cleared, StatusCode::NO_CONTENT))
}
