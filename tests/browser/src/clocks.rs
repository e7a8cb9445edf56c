//! Clocks that jump, pages that sleep. No timer ends a session: it asks.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::{Browser, Fault, Server, Setup, in_browser, in_browser_alone};

const CHECK: &str = "/auth/session";
/// The clock of the page is changed by this many seconds.
fn change_clock(seconds: i64) -> String {
    format!(
        "window.realNow ??= Date.now.bind(Date);
         Date.now = () => realNow() + {seconds} * 1000"
    )
}

#[tokio::test]
async fn a_changed_clock_asks_once_and_signs_nobody_out() {
    let server = Server::start(Setup::new(3000, 3000, 6000));
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({ "pollStorage": 1 })).await;
        for (at, seconds) in [3600, -3600, 0].into_iter().enumerate() {
            let left = format!("{}; return session.left('idle')", change_clock(seconds));
            assert!(tab.run::<f64>(&left).await <= 3000.0, "no clock gives time");
            server.recorder().reach(CHECK, at + 1).await;
            // The answer puts the limits right; the clocks are looked at again, and nothing is asked.
            tab.until("session.left('idle') > 2900 && session.left('idle') <= 3000").await;
            let later = "window.later = performance.now() + 2500; return null";
            tab.run::<()>(later).await;
            tab.until("performance.now() > later").await;
            assert_eq!(server.recorder().count(CHECK), at + 1, "{seconds}");
            assert!(tab.is_signed_in().await);
            // What the server says from now on counts, though it is earlier than what it said before.
            tab.until("session.left('idle') < 2997").await;
            assert_eq!(tab.call("/api/me").await["status"], 200);
            tab.until("session.left('idle') > 2997").await;
        }
    })
    .await;
}

/// The answer to the request that was sent first arrives last: the deadline was another one then.
#[tokio::test]
async fn an_old_answer_moves_no_deadline() {
    let server = Server::start(Setup::new(3000, 3000, 6000));
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({})).await;
        let held = "/public/held?expires=idle=10,absolute=20";
        tab.run::<()>(&format!("window.late = call('{held}'); return null")).await;
        server.recorder().reach("/public/held", 1).await;
        assert_eq!(tab.call("/api/me").await["status"], 200);
        server.recorder().release();
        assert_eq!(tab.run::<Value>("return late").await["status"], 200);
        let left: f64 = tab.run("return session.left('idle')").await;
        assert!(left > 2900.0, "{left}");
        assert!(!tab.events().await.contains(&"warning".to_owned()));
        // Sent later, the same answer counts.
        tab.call(held).await;
        assert_eq!(tab.event("warning").await["limit"], "idle");
    })
    .await;
}

/// The server does not answer while a deadline passes.
#[tokio::test]
async fn questions_to_a_server_that_does_not_answer_become_rare() {
    let server = Server::start(Setup::new(600, 600, 6000));
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({ "pollStorage": 1 })).await;
        let status = StatusCode::SERVICE_UNAVAILABLE;
        server.recorder().fail(Some(Fault::Status { below: CHECK, status }));
        tab.run::<()>(&change_clock(3600)).await;
        server.recorder().reach(CHECK, 1).await;
        let first = Instant::now();
        server.recorder().reach(CHECK, 3).await;
        // After the first 2 s, after the second 4 s.
        assert!(first.elapsed().as_secs() >= 5, "{:?}", first.elapsed());
        assert_eq!(tab.event("overdue").await, json!({ "limit": "idle" }));
        assert!(tab.is_signed_in().await);
        server.recorder().fail(None);
        tab.run::<()>("window.dispatchEvent(new Event('online'))").await;
        tab.until("session.left('idle') > 500").await;
    })
    .await;
}

#[tokio::test]
async fn a_page_that_was_frozen_past_its_end_ends_when_it_wakes() {
    let server = Server::start(Setup::new(60, 4, 600));
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({ "warn": { "before": 0 } })).await;
        let front = browser.open_tab(&server.url("/page")).await;
        tab.freeze().await;
        let before = server.recorder().count(CHECK);
        front.run::<()>("window.later = performance.now() + 5000; return null").await;
        front.until("performance.now() > later").await;
        assert_eq!(server.recorder().count(CHECK), before, "nothing runs");
        tab.thaw().await;
        assert_eq!(tab.event("ended").await, json!({ "reason": "session_expired_idle" }));
    })
    .await;
}

