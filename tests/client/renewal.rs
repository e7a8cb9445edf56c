//! Renewed tokens in headers and trailers, in and out of order.

use http::Version;
use serde_json::json;
use tower_sliding_session::{
    MaybeReady,
    client::{ClientEvent, Tokens},
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};

use crate::{
    app::{App, Caller, LIFETIME, MINUTE},
    refresh::sid,
};

/// A token of ten minutes is due after five.
const DUE: std::time::Duration = std::time::Duration::from_secs(5 * 60 + 1);

async fn token_of(app: &App, user: &str) -> String {
    app.sign_in(user).await.access_token().to_owned()
}

/// Has the server respond with `token` in the header of renewed tokens.
async fn receive(caller: &Caller, token: &str) {
    caller.send("GET /renewed", &[("x-token", token)]).await;
}

#[tokio::test]
async fn a_renewed_token_is_presented_from_then_on() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let app = App::start().await;
        let caller = app.ada(version).await;
        let first = caller.access_token();
        app.clock.advance(DUE);
        caller.get("/me").await;
        let renewed = caller.access_token();
        assert_ne!(renewed, first);
        assert_eq!(caller.events.all(), [ClientEvent::Renewed]);
        let refresh_token = |caller: &Caller| {
            let tokens = caller.session.tokens().expect("signed in");
            tokens.refresh_token().map(str::to_owned)
        };
        assert!(refresh_token(&caller).is_some(), "the refresh token stays");
        app.clock.advance(DUE);
        assert_eq!(caller.get("/me").await.body(), "ada");
        assert_eq!(app.refreshes(), 0, "the first token has expired");
    }
}

#[tokio::test]
async fn p08_of_renewals_out_of_order_the_latest_mint_wins() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_2).await;
    app.clock.advance(DUE);
    let held = app.server.control.hold("/me");
    let early = caller.clone_of();
    let early = tokio::spawn(async move { early.get("/me").await });
    app.server.control.wait_for("/me", 1).await;
    app.server.control.hold_nothing();
    // A minute later the limiter grants another renewal of the same token.
    app.clock.advance(2 * MINUTE);
    let late = caller.get("/me").await.headers()["x-refreshed-token"].clone();
    held.release(1);
    let early = early.await.expect("no panic").headers()["x-refreshed-token"].clone();
    assert_ne!(early, late);
    assert_eq!(caller.access_token().as_deref(), late.to_str().ok());
    assert_eq!(caller.events.all(), [ClientEvent::Renewed]);
}

struct Team;

impl ClaimsSource for Team {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        MaybeReady::ready(Ok(ClaimsUpdate::replace(&json!({ "team": 1 })).expect("an object")))
    }
}

/// Tokens have whole seconds, and the clock stands still.
#[tokio::test]
async fn p37_a_change_in_the_second_of_the_mint_is_in_the_next_token() {
    let app = App::with(|builder| builder.claims_source(Team)).await;
    let caller = app.ada(Version::HTTP_11).await;
    for _ in 0..2 {
        let scope = app.sessions.user_scope(None, "ada");
        app.sessions.claims_changed(scope).await.expect("the store is there");
        let renewed = caller.get("/me").await.headers()["x-refreshed-token"].clone();
        assert_eq!(caller.access_token().as_deref(), renewed.to_str().ok());
    }
    assert!(!caller.get("/me").await.headers().contains_key("x-refreshed-token"), "it is kept");
    // What the handler sets is in the successor, too.
    for _ in 0..2 {
        let renewed = caller.send("POST /team", &[]).await.headers()["x-refreshed-token"].clone();
        assert_eq!(caller.access_token().as_deref(), renewed.to_str().ok());
    }
}

#[tokio::test]
async fn p08_only_a_later_token_of_the_same_session_is_taken() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_11).await;
    let held = caller.access_token().expect("signed in");
    app.clock.advance(MINUTE);
    let of_other_session = token_of(&app, "ada").await;
    assert_ne!(sid(&of_other_session), sid(&held));
    let padded = format!("{held}=");
    for refused in [
        &*of_other_session,
        &token_of(&app, "bob").await,
        &held,
        &padded,
        "",
        "x",
        "a.b.c",
        "..",
        "a b c",
        "a.e30.c",
        "a.bnVsbA.c",
        &"a".repeat(8_000),
    ] {
        receive(&caller, refused).await;
        assert_eq!(caller.access_token().as_ref(), Some(&held), "{refused}");
    }
    assert_eq!(caller.events.all(), []);
}

#[tokio::test]
async fn p08_a_renewal_after_the_sign_out_is_not_taken() {
    for signs_in_again in [false, true] {
        let app = App::start().await;
        let caller = app.ada(Version::HTTP_2).await;
        app.clock.advance(DUE);
        let held = app.server.control.hold("/me");
        let renewing = caller.clone_of();
        let renewing = tokio::spawn(async move { renewing.get("/me").await });
        app.server.control.wait_for("/me", 1).await;
        caller.session.sign_out();
        let next = app.sign_in("ada").await;
        if signs_in_again {
            caller.session.sign_in(&next);
        }
        held.release(1);
        let renewed = renewing.await.expect("no panic");
        assert!(renewed.headers().contains_key("x-refreshed-token"));
        let expected = signs_in_again.then(|| next.access_token().to_owned());
        assert_eq!(caller.access_token(), expected);
        assert_eq!(caller.events.all(), []);
    }
}

#[tokio::test]
async fn p08_a_renewal_during_a_refresh_does_not_replace_what_is_newer() {
    let app = App::start().await;
    let grant = app.sign_in("ada").await;
    let caller = app.stranger(Version::HTTP_2);
    caller.session.sign_in(&grant);
    app.clock.advance(DUE);
    let renewing = app.server.control.hold("/me");
    let late = caller.clone_of();
    let late = tokio::spawn(async move { late.get("/me").await });
    app.server.control.wait_for("/me", 1).await;
    app.server.control.hold_nothing();
    app.clock.advance(LIFETIME);
    assert_eq!(caller.get("/me").await.body(), "ada");
    let refreshed = caller.access_token();
    renewing.release(1);
    let late = late.await.expect("no panic");
    assert!(late.headers().contains_key("x-refreshed-token"));
    assert_eq!(caller.access_token(), refreshed);
}

#[tokio::test]
async fn p08_a_renewed_token_in_the_trailers_is_taken() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_2).await;
    let sent = caller.access_token().expect("signed in");
    app.clock.advance(DUE);
    let successor = {
        let other = app.stranger(Version::HTTP_11);
        other.session.sign_in(Tokens::new(&*sent).expect("a token"));
        other.get("/me").await.headers()["x-refreshed-token"].clone()
    };
    let successor = successor.to_str().expect("ASCII");
    caller.send("GET /trailers", &[("x-token", successor)]).await;
    assert_eq!(caller.access_token().as_deref(), Some(successor));
    assert_eq!(caller.events.all(), [ClientEvent::Renewed]);
}
