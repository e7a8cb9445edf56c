//! Commands that the server comes to after their callers have given up.

use super::{limiter::request, nodes::*, *};
use crate::{
    clock::ManualClock,
    identity::Scope,
    store::{
        LifecycleQueries as _, LifecycleStore as _, ListQuery, OpenTicket, RefreshQuery,
        RenewalDecision, RenewalLimiter as _, Rotated, Rotation, TicketUse, TokenExchange,
        redis::sign_in::Beginning,
    },
};

#[tokio::test]
async fn p23_a_command_that_runs_too_late_does_nothing() {
    let server = RedisServer::start();
    let patient = node(&server).await;
    let before = begin(&patient, "before").await;
    let ticket = StoreKey::session(None, "ticket");
    let opened = OpenTicket::new(ticket, before.key, before.scopes.user, NOW, NOW + DAY);
    patient.open_ticket(opened).await.expect("the server answers");
    let exchange = |at| {
        let query = RefreshQuery::new(before.key, NOW, before.scopes);
        Rotation::new(query, 0, TokenExchange { at, successors: None }, before.clone())
    };
    let late = RedisStore::at(server.url()).clock(ManualClock::new(NOW)).connect().await;
    let late = late.expect("the server runs");
    let limiter = RedisLimiter::connect(&server.url()).await.expect("the server runs");
    // The server knows the scripts, and this node its clock.
    limiter.acquire(request(1, 1)).await.expect("the server answers");
    let other = begin(&patient, "other").await;
    let query = RefreshQuery::new(other.key, NOW, other.scopes);
    let of_other = Rotation::new(query, 0, TokenExchange::new(NOW, None), other.clone());
    patient.rotate(of_other).await.expect("the server answers");
    let unknown = TicketUse::new(other.key, other.scopes.user, NOW);
    assert!(!patient.use_ticket(unknown).await.expect("the server answers"));
    let used = TicketUse::new(ticket, before.scopes.user, NOW);

    let (begins_late, refreshes_late) = (record("late"), exchange(NOW));

    server.pause();
    // Only the last step of a sign-in and of a refresh: what comes before would not be answered either.
    let (begun, rotated, granted, closed) = tokio::join!(
        late.0.put_listed(&begins_late, Beginning::of_token(), NOW),
        late.0.rotate(&refreshes_late),
        limiter.acquire(request(2, 2)),
        late.use_ticket(used),
    );
    assert!(begun.is_err(), "the server is paused");
    assert!(rotated.is_err(), "the server is paused");
    granted.expect_err("the server is paused");
    closed.expect_err("the server is paused");
    server.resume();
    // What was sent has been executed before this is answered.
    server.command(&["PING"]);

    let listed = patient.sessions(Scope::User(before.scopes.user), ListQuery::first(9), NOW).await;
    let listed = listed.expect("the server answers").items;
    assert_eq!(listed.len(), 2, "the sign-in has not begun a session");
    let rotated = patient.rotate(exchange(NOW + IDLE / 2)).await.expect("the server answers");
    assert_eq!(
        rotated,
        Rotated::Done,
        "the refresh token is good, however late the client repeats"
    );
    let closed = patient.use_ticket(used).await.expect("the server answers");
    assert!(closed, "the ticket is open");
    limiter.connection.connected().await;
    let granted = limiter.acquire(request(3, 2)).await.expect("the server answers");
    assert_eq!(granted, RenewalDecision::Granted, "nobody holds the user's renewal");
}
