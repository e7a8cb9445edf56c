//! Why a session has ended, and what does not end it.

use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::Full;
use tower::{Layer, ServiceExt};
use tower_sliding_session::{
    RejectionKind,
    client::{ClientEvent, SessionClient, Tokens},
};

use crate::{
    app::{ABSOLUTE, App, BEGIN, IDLE, LIFETIME, MINUTE, code, http},
    refresh::sid,
};

#[tokio::test]
async fn idle_absolute_and_revoked_are_told_apart() {
    let app = App::start().await;
    let idle = app.ada(Version::HTTP_11).await;
    app.clock.advance(IDLE);
    assert_eq!(code(&idle.get("/me").await), "token_expired");
    let expected = ClientEvent::SignedOut(RejectionKind::SessionExpiredIdle);
    assert_eq!(idle.events.all(), [expected]);

    let revoked = app.ada(Version::HTTP_11).await;
    let session = sid(&revoked.access_token().expect("signed in"));
    app.sessions.revoke(&session).await.expect("the session is revoked");
    assert_eq!(code(&revoked.get("/me").await), "session_revoked");
    let expected = ClientEvent::SignedOut(RejectionKind::SessionRevoked);
    assert_eq!(revoked.events.all(), [expected]);
    assert!(revoked.session.tokens().is_none());
    assert_eq!(code(&revoked.get("/me").await), "missing_token");
    assert_eq!(revoked.events.all().len(), 1, "there is nobody to sign out");

    let app = App::start().await;
    let absolute = app.ada(Version::HTTP_11).await;
    while app.clock_now() + LIFETIME < BEGIN + ABSOLUTE {
        app.clock.advance(LIFETIME);
        assert_eq!(absolute.get("/me").await.status(), StatusCode::OK);
    }
    app.clock.set(BEGIN + ABSOLUTE);
    assert_eq!(code(&absolute.get("/me").await), "session_expired_absolute");
    let events = absolute.events.all();
    let expected = ClientEvent::SignedOut(RejectionKind::SessionExpiredAbsolute);
    assert_eq!(events.last(), Some(&expected));
    assert_eq!(events.iter().filter(|event| **event != ClientEvent::Renewed).count(), 1);
}

#[tokio::test]
async fn a_token_that_does_not_verify_is_told_as_such() {
    let app = App::start().await;
    let caller = app.stranger(Version::HTTP_11);
    caller.session.sign_in(Tokens::new("a.b.c").expect("its characters are allowed"));
    assert_eq!(code(&caller.get("/me").await), "invalid_token");
    let expected = ClientEvent::SignedOut(RejectionKind::InvalidToken);
    assert_eq!(caller.events.all(), [expected]);
}

#[tokio::test]
async fn without_a_refresh_token_the_session_ends_with_its_token() {
    let app = App::start().await;
    let grant = app.sign_in("ada").await;
    let caller = app.stranger(Version::HTTP_11);
    caller.session.sign_in(Tokens::new(grant.access_token()).expect("a token"));
    app.clock.advance(LIFETIME);
    assert_eq!(code(&caller.get("/me").await), "token_expired");
    let expected = ClientEvent::SignedOut(RejectionKind::TokenExpired);
    assert_eq!(caller.events.all(), [expected]);
    assert_eq!(app.refreshes(), 0);
}

