//! Tonic: one `.layer()`, renewed tokens in the metadata, rejections as gRPC statuses.
//!
//! Without an argument it calls itself twice and exits. With `serve` it listens on `TONIC_ADDR`,
//! 127.0.0.1:50051 by default; port 0 takes a free one. The health service's `Watch` ends with its
//! session: `TONIC_IDLE_TIMEOUT` and `TONIC_ABSOLUTE_TIMEOUT` set when, such as `30s` (`20m` and `12h`
//! by default).

use std::time::Duration;

use tokio::net::TcpListener;
use tonic::{
    Request,
    transport::{
        Channel, Server,
        server::{Router, TcpIncoming},
    },
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::{
    BoxError,
    layer::util::{Identity, Stack},
};
use tower_sliding_session::{
    Clock, JwtKeys, Policy, SlidingSessions, SystemClock, policy::parse_duration,
    sessions::SlidingSessionsLayer,
};
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3600);

/// Returns sessions that renew the token in every call, to show a renewal.
pub(crate) fn sessions(clock: impl Clock, policy: Policy) -> Result<SlidingSessions, BoxError> {
    // A random key: a restart invalidates every token. Load yours from your secret store.
    let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    Ok(SlidingSessions::builder(JwtKeys::hs256(secret)?, policy).clock(clock).build()?)
}

/// Returns the policy, with the timeouts of these settings if they are set.
pub(crate) fn policy(setting: impl Fn(&str) -> Option<String>) -> Result<Policy, BoxError> {
    let read = |name, default| match setting(name) {
        Some(text) => parse_duration(&text).map_err(|why| format!("{name}: {why}")),
        None => Ok(default),
    };
    let absolute = read("TONIC_ABSOLUTE_TIMEOUT", 12 * HOUR)?;
    let idle = read("TONIC_IDLE_TIMEOUT", HOUR / 3)?;
    let policy = Policy::builder()
        .absolute_timeout(absolute)
        .idle_timeout(idle.min(absolute))
        .token_lifetime(HOUR.min(absolute))
        .renew_always()
        .renew_min_interval(Duration::ZERO);
    Ok(policy.build()?)
}

/// Returns a server with a health service that needs a session. A `Watch` ends with its session.
///
/// For load balancers, make it public:
/// `PathRules::new().public("/grpc.health.v1.Health/{*method}")`.
pub(crate) fn app(sessions: &SlidingSessions) -> Router<Stack<SlidingSessionsLayer, Identity>> {
    let (_, health) = tonic_health::server::health_reporter();
    Server::builder().layer(sessions.layer()).add_service(health)
}

async fn call(url: String, token: &str) -> Result<(), BoxError> {
    let mut client = HealthClient::new(Channel::from_shared(url)?.connect().await?);

    let mut request = Request::new(HealthCheckRequest::default());
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    let response = client.check(request).await?;
    let renewed = response.metadata().get("x-refreshed-token").ok_or("not renewed")?;
    println!("with a token:    {:?}", response.get_ref().status());
    println!("renewed token:   {}", renewed.to_str()?);

    let anonymous = client.check(HealthCheckRequest::default()).await;
    let status = anonymous.err().ok_or("not rejected")?;
    println!("without a token: {:?}, \"{}\"", status.code(), status.message());
    let code = status.metadata().get("session-error").ok_or("no code")?;
    println!("session-error:   {}", code.to_str()?);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let has_serve_argument = std::env::args().nth(1).as_deref() == Some("serve");
    let address = std::env::var("TONIC_ADDR").ok().filter(|_| has_serve_argument);
    let default = if has_serve_argument { "127.0.0.1:50051" } else { "127.0.0.1:0" };
    let listener = TcpListener::bind(address.as_deref().unwrap_or(default)).await?;
    let url = format!("http://{}", listener.local_addr()?);

    let sessions = sessions(SystemClock, policy(|name| std::env::var(name).ok())?)?;
    let grant = sessions.start("ada").await?;
    let server = app(&sessions).serve_with_incoming(TcpIncoming::from(listener));
    if has_serve_argument {
        println!("listening on {url}");
        println!("token: {}", grant.access_token());
        println!(
            "\n# with curl: the renewed token is in the headers, the gRPC status in the trailers"
        );
        println!("printf '\\0\\0\\0\\0\\0' | curl -si --http2-prior-knowledge --output - \\");
        println!("  {url}/grpc.health.v1.Health/Check -H 'te: trailers' \\");
        println!("  -H 'content-type: application/grpc' --data-binary @- \\");
        println!("  -H 'authorization: Bearer {}'", grant.access_token());
        server.await?;
    } else {
        tokio::spawn(server);
        call(url, grant.access_token()).await?;
        println!("\n# to send requests yourself: cargo run --example tonic serve");
    }
    Ok(())
}
