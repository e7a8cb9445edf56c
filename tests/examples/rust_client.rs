//! The example `client`: reqwest behind the layer, over TCP.

#[path = "../../examples/client.rs"]
#[expect(dead_code, reason = "a test does not run `main`")]
mod example;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::StatusCode;
use tokio::{net::TcpListener, task::JoinSet};
use tower_sliding_session::{Grant, ManualClock, Timestamp, client::ClientEvent};

use self::example::{get, service, session};

#[tokio::test]
async fn reqwest_stays_signed_in_with_one_refresh_for_all_requests() {
    let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let origin = format!("http://{}", listener.local_addr().expect("a bound socket"));
    let app = service(clock.clone()).expect("the example builds");
    tokio::spawn(axum::serve(listener, app).into_future());

    let events = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&events);
    let http = reqwest::Client::new();
    let session = session(&origin, http.clone(), move |event| {
        told.lock().expect("not poisoned").push(event);
    });
    let session = session.expect("an address");
    let grant = http.post(format!("{origin}/login")).send().await.expect("a response");
    let grant = grant.bytes().await.expect("a whole body");
    session.sign_in(serde_json::from_slice::<Grant>(&grant).expect("a grant"));

    clock.advance(Duration::from_secs(6));
    let me = format!("{origin}/me");
    let answer = get(&session, &http, me.clone()).await.expect("a response");
    assert_eq!(answer, (StatusCode::OK, "ada".to_owned()));
    assert_eq!(*events.lock().expect("not poisoned"), [ClientEvent::Renewed]);

    clock.advance(Duration::from_secs(10));
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let (session, http, me) = (session.clone(), http.clone(), me.clone());
        calls.spawn(async move { get(&session, &http, me).await.expect("a response").0 });
    }
    assert_eq!(calls.join_all().await, [StatusCode::OK; 50]);
    assert_eq!(*events.lock().expect("not poisoned"), [ClientEvent::Renewed; 2]);
}
