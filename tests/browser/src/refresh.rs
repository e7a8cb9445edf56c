//! One refresh for all calls of all tabs, and what becomes of it when something goes wrong.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{BOUND, Browser, Fault, Server, Setup, Tab, in_browser, in_browser_alone};

const REFRESH: &str = "/auth/refresh";

/// Tokens of three seconds in sessions that no test outlives. Tokens have whole seconds: one that is
/// to live for a second may be gone at once.
fn short_tokens() -> Setup {
    Setup::new(3, 600, 6000).with_refresh_tokens()
}

/// Starts `number` calls in each tab without waiting for them: they go out at `start`, when the
/// token has just expired.
async fn call_from_all(tabs: &[Tab], number: usize) {
    let start = Duration::from_secs(2 * tabs.len() as u64).as_millis();
    let start: f64 = tabs[0].run(&format!("return Date.now() + {start}")).await;
    for tab in tabs {
        let calls = format!(
            "window.calls = new Promise((resolve) => {{ setTimeout(resolve, {start} - Date.now()); }})
               .then(() => Promise.all(Array.from({{ length: {number} }}, () => call('/api/me'))));
             return null"
        );
        tab.run::<()>(&calls).await;
    }
}

async fn assert_all_answered(tabs: &[Tab], number: usize) {
    for tab in tabs {
        let answers: Vec<Value> = tab.run("return calls").await;
        assert_eq!(answers.len(), number);
        for answer in answers {
            assert_eq!(answer["status"], 200, "{answer}");
        }
        assert!(tab.is_signed_in().await);
    }
}

#[tokio::test]
async fn eight_tabs_with_100_calls_at_the_moment_of_expiry_refresh_once() {
    let server = Server::start(Setup::new(10, 600, 6000).without_renewal().with_refresh_tokens());
    in_browser_alone(async move |browser: Browser| {
        let mut tabs = vec![browser.open(&server.url("/page")).await];
        for _ in 1..8 {
            tabs.push(browser.open_tab(&server.url("/page")).await);
        }
        for tab in &tabs {
            tab.make_session(json!({})).await;
        }
        tabs[0].sign_in().await;
        for tab in &tabs {
            let calls = "const sent = until(() => session.left('token') < 0, 15000);
                 window.calls = sent.then(
                   () => Promise.all(Array.from({ length: 100 }, () => call('/api/me'))));
                 return null";
            tab.run::<()>(calls).await;
        }
        let left: f64 = tabs[0].run("return session.left('token')").await;
        assert!(left > 0.0, "the calls of every tab were prepared in time");
        assert_all_answered(&tabs, 100).await;
        assert_eq!(server.recorder().count(REFRESH), 1);
        let token = tabs[0].token_id().await;
        for tab in &tabs {
            assert_eq!(tab.token_id().await, token);
        }
    })
    .await;
}

#[tokio::test]
async fn a_live_token_is_not_refreshed() {
    let server = Server::start(Setup::new(600, 600, 6000).with_refresh_tokens());
    in_browser(async move |browser: Browser| {
        let tabs = browser.tabs(&server, 2, json!({})).await;
        call_from_all(&tabs, 5).await;
        assert_all_answered(&tabs, 5).await;
        assert_eq!(server.recorder().count(REFRESH), 0);
        assert_eq!(server.recorder().count("/api/me"), 10);
    })
    .await;
}

/// The clock of the page is slow: it sends the expired token, and repeats a POST with its body.
#[tokio::test]
async fn a_rejected_call_is_repeated_once_after_a_refresh() {
    let server = Server::start(short_tokens());
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        tab.make_session(json!({})).await;
        tab.run::<()>(SIGN_IN_WITH_LONG_LIFE).await;
        tab.run::<()>("await until(() => session.left('token') < 3597, 20000)").await;
        let answer: Value =
            tab.run("return call('/api/echo', { method: 'POST', body: 'a note' })").await;
        assert_eq!((&answer["status"], &answer["body"]), (&json!(200), &json!("a note")));
        assert_eq!(server.recorder().count("/api/echo"), 2);
        assert_eq!(server.recorder().count(REFRESH), 1);
    })
    .await;
}

