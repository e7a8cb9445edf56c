//! Renewed tokens are picked up; the newest of a session wins.

use serde_json::{Value, json};
use tower_sliding_session::request_class::Methods;

use crate::harness::{Browser, Server, Setup, in_browser, unsigned_token};

#[tokio::test]
async fn a_renewed_token_is_picked_up_and_handed_to_the_other_tab() {
    let server = Server::start(Setup::new(10, 10, 600));
    in_browser(async move |browser: Browser| {
        let first = browser.open(&server.url("/page")).await;
        first.make_session(json!({})).await;
        first.sign_in().await;
        let second = browser.open_tab(&server.url("/page")).await;
        second.make_session(json!({})).await;
        let old = first.token_id().await;
        assert_eq!(second.token_id().await, old, "handed over");

        first.until("session.left('token') < 5").await;
        assert_eq!(first.call("/api/me").await["status"], 200);
        let new = first.token_id().await;
        assert_ne!(new, old);
        second.event("renewed").await;
        assert_eq!(second.token_id().await, new);
        assert!(first.run::<bool>("return session.lastRenewal >= session.lastActivity").await);
        assert_eq!(server.recorder().count("/auth/refresh"), 0);

        // Nothing is stored: the other tab hands the session over again.
        second.reload().await;
        second.make_session(json!({})).await;
        assert_eq!(second.token_id().await, new);
    })
    .await;
}

/// Every write renews, no read does, and neither sign-in nor sign-out is touched.
#[tokio::test]
async fn where_only_writes_renew_a_read_changes_no_token() {
    let setup = Setup::patient().with_each_renewal();
    let server = Server::start(setup.with(|it| it.classify(Methods::reads_are_background())));
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        tab.make_session(json!({})).await;
        tab.sign_in().await;
        let first = tab.token_id().await;
        // Of two tokens of one second neither is the newer one.
        tab.until("Date.now() / 1000 >= session.claims.iat + 1").await;
        assert_eq!(tab.call("/api/me").await["status"], 200);
        assert_eq!(tab.token_id().await, first, "a read");
        let write = "return call('/api/echo', { method: 'POST', body: 'text' })";
        assert_eq!(tab.run::<Value>(write).await["status"], 200);
        assert_ne!(tab.token_id().await, first, "a write");
        assert!(tab.run::<bool>("return session.signOut()").await);
        assert!(!tab.is_signed_in().await);
        assert_eq!(tab.event("ended").await, json!({ "reason": "signed_out" }));
    })
    .await;
}

/// 20 renewals whose responses arrive out of order, in each of two tabs.
#[tokio::test]
async fn p08_after_parallel_renewals_both_tabs_hold_the_newest_token() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let first = browser.open(&server.url("/page")).await;
        first.make_session(json!({})).await;
        first.sign_in().await;
        let second = browser.open_tab(&server.url("/page")).await;
        second.make_session(json!({})).await;
        let sid: String = first.run("return session.id").await;
        for (tab, begin) in [(&first, 2_000_000_000), (&second, 2_000_000_010)] {
            let tokens: Vec<String> =
                (0..20).map(|n| same_session(&sid, begin + n * 7 % 20, 10)).collect();
            let tokens = json!(tokens);
            tab.run::<Value>(&format!("await Promise.all({tokens}.map(receive))")).await;
        }
        for tab in [&first, &second] {
            tab.until("session.claims.iat === 2000000029").await;
        }
    })
    .await;
}

#[tokio::test]
async fn p08_the_newest_token_of_the_session_wins() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        tab.make_session(json!({})).await;
        for (iat, life, wins) in [
            (2_000_000_001, 50, true),
            (2_000_000_000, 101, true),
            (2_000_000_000, 99, false),
            (1_999_999_999, 200, false),
        ] {
            tab.sign_in().await;
            let sid: String = tab.run("return session.id").await;
            for token in [same_session(&sid, 2_000_000_000, 100), same_session(&sid, iat, life)] {
                tab.run::<Value>(&format!("return receive('{token}')")).await;
            }
            let exp = if wins { iat + life } else { 2_000_000_100 };
            let held: u64 = tab.run("return session.claims.exp").await;
            assert_eq!(held, exp, "{iat} {life}");
        }
        // What is no token changes nothing.
        for text in ["x", "a.b.c", "e30.e30"] {
            tab.run::<Value>(&format!("return receive('{text}')")).await;
        }
        assert_eq!(tab.run::<u64>("return session.claims.iat").await, 2_000_000_000);
        // Of another session only if it began later.
        for (auth_time, wins) in [(1_500_000_000_u64, false), (2_100_000_000, true)] {
            let claims = json!({
                "sid": "another", "auth_time": auth_time, "iat": auth_time, "exp": auth_time + 9,
            });
            let token = unsigned_token(&claims);
            tab.run::<Value>(&format!("return receive('{token}')")).await;
            assert_eq!(tab.run::<String>("return session.id").await == "another", wins);
        }
    })
    .await;
}

/// A token of the session `sid`.
fn same_session(sid: &str, iat: u64, life: u64) -> String {
    let auth_time = 2_000_000_000;
    let claims = json!({ "sid": sid, "auth_time": auth_time, "iat": iat, "exp": iat + life });
    unsigned_token(&claims)
}

/// The token arrives after its user has signed out.
#[tokio::test]
async fn p04_a_late_response_revives_no_session() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        tab.make_session(json!({})).await;
        tab.sign_in().await;
        let sid: String = tab.run("return session.id").await;
        let token = same_session(&sid, 2_000_000_000, 100);
        let call = format!("window.late = call('/public/held?token={token}')");
        tab.run::<()>(&format!("{call}; return null")).await;
        server.recorder().reach("/public/held", 1).await;
        assert!(tab.run::<bool>("return session.signOut()").await, "the server answers");
        server.recorder().release();
        assert_eq!(tab.run::<Value>("return late").await["status"], 200);
        assert!(!tab.is_signed_in().await);
        assert_eq!(tab.events().await, ["signedin", "ended"]);
    })
    .await;
}
