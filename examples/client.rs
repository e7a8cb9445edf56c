//! A client of reqwest that stays signed in: `SessionClient` presents, renews and refreshes its tokens.
//!
//! It starts a service with tokens of ten seconds and calls it once a second for half a minute.

use std::{future::Future, time::Duration};

use axum::{Router, extract::State, routing};
use tokio::net::TcpListener;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_sliding_session::{
    Clock, Grant, JwtKeys, PathRules, Policy, Session, SlidingSessions, StartError, SystemClock,
    client::{ClientBody, ClientEvent, RefreshRoute, SessionClient},
};

/// Sends requests with `http`; reqwest has types of its own for requests and responses.
fn send<B>(
    http: reqwest::Client,
) -> impl Service<
    http::Request<B>,
    Response = http::Response<reqwest::Body>,
    Error = reqwest::Error,
    Future: Future<Output = Result<http::Response<reqwest::Body>, reqwest::Error>> + Send,
> + Clone
+ Send
+ Sync
where
    B: http_body::Body<Data: Into<bytes::Bytes>, Error: Into<BoxError>> + Send + Sync + 'static,
{
    service_fn(move |request: http::Request<B>| {
        let http = http.clone();
        async move {
            let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap))?;
            http.execute(request).await.map(http::Response::from)
        }
    })
}

/// The session of a client of the service at `origin`.
pub(crate) fn session(
    origin: &str,
    http: reqwest::Client,
    on_event: impl Fn(ClientEvent) + Send + Sync + 'static,
) -> Result<SessionClient, BoxError> {
    let refresh = format!("{origin}/auth/refresh").parse()?;
    let ours: http::Uri = origin.parse()?;
    let refresh = RefreshRoute::<_, reqwest::Body>::new(send(http), refresh);
    Ok(SessionClient::builder()
        .refresh(refresh)
        // The client may be used for other servers, which must not see the token.
        .only_for(move |uri| uri.authority() == ours.authority() && uri.scheme() == ours.scheme())
        .on_event(on_event)
        .build())
}

/// Calls `address` with the token of `session`.
pub(crate) async fn get(
    session: &SessionClient,
    http: &reqwest::Client,
    address: String,
) -> Result<(http::StatusCode, String), BoxError> {
    let api = session.layer().layer(send::<ClientBody<reqwest::Body>>(http.clone()));
    let request = http::Request::get(address).body(reqwest::Body::default())?;
    let response = api.oneshot(request).await?;
    let status = response.status();
    let body = http_body_util::BodyExt::collect(response.into_body()).await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

async fn login(State(sessions): State<SlidingSessions>) -> Result<Grant, StartError> {
    // Check a password or a passkey here.
    sessions.start("ada").await
}

/// The service: tokens of ten seconds, renewed in their second half.
pub(crate) fn service(clock: impl Clock) -> Result<Router, BoxError> {
    let policy = Policy::builder()
        .token_lifetime(Duration::from_secs(10))
        .idle_timeout(Duration::from_secs(60))
        .renew_min_interval(Duration::ZERO)
        .build()?;
    let secret = [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat();
    let sessions = SlidingSessions::builder(JwtKeys::hs256(secret)?, policy)
        .clock(clock)
        .refresh_tokens()
        .path_rules(PathRules::new().public("/login"))
        .router_at("/auth")
        .build()?;
    Ok(Router::new()
        .route("/login", routing::post(login))
        .route("/me", routing::get(async |session: Session| session.subject().to_owned()))
        .nest("/auth", sessions.router())
        .layer(sessions.layer())
        .with_state(sessions))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, service(SystemClock)?).into_future());

    let http = reqwest::Client::new();
    let session = session(&origin, http.clone(), |event| println!("{event:?}"))?;
    let grant = http.post(format!("{origin}/login")).send().await?.bytes().await?;
    session.sign_in(serde_json::from_slice::<Grant>(&grant)?);
    for second in 1..=30 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        // Between the tenth and the twenty-fifth second nobody calls, and the token expires.
        if !(10..25).contains(&second) {
            let (status, body) = get(&session, &http, format!("{origin}/me")).await?;
            println!("{second} s: {status} {body}");
        }
    }
    Ok(())
}
