//! Plain hyper: the stack in a `ServiceBuilder`, and the session from the request's extensions.
//!
//! `EXAMPLE_ADDR` sets the address, 127.0.0.1:3000 by default; port 0 takes a free one.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{BoxError, ServiceBuilder, service_fn, util::BoxCloneService};
use tower_sliding_session::{
    Clock, JwtKeys, PathRules, Policy, Session, SessionBody, SlidingSessions, StartError,
    SystemClock,
};
use uuid::Uuid;

/// The stack may respond in place of the handler, so it wraps the body.
type ResponseBody = SessionBody<Full<Bytes>>;

/// `POST /login` starts a session, every other path greets its user.
async fn handle<B>(
    sessions: SlidingSessions,
    request: Request<B>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    if let Some(session) = request.extensions().get::<Session>() {
        *response.body_mut() = format!("hello, {}\n", session.subject()).into();
    } else if request.method() != Method::POST {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    } else {
        response = login(&sessions).await;
    }
    Ok(response)
}

async fn login(sessions: &SlidingSessions) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    // Check a password or a passkey here.
    match sessions.start("ada").await {
        Ok(grant) => {
            *response.body_mut() = serde_json::to_string(&grant).unwrap_or_default().into();
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the sign-in failed");
            *response.status_mut() = match error {
                StartError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
                StartError::Denied => StatusCode::FORBIDDEN,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
        }
    }
    response
}

/// Returns the service for requests with any body, with `clock` as its time source.
pub(crate) fn app<B: Send + 'static>(
    clock: impl Clock,
) -> Result<BoxCloneService<Request<B>, Response<ResponseBody>, Infallible>, BoxError> {
    // A random key: a restart invalidates every token. Load yours from your secret store.
    let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    let sessions = SlidingSessions::builder(JwtKeys::hs256(secret)?, Policy::builder().build()?)
        .path_rules(PathRules::new().public("/login"))
        .clock(clock)
        .build()?;
    let service = ServiceBuilder::new()
        .layer(sessions.layer())
        .service(service_fn(move |request| handle(sessions.clone(), request)));
    Ok(BoxCloneService::new(service))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let address = std::env::var("EXAMPLE_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!(
        "listening on {url}

# sign in and keep the access_token
curl -s {url}/login -X POST
TOKEN=...
# a route that needs a session
curl -si {url}/ -H \"authorization: Bearer $TOKEN\"
# without a token: 401 with a code
curl -si {url}/"
    );
    let service = app(SystemClock)?;
    loop {
        let (socket, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new());
            if let Err(error) = http.serve_connection(TokioIo::new(socket), service).await {
                tracing::debug!(%error, "a connection failed");
            }
        });
    }
}
