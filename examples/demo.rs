//! A session on one page: sign in, work, renewal, idle timeout, sign out; feeds that end with it; and
//! an explorer of policies.
//!
//! Run `cargo run --example demo --features axum-router`, then open the address that it prints. The
//! page first offers a session of one minute; with `DEMO_SHORT=1` it is what `curl` gets, too.
//! `.env.example` lists every variable that it reads.

#[path = "demo/explorer.rs"]
pub(crate) mod explorer;
#[path = "demo/feeds.rs"]
pub(crate) mod feeds;
#[path = "page/files.rs"]
mod files;
#[path = "demo/policies.rs"]
pub(crate) mod policies;
#[path = "demo/roles.rs"]
mod roles;

use std::{env, net::SocketAddr};

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode},
    response::IntoResponse,
    routing::{any, get, post},
};
use serde::Deserialize;
use serde_json::json;
use tower::BoxError;
use tower_http::cors::CorsLayer;
use tower_sliding_session::{
    Clock, Grant, JwtKeys, PathRules, Rejection, Session, SlidingSessions, StartError, SystemClock,
    Timestamp,
    request_class::{Activity, Methods, RequestHead, subtree},
    transport::{RENEWED_TOKEN, SetCookie, websocket_protocol},
};

use self::{files::PageFile, policies::Policies, roles::Roles};

pub(crate) const PAGE: [PageFile; 10] = [
    PageFile::html("/", include_str!("demo/index.html")),
    files::BASE_CSS,
    PageFile::css("/demo.css", include_str!("demo/demo.css")),
    PageFile::js("/demo.js", include_str!("demo/demo.js")),
    PageFile::js("/feeds.js", include_str!("demo/feeds.js")),
    PageFile::js("/live.js", include_str!("demo/live.js")),
    PageFile::js("/text.js", include_str!("demo/text.js")),
    PageFile::js("/clocks.js", include_str!("demo/clocks.js")),
    PageFile::js("/timeline.js", include_str!("demo/timeline.js")),
    PageFile::js("/explorer.js", include_str!("demo/explorer.js")),
];

/// Where the ready-made routes are, and the browser module.
const ROUTER: &str = "/auth";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let policies = Policies::read(|name| env::var_os(name))?;
    let app = app(&policies, SystemClock)?;

    let addr = env::var("DEMO_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(addr.parse::<SocketAddr>()?).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("listening on {url}");
    println!(
        "open it in a browser, sign in and send a request every few seconds; or try, with the"
    );
    println!("access_token of the first response:");
    println!("  curl -s {url}/login --json '{{\"user\": \"ada\", \"profile\": \"short\"}}'");
    println!("  curl -si {url}/me -H 'authorization: Bearer <access_token>'");
    println!(
        "next: the policy explorer further down the page; a second tab; Ctrl-C while signed in;"
    );
    println!("  or your own policy, SESSION_IDLE_TIMEOUT=1m SESSION_TOKEN_LIFETIME=2m");
    axum::serve(listener, app).await?;
    Ok(())
}