/// A route that rejects each token, while the server gives a new one for each refresh.
#[tokio::test]
async fn a_call_that_is_rejected_each_time_is_sent_three_times() {
    let server = Server::start(Setup::patient().with_refresh_tokens());
    in_browser(async move |browser: Browser| {
        let path = "/public/reject/token_expired";
        let tab = browser.signed_in(&server, json!({})).await;
        tokio::select! {
            answer = tab.call(path) => assert_eq!(answer["status"], 401),
            () = server.recorder().reach(path, 4) => panic!("sent a fourth time"),
        }
        assert_eq!(server.recorder().count(path), 3);
        assert!(tab.is_signed_in().await);
    })
    .await;
}

/// The module believes that the token lives for an hour.
const SIGN_IN_WITH_LONG_LIFE: &str = "
    const response = await fetch('/login', { method: 'POST',
      headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ user: 'ada' }) });
    await session.start({ ...await response.json(), expires_in: 3600 })";

/// The 401 of a token that has been replaced meanwhile, in the same session and in another one.
#[tokio::test]
async fn a_late_rejection_of_an_old_token_is_repeated_for_the_same_user_only() {
    for (user, sent) in [("ada", 2), ("bob", 1)] {
        let server = Server::start(Setup::patient());
        in_browser(async move |browser: Browser| {
            let tab = browser.signed_in(&server, json!({})).await;
            let held = "/public/held?code=session_revoked";
            tab.run::<()>(&format!("window.calls = call('{held}'); return null")).await;
            server.recorder().reach("/public/held", 1).await;
            tab.until("Date.now() / 1000 > session.claims.auth_time + 1").await;
            tab.run::<()>(&format!("await signIn('{user}')")).await;
            server.recorder().release();
            let answer: Value = tab.run("return calls").await;
            assert_eq!(answer["code"], "session_revoked");
            // The second answer is one to the current token.
            assert_eq!(server.recorder().count("/public/held"), sent, "{user}");
            assert_eq!(tab.is_signed_in().await, user == "bob");
        })
        .await;
    }
}

/// The tab that refreshes is closed before the answer.
#[tokio::test]
async fn a_closed_leader_hands_over() {
    let server = Server::start(short_tokens());
    in_browser(async move |browser: Browser| {
        let tabs = browser.tabs(&server, 2, json!({ "lockTimeout": 15 })).await;
        let [leader, other] = &tabs[..] else { unreachable!("two tabs") };
        leader.until("session.left('token') < 0").await;
        server.recorder().fail(Some(Fault::Silence { below: REFRESH }));
        leader.run::<()>("call('/api/me'); return null").await;
        server.recorder().reach(REFRESH, 1).await;
        other.run::<()>("window.calls = Promise.all([call('/api/me')]); return null").await;
        assert_eq!(server.recorder().count(REFRESH), 1, "the other tab waits");
        leader.close().await;
        server.recorder().reach(REFRESH, 2).await;
        server.recorder().fail(None);
        assert_all_answered(&tabs[1..], 1).await;
    })
    .await;
}

/// The lock of the tab that has refreshed may be free before its message arrives elsewhere.
#[tokio::test]
async fn a_tab_that_hears_late_does_not_refresh_again() {
    let server = Server::start(short_tokens());
    in_browser(async move |browser: Browser| {
        let first = browser.signed_in(&server, json!({})).await;
        let late = browser.open_tab(&server.url("/page")).await;
        late.run::<()>("delayMessages(200)").await;
        late.make_session(json!({})).await;
        let tabs = [first, late];
        tabs[0].until("session.left('token') < 0").await;
        server.recorder().fail(Some(Fault::Silence { below: REFRESH }));
        for tab in &tabs {
            tab.run::<()>("window.calls = Promise.all([call('/api/me')]); return null").await;
        }
        server.recorder().reach(REFRESH, 1).await;
        server.recorder().fail(None);
        assert_all_answered(&tabs, 1).await;
        assert_eq!(server.recorder().count(REFRESH), 1);
    })
    .await;
}