/// The others have refreshed twice meanwhile: an old refresh token would end the session.
#[tokio::test]
async fn a_page_that_was_frozen_sends_no_old_refresh_token() {
    let server = Server::start(Setup::new(3, 600, 6000).without_renewal().with_refresh_tokens());
    // The other tab answers within a tenth of a second.
    in_browser_alone(async move |browser: Browser| {
        let sleeper = browser.open(&server.url("/page")).await;
        sleeper.run::<()>(SLEEP_AND_CALL).await;
        sleeper.make_session(json!({})).await;
        sleeper.sign_in().await;
        let other = browser.open_tab(&server.url("/page")).await;
        other.make_session(json!({})).await;
        let tabs = [sleeper, other];
        tabs[0].freeze().await;
        for _ in 0..2 {
            tabs[1].until("session.left('token') < 0").await;
            assert_eq!(tabs[1].call("/api/me").await["status"], 200);
        }
        tabs[1].until("session.left('token') < 0").await;
        tabs[0].thaw().await;
        assert_eq!(tabs[0].run::<Value>("return first").await["status"], 200);
        assert_eq!(tabs[1].call("/api/me").await["status"], 200);
        let of = async |tab: usize| tabs[tab].run::<f64>("return session.left('idle')").await;
        let difference = (of(0).await - of(1).await).abs();
        assert!(difference < 3.0, "messages are as old as they are: {difference}");
    })
    .await;
}

/// The page runs again while it stays hidden, so that `resume` alone tells; it calls at once, before
/// what has queued up meanwhile is delivered.
const SLEEP_AND_CALL: &str = "
    loseMessagesOfSleep();
    for (const type of ['focus', 'visibilitychange']) {
      addEventListener(type, (event) => event.stopImmediatePropagation(), true);
    }
    document.addEventListener('resume', () => { window.first = call('/api/me'); })";

#[tokio::test]
async fn a_page_from_the_back_forward_cache_learns_of_a_sign_out() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tabs = browser.tabs(&server, 2, json!({})).await;
        tabs[0].run::<()>("window.isCached = true").await;
        tabs[0].leave(&server.url("/sign-in")).await;
        assert!(tabs[1].run::<bool>("return session.signOut()").await);
        tabs[0].go_back().await;
        assert!(tabs[0].run::<bool>("return window.isCached === true").await, "from the cache");
        let reason = tabs[0].event("ended").await;
        assert_eq!(reason, json!({ "reason": "session_revoked" }));
        assert!(!tabs[0].run::<Value>("return session.signedIn").await.as_bool().expect("a bool"));
    })
    .await;
}

/// What the guide says of pages with private data: hidden until the server has answered.
#[tokio::test]
async fn a_page_from_the_back_forward_cache_is_hidden_until_the_server_has_answered() {
    for is_signed_out in [false, true] {
        let server = Server::start(Setup::patient());
        in_browser(async move |browser: Browser| {
            let tab = browser.signed_in(&server, json!({ "shareTabs": false })).await;
            tab.run::<()>(HIDE_UNTIL_CHECKED).await;
            tab.leave(&server.url("/sign-in")).await;
            server.recorder().fail(Some(Fault::Silence { below: CHECK }));
            tab.go_back().await;
            server.recorder().reach(CHECK, 1).await;
            assert!(!tab.run::<bool>("return document.body.checkVisibility()").await);
            assert!(tab.is_signed_in().await, "not decided yet");
            if is_signed_out {
                let sid: String = tab.run("return session.id").await;
                let revoke = reqwest::Client::new().post(server.url("/public/revoke"));
                let answer = revoke.json(&json!({ "sid": sid })).send().await.expect("an answer");
                assert!(answer.status().is_success());
            }
            server.recorder().fail(None);
            tab.until("document.body.checkVisibility()").await;
            assert_eq!(tab.is_signed_in().await, !is_signed_out);
            let seen: Vec<bool> = tab.run("return seen").await;
            assert!(!seen.contains(&true), "{seen:?}: shown while nobody knew");
        })
        .await;
    }
}

/// `seen`: whether the page was visible, for each frame until the server has answered.
const HIDE_UNTIL_CHECKED: &str = "
    window.seen = [];
    addEventListener('pageshow', async ({ persisted }) => {
      if (!persisted) return;
      document.body.hidden = true;
      let isChecked = false;
      const look = () => {
        if (isChecked) return;
        seen.push(document.body.checkVisibility());
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
      await session.check();
      isChecked = true;
      document.body.hidden = false;
    })";
