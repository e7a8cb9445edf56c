//! Guests: signed in without a word, whenever a call finds no session.

use serde_json::{Value, json};

use crate::harness::{Browser, Server, Setup, Tab, in_browser};

const LOGIN: &str = "/login";

async fn guest_page(browser: &Browser, server: &Server) -> Tab {
    let tab = browser.open(&server.url("/page")).await;
    let guest = "async () => (await fetch('/login', { method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ user: `guest-${crypto.randomUUID()}` }) })).json()";
    tab.run::<()>(&format!("await makeSession({{ guest: {guest}, signIn: '/sign-in' }})")).await;
    tab
}

#[tokio::test]
async fn parallel_calls_sign_one_guest_in_and_again_after_its_end() {
    let server = Server::start(Setup::new(3, 3, 3));
    in_browser(async move |browser: Browser| {
        let tab = guest_page(&browser, &server).await;
        let calls = "return Promise.all(['a', 'b', 'c', 'd'].map(
            (body) => call('/api/echo', { method: 'POST', body })))";
        for round in 1..=2 {
            let answers: Vec<Value> = tab.run(calls).await;
            for (answer, body) in answers.iter().zip(["a", "b", "c", "d"]) {
                assert_eq!((&answer["status"], &answer["body"]), (&json!(200), &json!(body)));
            }
            assert_eq!(server.recorder().count(LOGIN), round);
            // The server counts from the millisecond of the sign-in, the claim in whole seconds.
            let expired = "Date.now() / 1000 > session.claims?.exp + 1";
            tab.until(&format!("!session.signedIn || ({expired})")).await;
        }
        assert!(!tab.events().await.contains(&"ended".to_owned()));
        assert_eq!(server.recorder().count("/sign-in"), 0);
    })
    .await;
}

/// Two tabs that call at once are one guest.
#[tokio::test]
async fn tabs_share_a_guest() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let first = guest_page(&browser, &server).await;
        first.call("/api/me").await;
        let second = browser.open_tab(&server.url("/page")).await;
        second.make_session(json!({})).await;
        let ids: Vec<String> =
            vec![first.run("return session.id").await, second.run("return session.id").await];
        assert_eq!(ids[0], ids[1]);
        assert_eq!(server.recorder().count(LOGIN), 1);
    })
    .await;
}

/// A user whose session ends is no guest: the call is not repeated as somebody else.
#[tokio::test]
async fn the_call_of_a_user_is_not_repeated_as_a_guest() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tab = guest_page(&browser, &server).await;
        tab.run::<()>("session.addEventListener('ended', (e) => e.preventDefault())").await;
        tab.sign_in().await;
        let answer = tab.call("/public/reject/session_revoked").await;
        assert_eq!(answer["status"], 401);
        assert_eq!(server.recorder().count("/public/reject/session_revoked"), 1);
        assert_eq!(tab.event("ended").await, json!({ "reason": "session_revoked" }));
    })
    .await;
}

/// The server takes a request for activity only where the page declares it.
#[tokio::test]
async fn p17_only_what_the_user_does_is_declared_as_activity() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let options = json!({ "activity": "declared", "activeWithin": 2 });
        let tab = browser.signed_in(&server, options).await;
        tab.call("/api/me").await;
        tab.run::<()>("document.dispatchEvent(new PointerEvent('pointerdown', { bubbles: true }))")
            .await;
        tab.call("/api/me").await;
        assert_eq!(tab.run::<Value>("return session.lastActivity").await, Value::Null);
        tab.click("#save").await;
        tab.call("/api/me").await;
        assert!(tab.run::<f64>("return session.lastActivity").await > 1e12);
        tab.run::<()>("window.later = performance.now() + 2100; return null").await;
        tab.until("performance.now() > later").await;
        tab.call("/api/me").await;
        let requests = server.recorder().requests("/api/me");
        let declared: Vec<_> = requests.iter().map(|request| request.activity()).collect();
        assert_eq!(declared, [None, None, Some("user"), None]);
    })
    .await;
}
