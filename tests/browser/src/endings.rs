//! What ends a session, what does not, and who is told why.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Browser, Fault, Server, Setup, in_browser, unsigned_token};

#[tokio::test]
async fn an_idle_session_ends_at_the_sign_in_page_with_the_reason() {
    let server = Server::start(Setup::new(60, 3, 600));
    in_browser(async move |browser: Browser| {
        let options =
            json!({ "signIn": "/sign-in?from=app", "warn": { "atLeast": 0, "share": 0 } });
        browser.signed_in(&server, options).await;
        server.recorder().reach("/sign-in", 1).await;
        let query = &server.recorder().requests("/sign-in")[0].query;
        assert_eq!(query, "from=app&reason=session_expired_idle&next=%2Fpage");
    })
    .await;
}

#[tokio::test]
async fn the_absolute_end_is_told_apart() {
    let server = Server::start(Setup::new(3, 3, 3));
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({})).await;
        let reason = tab.event("ended").await;
        assert_eq!(reason, json!({ "reason": "session_expired_absolute" }));
        assert_eq!(tab.events().await.last().expect("an event"), "ended");
    })
    .await;
}

/// Nobody sends a request: each tab has clocks of its own, and asks.
#[tokio::test]
async fn two_tabs_reach_an_idle_and_an_absolute_end_by_themselves() {
    for (setup, reason) in [
        (Setup::new(60, 3, 600), "session_expired_idle"),
        (Setup::new(3, 3, 3), "session_expired_absolute"),
    ] {
        let server = Server::start(setup);
        in_browser(async move |browser: Browser| {
            let tabs = browser.tabs(&server, 2, json!({ "pollStorage": 1 })).await;
            for tab in &tabs {
                assert_eq!(tab.event("ended").await, json!({ "reason": reason }));
                assert!(!tab.is_signed_in().await);
            }
            for tab in &tabs {
                let ends = tab.events().await.iter().filter(|event| *event == "ended").count();
                assert_eq!(ends, 1, "{reason}");
            }
        })
        .await;
    }
}

#[tokio::test]
async fn every_tab_is_told_of_an_end_and_keeps_the_reason_over_a_reload() {
    for storage in ["memory", "local"] {
        let server = Server::start(Setup::patient());
        in_browser(async move |browser: Browser| {
            let options = json!({ "storage": storage });
            let tabs = browser.tabs(&server, 2, options.clone()).await;
            let sid: String = tabs[0].run("return session.id").await;
            let revoke = format!(
                "await fetch('/public/revoke', {{ method: 'POST',
                   headers: {{ 'Content-Type': 'application/json' }}, body: '{{\"sid\":\"{sid}\"}}' }})"
            );
            tabs[0].run::<()>(&revoke).await;
            assert_eq!(tabs[0].call("/api/me").await["code"], "session_revoked");
            for tab in &tabs {
                assert_eq!(tab.event("ended").await, json!({ "reason": "session_revoked" }));
                tab.reload().await;
                tab.make_session(options.clone()).await;
                assert!(!tab.is_signed_in().await);
                let reason: String = tab.run("return session.reason").await;
                assert_eq!(reason, "session_revoked", "{storage}");
            }
            tabs[0].sign_in().await;
            assert_eq!(tabs[0].run::<Value>("return session.reason").await, Value::Null);
        })
        .await;
    }
}

/// A 401 of a server that is not ours, one without a token, and ours for another server.
#[tokio::test]
async fn other_rejections_end_nothing() {
    let server = Server::start(Setup::patient());
    let elsewhere = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({ "signIn": "/sign-in" })).await;
        let before = tab.token_id().await;
        assert_eq!(tab.call("/public/foreign-401").await["status"], 401);
        assert_eq!(tab.call("/public/reject/unknown_code").await["status"], 401);
        assert_eq!(tab.call("/public/reject/missing_token").await["status"], 401);
        let anonymous = "return call('/public/reject/session_revoked', { anonymous: true })";
        assert_eq!(tab.run::<Value>(anonymous).await["status"], 401);
        for answer in [
            "/public/reject/session_revoked".to_owned(),
            format!("/public/renewed-as/{}", of_later_session()),
        ] {
            let to = elsewhere.url_at("127.0.0.1", &answer);
            tab.call(&format!("/public/redirect?to={to}")).await;
            let path = answer.split('?').next().expect("a path");
            let arrived = &elsewhere.recorder().requests(path)[0];
            assert!(!arrived.has_token(), "{answer}");
        }
        assert!(tab.is_signed_in().await);
        assert_eq!(tab.token_id().await, before);

        // The same answer of our own server ends it. The script does not wait: the page leaves.
        tab.run::<()>("call('/public/reject/session_revoked')").await;
        server.recorder().reach("/sign-in", 1).await;
    })
    .await;
}

fn of_later_session() -> String {
    let later = 2_100_000_000_u64;
    unsigned_token(&json!({ "sid": "x", "auth_time": later, "iat": later, "exp": later + 60 }))
}

#[tokio::test]
async fn the_token_goes_below_the_base_and_nowhere_else() {
    let server = Server::start(Setup::patient());
    let elsewhere = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let options = json!({ "base": "/api", "activity": "declared" });
        let paths =
            json!({ "check": "/auth/session", "refresh": "/auth/refresh", "logout": "/logout" });
        let tab = browser.open(&server.url("/page")).await;
        tab.run::<()>(&format!("await makeSession({{ ...{options}, ...{paths} }})")).await;
        tab.sign_in().await;
        assert_eq!(tab.call("/api/me").await["status"], 200);
        assert!(server.recorder().requests("/api/me")[0].has_token());
        for path in ["/poll", "/apiary", "/api/../poll", "/api/%2e%2e/poll"] {
            tab.call(path).await;
        }
        let other = elsewhere.url("/api/me");
        tab.run::<()>(&format!("await session.fetch('{other}', {{ activity: 'user' }})")).await;
        assert_eq!(server.recorder().count("/poll"), 3);
        for request in [server.recorder().requests("/poll"), server.recorder().requests("/apiary")]
            .concat()
            .iter()
            .chain(&elsewhere.recorder().requests("/api/me"))
        {
            assert!(!request.has_token(), "{request:?}");
            assert_eq!(request.activity(), None);
        }
        assert!(tab.run::<bool>("return session.stay()").await, "its own routes are exempt");
        assert!(tab.run::<bool>("return session.signOut()").await);
    })
    .await;
}