/// No message and no event has told it yet.
#[tokio::test]
async fn a_tab_reads_the_storage_before_it_refreshes() {
    let server = Server::start(short_tokens());
    in_browser(async move |browser: Browser| {
        let options = json!({ "storage": "local", "shareTabs": false, "pollStorage": 60 });
        let first = browser.signed_in(&server, options.clone()).await;
        let deaf = browser.open_tab(&server.url("/page")).await;
        // Also those of a switch between tabs, after which the module reads the storage.
        let stop = "for (const type of ['storage', 'focus', 'visibilitychange', 'resume']) {
              addEventListener(type, (event) => event.stopImmediatePropagation(), true);
            }";
        deaf.run::<()>(stop).await;
        deaf.make_session(options).await;
        assert!(deaf.is_signed_in().await);
        deaf.until("session.left('token') < 0").await;
        assert_eq!(first.call("/api/me").await["status"], 200);
        deaf.select().await;
        assert_eq!(deaf.call("/api/me").await["status"], 200);
        assert_eq!(server.recorder().count(REFRESH), 1);
        assert_eq!(first.token_id().await, deaf.token_id().await);
    })
    .await;
}

/// The other tab goes on after the timeout; the server's grace gives both the same successor.
#[tokio::test]
async fn a_lock_held_by_another_tab_delays_a_refresh_for_a_limited_time() {
    let server = Server::start(short_tokens());
    in_browser(async move |browser: Browser| {
        let tabs = browser.tabs(&server, 2, json!({ "lockTimeout": 1 })).await;
        tabs[0].until("session.left('token') < 0").await;
        server.recorder().fail(Some(Fault::Silence { below: REFRESH }));
        tabs[0].run::<()>("window.calls = Promise.all([call('/api/me')]); return null").await;
        server.recorder().reach(REFRESH, 1).await;
        tabs[1].run::<()>("window.calls = Promise.all([call('/api/me')]); return null").await;
        server.recorder().reach(REFRESH, 2).await;
        server.recorder().fail(None);
        assert_all_answered(&tabs, 1).await;
        assert_eq!(server.recorder().count(REFRESH), 2);
        let ids = [tabs[0].token_id().await, tabs[1].token_id().await];
        assert_eq!(ids[0], ids[1]);
    })
    .await;
}

/// On http there are no Web Locks.
#[tokio::test]
async fn without_locks_the_grace_of_the_server_gives_both_tabs_the_same_successor() {
    let server = Server::start(short_tokens());
    in_browser(async move |browser: Browser| {
        let page = server.url_at("app.test", "/page");
        let first = browser.open(&page).await;
        first.make_session(json!({})).await;
        assert!(first.run::<bool>("return navigator.locks === undefined").await);
        first.sign_in().await;
        let second = browser.open_tab(&page).await;
        second.make_session(json!({})).await;
        let tabs = [first, second];
        tabs[0].until("session.left('token') < 0").await;
        server.recorder().fail(Some(Fault::Silence { below: REFRESH }));
        for (at, tab) in tabs.iter().enumerate() {
            let calls =
                "window.calls = Promise.all([call('/api/me'), call('/api/me')]); return null";
            tab.run::<()>(calls).await;
            server.recorder().reach(REFRESH, at + 1).await;
        }
        server.recorder().fail(None);
        assert_all_answered(&tabs, 2).await;
        assert_eq!(tabs[0].token_id().await, tabs[1].token_id().await);
    })
    .await;
}

