//! When the session expires, as responses say.

use http::Version;
use tower_sliding_session::{client::ClientEvent, sessions::SlidingSessionsBuilder};

use crate::app::{ABSOLUTE, App, Caller, IDLE, MINUTE};

/// A client of a service that says when sessions expire.
async fn app_and_ada(version: Version) -> (App, Caller) {
    let app = App::with(SlidingSessionsBuilder::session_expires).await;
    let caller = app.ada(version).await;
    (app, caller)
}

fn expiring(after: u32) -> ClientEvent {
    let absolute = Some(ABSOLUTE - after * MINUTE);
    ClientEvent::Expiring { idle: Some(IDLE), absolute, is_renewable: true }
}

#[tokio::test]
async fn each_response_tells_how_long_the_session_lasts() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let (app, caller) = app_and_ada(version).await;
        caller.get("/me").await;
        assert_eq!(caller.events.all(), [expiring(0)]);
        app.clock.advance(2 * MINUTE);
        caller.get("/bare").await;
        assert_eq!(caller.events.all().len(), 1, "a public route says nothing");
        // What nobody has asked for moves no deadline.
        caller.send("GET /me", &[("session-activity", "background")]).await;
        let (idle, absolute) = (Some(IDLE - 2 * MINUTE), Some(ABSOLUTE - 2 * MINUTE));
        let told = ClientEvent::Expiring { idle, absolute, is_renewable: true };
        assert_eq!(caller.events.all(), [expiring(0), told]);
    }
}

#[tokio::test]
async fn p08_an_old_response_says_nothing_after_a_later_one() {
    let (app, caller) = app_and_ada(Version::HTTP_2).await;
    let held = app.server.control.hold("/me");
    let early = caller.clone_of();
    let early = tokio::spawn(async move { early.get("/me").await });
    app.server.control.wait_for("/me", 1).await;
    app.server.control.hold_nothing();
    app.clock.advance(MINUTE);
    caller.get("/me").await;
    held.release(1);
    let early = early.await.expect("no panic");
    assert!(early.headers().contains_key("session-expires"));
    assert_eq!(caller.events.all(), [expiring(1)]);
}

#[tokio::test]
async fn p21_a_late_response_of_another_session_says_nothing() {
    for is_signed_in in [true, false] {
        let (app, caller) = app_and_ada(Version::HTTP_2).await;
        let held = app.server.control.hold("/me");
        let early = caller.clone_of();
        let early = tokio::spawn(async move { early.get("/me").await });
        app.server.control.wait_for("/me", 1).await;
        caller.session.sign_out();
        if is_signed_in {
            caller.session.sign_in(app.sign_in("ada").await);
        }
        held.release(1);
        assert!(early.await.expect("no panic").headers().contains_key("session-expires"));
        assert_eq!(caller.events.all(), []);
    }
}