#[tokio::test]
async fn p33_without_a_refresh_token_a_response_on_its_way_may_still_renew() {
    let app = App::start().await;
    let grant = app.sign_in("ada").await;
    let caller = app.stranger(Version::HTTP_2);
    caller.session.sign_in(Tokens::new(grant.access_token()).expect("a token"));
    app.clock.advance(LIFETIME - MINUTE);
    let held = app.server.control.hold("/me");
    let slow = caller.clone_of();
    let slow = tokio::spawn(async move { slow.get("/me").await });
    app.server.control.wait_for("/me", 1).await;
    app.server.control.hold_nothing();
    app.clock.advance(MINUTE);
    assert_eq!(code(&caller.get("/me").await), "token_expired");
    assert_eq!(caller.events.all(), []);
    held.release(1);
    assert_eq!(slow.await.expect("no panic").status(), StatusCode::OK);
    assert_eq!(caller.get("/me").await.status(), StatusCode::OK);
    assert_eq!(caller.events.all(), [ClientEvent::Renewed]);

    app.clock.advance(LIFETIME);
    assert_eq!(code(&caller.get("/me").await), "token_expired");
    let expected = ClientEvent::SignedOut(RejectionKind::TokenExpired);
    assert_eq!(caller.events.all(), [ClientEvent::Renewed, expected]);
}

#[tokio::test]
async fn p18_the_end_of_a_session_in_the_trailers_of_a_stream_is_told() {
    for (code, kind) in [
        ("session_revoked", Some(RejectionKind::SessionRevoked)),
        ("session_expired_idle", Some(RejectionKind::SessionExpiredIdle)),
        ("session_expired_absolute", Some(RejectionKind::SessionExpiredAbsolute)),
        ("token_expired", None),
        ("store_unavailable", None),
        ("unknown", None),
    ] {
        let app = App::start().await;
        let caller = app.ada(Version::HTTP_2).await;
        let names = [("x-trailer", "session-error"), ("x-token", code)];
        assert_eq!(caller.send("GET /other/trailers", &names).await.body(), "body");
        let events: Vec<_> = kind.map(ClientEvent::SignedOut).into_iter().collect();
        assert_eq!(caller.events.all(), events);
        assert_eq!(caller.session.tokens().is_none(), kind.is_some());
    }
}

/// Its user has signed in again meanwhile.
#[tokio::test]
async fn p21_the_end_of_a_stream_of_an_earlier_session_signs_nobody_out() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_2).await;
    let held = app.server.control.hold("/other/trailers");
    let early = caller.clone_of();
    let early = tokio::spawn(async move {
        let names = [("x-trailer", "session-error"), ("x-token", "session_revoked")];
        early.send("GET /other/trailers", &names).await
    });
    app.server.control.wait_for("/other/trailers", 1).await;
    caller.session.sign_in(app.sign_in("ada").await);
    held.release(1);
    assert_eq!(early.await.expect("no panic").body(), "body");
    assert_eq!(caller.events.all(), []);
    assert!(caller.session.tokens().is_some());
}

#[tokio::test]
async fn p16_a_401_of_somebody_else_signs_nobody_out() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_11).await;
    let held = caller.access_token();
    for line in ["GET /bare", "POST /bare", "GET /upstream", "GET /no-such-route"] {
        caller.send(line, &[]).await;
        assert_eq!(caller.access_token(), held, "{line}");
    }
    for status in [401, 403, 429, 500, 502, 503] {
        let status = StatusCode::from_u16(status).expect("a status");
        app.server.control.break_path("/me", status);
        assert_eq!(caller.get("/me").await.status(), status);
    }
    assert_eq!((caller.access_token(), caller.events.all()), (held, vec![]));
    assert_eq!(app.refreshes(), 0);
}

/// The service calls another one with the same layers, and passes its answer on.
#[tokio::test]
async fn p16_an_error_that_a_handler_forwards_signs_nobody_out() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_11).await;
    let held = caller.access_token();
    for code in [
        "token_expired",
        "invalid_token",
        "session_expired_idle",
        "session_expired_absolute",
        "session_revoked",
        "recent_authentication_required",
        "store_unavailable",
    ] {
        for status in ["401", "403", "503", "200", "302"] {
            let names = [("x-code", code), ("x-status", status)];
            let forwarded = caller.send("GET /forwarded", &names).await;
            assert_eq!(forwarded.status().as_str(), status);
            assert!(!forwarded.headers().contains_key("session-error"), "{code} {status}");
        }
    }
    assert_eq!((caller.access_token(), caller.events.all()), (held, vec![]));
    assert_eq!(app.refreshes(), 0);
}