#[tokio::test]
async fn a_sign_out_is_told_to_every_tab_also_if_the_server_is_away() {
    for is_away in [false, true] {
        let mut server = Server::start(Setup::patient());
        in_browser(async move |browser: Browser| {
            let tabs = browser.tabs(&server, 2, json!({})).await;
            if is_away {
                server.stop();
            }
            let is_done: bool = tabs[1].run("return session.signOut()").await;
            assert_eq!(is_done, !is_away);
            for tab in &tabs {
                assert_eq!(tab.event("ended").await, json!({ "reason": "signed_out" }));
                assert!(!tab.is_signed_in().await);
            }
        })
        .await;
    }
}

/// The page that a listener keeps, and the sign-in page itself.
#[tokio::test]
async fn no_page_is_left_against_its_will() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({ "signIn": "/sign-in" })).await;
        let prevent = "session.addEventListener('ended', (event) => event.preventDefault())";
        tab.run::<()>(prevent).await;
        tab.call("/public/reject/session_revoked").await;
        tab.event("ended").await;
        tab.reload().await;
        tab.make_session(json!({ "signIn": "/page" })).await;
        tab.sign_in().await;
        tab.call("/public/reject/session_revoked").await;
        tab.event("ended").await;
        assert_eq!(tab.call("/public/foreign-401").await["status"], 401);
        assert_eq!(server.recorder().count("/sign-in"), 0);
        assert_eq!(server.recorder().count("/page"), 2);
    })
    .await;
}

#[tokio::test]
async fn the_reason_in_an_address_is_a_known_one() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        for (query, reason) in [
            ("reason=session_expired_idle", json!("session_expired_idle")),
            ("reason=signed_out&next=%2F", json!("signed_out")),
            ("reason=%3Cimg%20src=x%20onerror=alert(1)%3E", Value::Null),
            ("reason=constructor", Value::Null),
            ("", Value::Null),
        ] {
            let read = format!("return reasonFrom('/sign-in?{query}')");
            assert_eq!(tab.run::<Value>(&read).await, reason, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn p23_no_failure_of_the_server_signs_anybody_out() {
    let mut server = Server::start(Setup::new(3, 600, 6000).with_refresh_tokens());
    in_browser(async move |browser: Browser| {
        let tabs = browser.tabs(&server, 2, json!({})).await;
        let failing =
            "return call('/api/me').then((answer) => answer.status, (error) => error.name)";
        for status in [500, 502, 503, 429] {
            let status = StatusCode::from_u16(status).expect("a status");
            server.recorder().fail(Some(Fault::Status { below: "/", status }));
            assert_eq!(tabs[0].run::<Value>(failing).await, json!(status.as_u16()));
            assert!(tabs[0].run::<bool>("return session.check()").await, "{status}");
            assert!(!tabs[0].run::<bool>("return session.stay()").await, "{status}");
        }
        server.recorder().fail(None);
        browser.set_offline(true).await;
        assert_eq!(tabs[0].run::<Value>(failing).await, json!("TypeError"));
        assert!(tabs[0].run::<bool>("return session.check()").await, "offline");
        browser.set_offline(false).await;

        // A request is dropped, and the tokens expire while the server is away.
        tabs[1]
            .run::<()>(
                "window.held = call('/public/held').catch((error) => error.name); return null",
            )
            .await;
        server.recorder().reach("/public/held", 1).await;
        server.stop();
        assert_eq!(tabs[1].run::<Value>("return held").await, json!("TypeError"));
        for tab in &tabs {
            tab.until("session.left('token') < 0").await;
            assert_eq!(tab.run::<Value>(failing).await, json!("TypeError"));
            assert!(tab.is_signed_in().await);
        }
        server.restart();
        for tab in &tabs {
            assert_eq!(tab.call("/api/me").await["status"], 200, "everybody goes on");
            assert!(!tab.events().await.contains(&"ended".to_owned()));
        }
    })
    .await;
}

#[tokio::test]
async fn a_step_up_is_answered_by_the_page_and_the_call_repeated() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({})).await;
        let transfer = "return call('/api/transfer', { method: 'POST', body: 'x' })";
        // The server measures from the millisecond of `epoch`, not from the second of `auth_time`.
        tab.until("Date.now() >= session.claims.epoch + 3000").await;
        let refused: Value = tab.run(transfer).await;
        assert_eq!(refused["code"], "recent_authentication_required");
        assert_eq!(tab.event("stepup").await["maxAge"], 3);
        assert!(tab.is_signed_in().await, "the session goes on");

        tab.run::<()>(
            "session.addEventListener('stepup', ({ detail }) => detail.respondWith((async () => {
               const answer = await session.fetch('/reauthenticate', { method: 'POST' });
               await session.start(await answer.json());
               return detail.retry();
             })()))",
        )
        .await;
        let before: String = tab.run("return session.id").await;
        let answer: Value = tab.run(transfer).await;
        assert_eq!(answer["status"], 200, "{answer}");
        assert_ne!(tab.run::<String>("return session.id").await, before, "a new session");
    })
    .await;
}