#[tokio::test]
async fn p23_a_refresh_that_fails_signs_nobody_out() {
    let mut server = Server::start(short_tokens());
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        tab.make_session(json!({})).await;
        tab.sign_in().await;
        tab.until("session.left('token') < 0").await;
        for status in [500, 503, 429, 400, 404] {
            let status = StatusCode::from_u16(status).expect("a status");
            server.recorder().fail(Some(Fault::Status { below: REFRESH, status }));
            // The caller is told that the server failed, not that the user is signed out.
            assert_eq!(tab.call("/api/me").await["status"], status.as_u16());
            assert!(tab.is_signed_in().await, "{status}");
        }
        server.recorder().fail(None);
        browser.set_offline(true).await;
        let failed = "return call('/api/me').catch((error) => error.name)";
        assert_eq!(tab.run::<String>(failed).await, "TypeError");
        browser.set_offline(false).await;
        server.stop();
        assert_eq!(tab.run::<String>(failed).await, "TypeError");
        assert!(tab.is_signed_in().await);
        server.restart();
        assert_eq!(tab.call("/api/me").await["status"], 200, "the next call recovers");
    })
    .await;
}

#[tokio::test]
async fn p17_a_refresh_caused_by_a_background_request_says_so() {
    let server = Server::start(short_tokens());
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        tab.make_session(json!({})).await;
        tab.sign_in().await;
        for (init, activity) in [
            (json!({ "activity": "background" }), Some("background")),
            (json!({ "keepalive": true }), Some("background")),
            (json!({}), None),
        ] {
            server.recorder().forget();
            tab.until("session.left('token') < 0").await;
            tab.run::<Value>(&format!("return call('/api/me', {init})")).await;
            let refreshes = server.recorder().requests(REFRESH);
            assert_eq!(refreshes.len(), 1, "{init}");
            assert_eq!(refreshes[0].method, Method::POST);
            assert_eq!(refreshes[0].activity(), activity, "{init}");
            assert_eq!(server.recorder().requests("/api/me")[0].activity(), activity, "{init}");
        }
    })
    .await;
}

/// Somebody has a copy of a refresh token, and uses it after the browser has: every tab is told
/// within 5 s of the next request of any tab.
#[tokio::test]
async fn a_replayed_refresh_token_ends_the_session_in_every_tab() {
    let server = Server::start(short_tokens());
    in_browser(async move |browser: Browser| {
        let tabs = browser.tabs(&server, 3, json!({})).await;
        let stolen: Value = tabs[0].run(SIGN_IN_AND_SHOW_REFRESH_TOKEN).await;
        for _ in 0..2 {
            tabs[0].until("session.left('token') < 0").await;
            assert_eq!(tabs[0].call("/api/me").await["status"], 200);
        }
        let client = reqwest::Client::new();
        let replay = client.post(server.url(REFRESH)).json(&json!({ "refresh_token": stolen }));
        let answer = replay.send().await.expect("an answer");
        assert_eq!(answer.headers()["session-error"], "refresh_token_reused");

        assert_eq!(tabs[1].call("/api/me").await["status"], 401);
        let told = async {
            for tab in &tabs {
                let detail = tab.event("ended").await;
                assert_eq!(detail, json!({ "reason": "session_revoked" }));
                assert!(!tab.is_signed_in().await);
            }
        };
        tokio::time::timeout(Duration::from_secs(5), told).await.expect("within 5 s");
    })
    .await;
}

const SIGN_IN_AND_SHOW_REFRESH_TOKEN: &str = "
    const response = await fetch('/login', { method: 'POST',
      headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ user: 'ada' }) });
    const grant = await response.json();
    await session.start(grant);
    return grant.refresh_token";

/// With `checkEvery` no tab needs to send a request: the visible one asks.
#[tokio::test]
async fn a_visible_page_notices_a_revocation_by_itself() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tabs = browser.tabs(&server, 2, json!({ "checkEvery": 1, "pollStorage": 1 })).await;
        let token: String = tabs[1].run("return session.claims.sid").await;
        let client = reqwest::Client::new();
        let revoke = client.post(server.url("/public/revoke")).json(&json!({ "sid": token }));
        assert!(revoke.send().await.expect("an answer").status().is_success());
        let told = async {
            for tab in &tabs {
                assert_eq!(tab.event("ended").await, json!({ "reason": "session_revoked" }));
            }
        };
        tokio::time::timeout(BOUND, told).await.expect("in time");
    })
    .await;
}
