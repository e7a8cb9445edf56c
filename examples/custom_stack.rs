//! A custom stack: the application's own middleware verifies the token and inserts a `Session`;
//! `ActivityLayer` and `RenewLayer` do the rest.
//!
//! `EXAMPLE_ADDR` sets the address, 127.0.0.1:3000 by default; port 0 takes a free one.

use std::sync::LazyLock;

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use tokio::net::TcpListener;
use tower::{BoxError, ServiceBuilder};
use tower_sliding_session::{
    Clock, JwtKeys, Policy, Rejection, RejectionKind, Session, SystemClock, Timestamp,
    layers::{ActivityLayer, RenewLayer},
    store::MemoryStore,
};
use uuid::Uuid;

/// Random: a restart invalidates every token. Load yours from your secret store.
static SECRET: LazyLock<Vec<u8>> =
    LazyLock::new(|| [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat());

fn mac_of(signed: &str) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(&SECRET).expect("HMAC takes keys of any length");
    mac.chain_update(signed)
}

/// Signs a token as the application's own authentication does.
pub(crate) fn sign(claims: &str) -> String {
    let signed = format!("{}.{}", BASE64.encode(r#"{"alg":"HS256"}"#), BASE64.encode(claims));
    let mac = BASE64.encode(mac_of(&signed).finalize().into_bytes());
    format!("{signed}.{mac}")
}

/// Returns the claims of a token with a valid signature. `ActivityLayer` checks whether its session
/// has expired.
fn verify(token: &str) -> Option<String> {
    let (signed, mac) = token.rsplit_once('.')?;
    mac_of(signed).verify_slice(&BASE64.decode(mac).ok()?).ok()?;
    let (_, claims) = signed.split_once('.')?;
    String::from_utf8(BASE64.decode(claims).ok()?).ok()
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    sid: String,
    auth_time: u64,
}

fn session_of(request: &Request) -> Option<Session> {
    let header = request.headers().get("authorization")?.to_str().ok()?;
    let claims = verify(header.strip_prefix("Bearer ")?)?;
    let Claims { sub, sid, auth_time } = serde_json::from_str(&claims).ok()?;
    let session = Session::builder(sub).sid(sid).auth_time(Timestamp::from_secs(auth_time));
    session.claims_json(claims).build().ok()
}

async fn authenticate(mut request: Request, next: Next) -> Result<Response, Rejection> {
    let session = session_of(&request).ok_or(RejectionKind::InvalidToken)?;
    request.extensions_mut().insert(session);
    Ok(next.run(request).await)
}

/// Returns the service, with `clock` as its time source.
pub(crate) fn app(clock: impl Clock + Clone) -> Result<Router, BoxError> {
    let policy = Policy::builder().build()?;
    // From the outside in: authenticate, check and record the activity, renew.
    let stack = ServiceBuilder::new()
        .layer(from_fn(authenticate))
        .layer(ActivityLayer::new(policy.clone(), MemoryStore::new()).clock(clock.clone()))
        .layer(RenewLayer::new(JwtKeys::hs256(&*SECRET)?, policy).clock(clock));
    Ok(Router::new()
        .route("/me", get(|session: Session| async move { session.subject().to_owned() }))
        .layer(stack))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let address = std::env::var("EXAMPLE_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    let url = format!("http://{}", listener.local_addr()?);
    // Signed in 18 minutes ago; the token expires in 15 minutes, so the first request renews it.
    let now = SystemClock.now().as_secs();
    let claims = format!(
        r#"{{"sub":"ada","sid":"s1","auth_time":{start},"iat":{start},"exp":{end}}}"#,
        start = now - 18 * 60,
        end = now + 15 * 60,
    );
    println!("listening on {url}\n\n# the response has an x-refreshed-token");
    println!("curl -si {url}/me -H 'authorization: Bearer {}'", sign(&claims));
    println!("# without a token: 401\ncurl -si {url}/me");
    axum::serve(listener, app(SystemClock)?).await?;
    Ok(())
}