/// Returns the service, with `clock` as its time source.
pub(crate) fn app(policies: &Policies, clock: impl Clock) -> Result<Router, BoxError> {
    let roles = Roles::default();
    let sessions = sessions(policies, roles.clone(), clock)?;
    let shown = json!({
        "profiles": policies.listed(),
        "presets": policies::presets(),
        "renewed_token_header": sessions.client_config().renewed_token_header,
        "reads_are_background": reads_are_background()?,
        "activity": if activity()? == Activity::Declared { "declared" } else { "default" },
    });
    Ok(Router::new()
        .merge(files::routes(&PAGE))
        .route("/health", get(async || "ok"))
        .route("/policies", get(async move || Json(shown)))
        .route("/explore", post(explorer::explore))
        .layer(DefaultBodyLimit::max(explorer::MAX_BODY))
        .route("/login", post(login))
        .route("/guest", post(guest))
        .route("/me", get(me))
        .route("/role", post(roles::change).layer(Extension(roles)))
        .route("/items", any(async || Json(json!({ "items": ["a desk", "a chair"] }))))
        .route("/poll", get(async || Json(json!({ "changes": 0 }))))
        .route("/events", get(feeds::events))
        .route("/socket", any(feeds::socket))
        .route("/ticket", post(feeds::ticket))
        .route("/fail", post(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route("/logout", post(logout))
        .nest(ROUTER, sessions.router())
        .layer(sessions.layer())
        // Outside the stack, so that a browser can read its rejections.
        .layer(cors(&sessions)?)
        .with_state(sessions))
}

fn sessions(
    policies: &Policies,
    roles: Roles,
    clock: impl Clock,
) -> Result<SlidingSessions, BoxError> {
    let secret = env::var("SESSION_SECRET")
        .unwrap_or_else(|_| format!("{}{}", uuid::Uuid::new_v4(), uuid::Uuid::new_v4()));
    let public = ["/health", "/policies", "/explore", "/login", "/guest", "/logout"];
    let path_rules = public.into_iter().fold(PathRules::new(), PathRules::public);
    let path_rules = files::public(&PAGE, path_rules).background(subtree("/poll"));
    let builder = SlidingSessions::builder(JwtKeys::hs256(secret)?, policies.normal.clone())
        .profile("short", policies.short.clone())
        .profile("remember_me", policies.remember_me.clone())
        .profile("guest", policies.guest.clone())
        .path_rules(path_rules)
        .renewed_token_header(renewed_token_header()?)
        .activity(activity()?)
        .refresh_tokens()
        .router_at(ROUTER)
        .session_expires()
        .bearer()
        .transport(websocket_protocol())
        .tickets()
        .claims_source(roles)
        .clock(clock);
    let builder = if reads_are_background()? {
        builder.classify(Methods::reads_are_background())
    } else {
        builder
    };
    Ok(builder.build()?)
}

fn reads_are_background() -> Result<bool, BoxError> {
    match env::var("SESSION_RENEW_METHODS").as_deref() {
        Ok("mutating") => Ok(true),
        Ok("all") | Err(_) => Ok(false),
        Ok(_) => Err("SESSION_RENEW_METHODS is `all` or `mutating`".into()),
    }
}

/// Which requests count: all, or those that the page declares after an input of the user.
fn activity() -> Result<Activity, BoxError> {
    match env::var("SESSION_ACTIVITY").as_deref() {
        Ok("declared") => Ok(Activity::Declared),
        Ok("requests") | Err(_) => Ok(Activity::Requests),
        Ok(_) => Err("SESSION_ACTIVITY is `requests` or `declared`".into()),
    }
}

fn renewed_token_header() -> Result<HeaderName, BoxError> {
    match env::var("SESSION_RENEWED_TOKEN_HEADER") {
        Ok(name) => {
            Ok(name.parse().map_err(|_| "SESSION_RENEWED_TOKEN_HEADER is a header name")?)
        }
        Err(_) => Ok(RENEWED_TOKEN),
    }
}

fn cors(sessions: &SlidingSessions) -> Result<CorsLayer, BoxError> {
    let origins = env::var("DEMO_CORS_ORIGINS").unwrap_or_default();
    let origins = origins.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    Ok(CorsLayer::new()
        .allow_origin(origins.map(HeaderValue::try_from).collect::<Result<Vec<_>, _>>()?)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(sessions.request_headers())
        .expose_headers(sessions.exposed_headers()))
}

#[derive(Deserialize)]
struct Login {
    user: String,
    #[serde(default)]
    profile: Profile,
}

/// The profiles that a user may choose. An unknown name is an error: it must not become `normal`.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Profile {
    Short,
    #[default]
    Normal,
    RememberMe,
}

async fn login(
    State(sessions): State<SlidingSessions>,
    Json(Login { user, profile }): Json<Login>,
) -> axum::response::Result<Grant> {
    // Check a password or a passkey here.
    if user.is_empty() {
        return Err((StatusCode::UNPROCESSABLE_ENTITY, "Enter a user name.").into());
    }
    let profile = match profile {
        Profile::Short => "short",
        Profile::Normal => "normal",
        Profile::RememberMe => "remember_me",
    };
    Ok(sessions.start(user).profile(profile).await?)
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
        "role": roles::role_of(&session),
        "auth_time": claims.auth_time.as_secs(),
        "iat": claims.iat.as_secs(),
        "exp": claims.exp.as_secs(),
        "idle_in": deadlines.and_then(|it| it.idle).map(left),
        "absolute_in": deadlines.map(|it| left(it.absolute)),
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
