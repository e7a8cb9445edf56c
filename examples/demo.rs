//! A session on one page: sign in, work, renewal, idle timeout, sign out.
//!
//! Run `cargo run --example demo`, then open the address that it prints. `.env.example` lists every
//! variable that it reads.

use std::{env, error::Error, net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{Html, IntoResponse},
    routing::{any, get, post},
};
use serde::Deserialize;
use serde_json::json;
use tower_http::cors::CorsLayer;
use tower_sliding_session::{
    Grant, JwtKeys, PathRules, Policy, Rejection, Session, SlidingSessions, StartError, Timestamp,
    policy::parse_duration,
    request_class::{Methods, subtree},
    transport::RENEWED_TOKEN,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let policy = Policy::from_env("SESSION")?;
    let sessions = sessions(&policy, renewed_token_header()?)?;
    let app = app(&sessions)?;

    let addr = env::var("DEMO_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(addr.parse::<SocketAddr>()?).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("listening on {url}");
    println!("open it in a browser, or try, with the access_token of the first response:");
    println!("  curl -s {url}/login --json '{{\"user\": \"ada\"}}'");
    println!("  curl -si {url}/me -H 'authorization: Bearer <access_token>'");
    axum::serve(listener, app).await?;
    Ok(())
}

fn sessions(policy: &Policy, header: HeaderName) -> Result<SlidingSessions, Box<dyn Error>> {
    let days = |days: u64| Duration::from_secs(days * 24 * 3600);
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let secret = env::var("SESSION_SECRET")
        .unwrap_or_else(|_| format!("{}{}", uuid::Uuid::new_v4(), uuid::Uuid::new_v4()));
    let remember_me = profile(policy, "SESSION_REMEMBER_ME", days(7), days(30))?;
    let guest = profile(policy, "SESSION_GUEST", hours(1), hours(12))?;
    let rules = PathRules::new()
        .public("/")
        .public("/login")
        .public("/guest")
        .public("/auth/config")
        .public("/health")
        .background(subtree("/poll"));
    let builder = SlidingSessions::builder(JwtKeys::hs256(secret)?, policy.clone())
        .profile("remember_me", remember_me)
        .profile("guest", guest)
        .path_rules(rules)
        .renewed_token_header(header)
        .session_expires();
    let builder = match env::var("SESSION_RENEW_METHODS").as_deref() {
        Ok("mutating") => builder.classify(Methods::reads_are_background()),
        Ok("all") | Err(_) => builder,
        Ok(_) => return Err("SESSION_RENEW_METHODS is `all` or `mutating`".into()),
    };
    Ok(builder.build()?)
}

/// Returns a profile that renews as `normal` does, with its own timeouts. Its idle timeout is its
/// token lifetime unless it is set.
fn profile(
    normal: &Policy,
    prefix: &str,
    lifetime: Duration,
    absolute: Duration,
) -> Result<Policy, Box<dyn Error>> {
    let lifetime = match env::var(format!("{prefix}_TOKEN_LIFETIME")) {
        Ok(set) => {
            parse_duration(&set).map_err(|error| format!("{prefix}_TOKEN_LIFETIME: {error}"))?
        }
        Err(_) => lifetime,
    };
    let builder = normal.to_builder().token_lifetime(lifetime).idle_timeout(lifetime);
    Ok(builder.absolute_timeout(absolute).env(prefix).build()?)
}

fn renewed_token_header() -> Result<HeaderName, Box<dyn Error>> {
    match env::var("SESSION_RENEWED_TOKEN_HEADER") {
        Ok(name) => {
            Ok(name.parse().map_err(|_| "SESSION_RENEWED_TOKEN_HEADER is a header name")?)
        }
        Err(_) => Ok(RENEWED_TOKEN),
    }
}

fn app(sessions: &SlidingSessions) -> Result<Router, Box<dyn Error>> {
    let config = sessions.client_config();
    Ok(Router::new()
        .route("/", get(page))
        .route("/health", get(async || "ok"))
        .route("/auth/config", get(async move || Json(config)))
        .route("/login", post(login))
        .route("/guest", post(guest))
        .route("/me", get(me))
        .route("/items", any(async || Json(json!({ "items": ["a desk", "a chair"] }))))
        .route("/poll", get(async || Json(json!({ "changes": 0 }))))
        .route("/fail", post(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route("/logout", post(logout))
        .layer(sessions.layer())
        // Outside the stack, so that a browser can read its rejections.
        .layer(cors(sessions)?)
        .with_state(sessions.clone()))
}

fn cors(sessions: &SlidingSessions) -> Result<CorsLayer, Box<dyn Error>> {
    let origins = env::var("DEMO_CORS_ORIGINS").unwrap_or_default();
    let origins = origins.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    Ok(CorsLayer::new()
        .allow_origin(origins.map(HeaderValue::try_from).collect::<Result<Vec<_>, _>>()?)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(sessions.request_headers())
        .expose_headers(sessions.exposed_headers()))
}

async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; connect-src 'self'; img-src data:; \
                  style-src 'unsafe-inline'; script-src 'unsafe-inline'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("demo.html")))
}

#[derive(Deserialize)]
struct Login {
    user: String,
    #[serde(default)]
    remember_me: bool,
}

async fn login(
    State(sessions): State<SlidingSessions>,
    Json(body): Json<Login>,
) -> axum::response::Result<Grant> {
    // Check a password or a passkey here.
    if body.user.is_empty() {
        return Err((StatusCode::UNPROCESSABLE_ENTITY, "Enter a user name.").into());
    }
    let profile = if body.remember_me { "remember_me" } else { "normal" };
    Ok(sessions.start(body.user).profile(profile).await?)
}

async fn guest(State(sessions): State<SlidingSessions>) -> Result<Grant, StartError> {
    let subject = format!("guest-{}", uuid::Uuid::new_v4().simple());
    sessions.start(subject).profile("guest").await
}

async fn me(session: Session) -> impl IntoResponse {
    let claims = session.session_claims();
    let now = session.arrived_at().unwrap_or_default();
    let left = |until: Timestamp| until.since(now).as_secs();
    let deadlines = session.deadlines();
    Json(json!({
        "sub": session.subject(),
        "sid": session.id(),
        "auth_time": claims.auth_time.as_secs(),
        "iat": claims.iat.as_secs(),
        "exp": claims.exp.as_secs(),
        "idle_in": deadlines.and_then(|it| it.idle).map(left),
        "absolute_in": deadlines.map(|it| left(it.absolute)),
    }))
}

async fn logout(session: Session) -> Result<StatusCode, Rejection> {
    session.sign_out().await?;
    Ok(StatusCode::NO_CONTENT)
}
