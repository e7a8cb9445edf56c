//! The example `tonic`: a health service whose `Watch` ends with its session.

#[path = "../../examples/tonic.rs"]
#[expect(dead_code, reason = "a test does not run `main`")]
mod example;

use std::time::Duration;

use tokio::net::TcpListener;
use tonic::{
    Code, Request,
    transport::{Endpoint, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower_sliding_session::{ManualClock, Timestamp};

use self::example::{app, policy, sessions};

#[test]
fn the_timeouts_are_settings() {
    let read = |idle: Option<&str>, absolute: Option<&str>| {
        policy(|name| {
            let value = if name == "TONIC_IDLE_TIMEOUT" { idle } else { absolute };
            value.map(str::to_owned)
        })
    };
    let secs = |secs| Duration::from_secs(secs);
    for (idle, absolute, expected) in [
        (None, None, (secs(1200), secs(12 * 3600))),
        (Some("3s"), None, (secs(3), secs(12 * 3600))),
        (Some("3s"), Some("5s"), (secs(3), secs(5))),
        (None, Some("5s"), (secs(5), secs(5))),
    ] {
        let policy = read(idle, absolute).expect("the settings are valid");
        assert_eq!((policy.idle_timeout(), policy.absolute_timeout()), expected);
    }
    let unreadable = read(Some("3"), None).expect_err("no unit").to_string();
    assert!(unreadable.starts_with("TONIC_IDLE_TIMEOUT: "), "{unreadable}");
}

#[tokio::test]
async fn p18_a_watch_ends_with_its_session() {
    for (setting, code) in [
        ("TONIC_IDLE_TIMEOUT", "session_expired_idle"),
        ("TONIC_ABSOLUTE_TIMEOUT", "session_expired_absolute"),
    ] {
        let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
        let policy = policy(|name| (name == setting).then(|| "5s".to_owned()));
        let sessions = sessions(clock.clone(), policy.expect("a policy")).expect("it builds");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket"));
        tokio::spawn(app(&sessions).serve_with_incoming(TcpIncoming::from(listener)));
        let channel = Endpoint::from_shared(url).expect("an address").connect().await;
        let mut client = HealthClient::new(channel.expect("a connection"));
        let grant = sessions.start("ada").await.expect("the session starts");
        let mut request = Request::new(HealthCheckRequest::default());
        let bearer = format!("Bearer {}", grant.access_token()).parse().expect("visible ASCII");
        request.metadata_mut().insert("authorization", bearer);
        let watched = client.watch(request).await.expect("the call is accepted");
        let mut messages = watched.into_inner();
        assert!(messages.message().await.expect("a message").is_some());
        clock.advance(Duration::from_secs(5));
        let end = messages.message().await.expect_err("the session has ended");
        assert_eq!(end.code(), Code::Unauthenticated);
        assert_eq!(end.metadata().get("session-error").expect("a code"), code);
    }
}