/// As above, after data: the header was sent long before.
#[tokio::test]
async fn p16_an_error_in_the_trailers_that_a_handler_forwards_signs_nobody_out() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let app = App::start().await;
        let caller = app.ada(version).await;
        for code in ["session_revoked", "session_expired_idle", "session_expired_absolute"] {
            let names = [("x-trailer", "session-error"), ("x-token", code)];
            assert_eq!(caller.send("GET /trailers", &names).await.body(), "body");
        }
        assert_eq!(caller.events.all(), []);
        assert!(caller.session.tokens().is_some());
    }
}

#[tokio::test]
async fn a_step_up_reaches_the_application_and_the_session_goes_on() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_11).await;
    assert_eq!(caller.get("/recent").await.body(), "recent");
    app.clock.advance(5 * MINUTE);
    let rejected = caller.get("/recent").await;
    assert_eq!(code(&rejected), "recent_authentication_required");
    let challenge = rejected.headers()["www-authenticate"].to_str().expect("ASCII");
    assert!(challenge.ends_with("max_age=300"), "{challenge}");
    let max_age = Some(5 * MINUTE);
    let step_up = ClientEvent::RecentAuthenticationRequired { max_age };
    assert_eq!(caller.events.all(), [step_up]);
    assert_eq!(caller.get("/me").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn p21_a_late_rejection_of_another_session_ends_nothing() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_2).await;
    let first = sid(&caller.access_token().expect("signed in"));
    app.sessions.revoke(&first).await.expect("the session is revoked");
    let held = app.server.control.hold("/me");
    let late = caller.clone_of();
    let late = tokio::spawn(async move { late.get("/me").await });
    app.server.control.wait_for("/me", 1).await;
    app.server.control.hold_nothing();
    caller.session.sign_in(app.sign_in("bob").await);
    held.release(1);
    assert_eq!(code(&late.await.expect("no panic")), "session_revoked");
    assert_eq!(caller.get("/me").await.body(), "bob");
    assert_eq!(caller.events.all(), []);
}

#[tokio::test]
async fn a_request_with_an_authorization_of_its_own_passes_untouched() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_11).await;
    let bob = format!("Bearer {}", app.sign_in("bob").await.access_token());
    let answer = caller.send("GET /me", &[("authorization", &bob)]).await;
    assert_eq!(answer.body(), "bob");
    let answer = caller.send("GET /me", &[("authorization", "Bearer a.b.c")]).await;
    assert_eq!(code(&answer), "invalid_token");
    assert_eq!(caller.events.all(), []);
    assert_eq!(caller.get("/me").await.body(), "ada");
}

#[tokio::test]
async fn the_token_goes_only_to_the_addresses_that_it_is_meant_for() {
    let (app, other) = (App::start().await, App::start().await);
    let (ours, theirs) = (app.server.address.port(), other.server.address.port());
    let session = SessionClient::builder()
        .only_for(move |uri| uri.port_u16() == Some(ours) && uri.host() == Some("127.0.0.1"))
        .build();
    session.sign_in(app.sign_in("ada").await);
    let service = session.layer().layer(http(Version::HTTP_11));
    for (port, host, status) in [
        (ours, "127.0.0.1", StatusCode::OK),
        (theirs, "127.0.0.1", StatusCode::UNAUTHORIZED),
        (ours, "localhost", StatusCode::UNAUTHORIZED),
    ] {
        let request = Request::get(format!("http://{host}:{port}/me"));
        let request = request.body(Full::new(Bytes::new())).expect("a request");
        let response = service.clone().oneshot(request).await.expect("a response");
        assert_eq!(response.status(), status);
        let is_missing =
            response.headers().get("session-error").is_some_and(|it| it == "missing_token");
        assert_eq!(is_missing, status != StatusCode::OK);
    }
    assert!(session.tokens().is_some());
}
