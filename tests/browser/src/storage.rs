//! Where the token is kept, and who shares it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Browser, Server, Setup, in_browser};

#[tokio::test]
async fn local_storage_outlives_a_reload_and_is_shared() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let options = json!({ "storage": "local" });
        let tabs = browser.tabs(&server, 2, options.clone()).await;
        let token = tabs[0].token_id().await;
        tabs[1].close().await;
        tabs[0].until("session.left('absolute') < 43197").await;
        tabs[0].reload().await;
        tabs[0].make_session(options).await;
        assert_eq!(tabs[0].token_id().await, token);
        let left: f64 = tabs[0].run("return session.left('absolute')").await;
        assert!((43_000.0..43_197.0).contains(&left), "as old as it is: {left}");
        let left: f64 = tabs[0].run("return session.left('token')").await;
        assert!((3400.0..3597.0).contains(&left), "and its token, too: {left}");
        assert_eq!(tabs[0].call("/api/me").await["status"], 200);
    })
    .await;
}

#[tokio::test]
async fn memory_is_gone_with_the_last_tab() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({})).await;
        tab.reload().await;
        tab.make_session(json!({})).await;
        assert!(!tab.is_signed_in().await);
        assert_eq!(tab.run::<usize>("return localStorage.length").await, 0);
    })
    .await;
}

#[tokio::test]
async fn tabs_that_do_not_share_have_sessions_of_their_own() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tabs = browser.tabs(&server, 2, json!({ "shareTabs": false })).await;
        assert!(!tabs[1].is_signed_in().await);
        tabs[1].sign_in().await;
        assert!(tabs[1].run::<bool>("return session.signOut()").await);
        assert_eq!(tabs[0].call("/api/me").await["status"], 200);
    })
    .await;
}

#[tokio::test]
async fn a_token_removed_by_hand_is_noticed_within_5_s() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tabs = browser.tabs(&server, 2, json!({ "storage": "local" })).await;
        tabs[0].run::<()>("localStorage.removeItem('session')").await;
        // One more second for the commands of this test.
        let noticed = async {
            for tab in &tabs {
                assert_eq!(tab.event("ended").await, json!({ "reason": "signed_out" }));
            }
        };
        tokio::time::timeout(Duration::from_secs(6), noticed).await.expect("in time");
    })
    .await;
}

#[tokio::test]
async fn a_full_or_refused_storage_leaves_the_session_in_memory() {
    let server = Server::start(Setup::new(10, 10, 600));
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        tab.run::<()>(
            "let size = 1 << 22;
             for (let n = 0; size > 0; n += 1) {
               try { localStorage.setItem(n, 'x'.repeat(size)); } catch { size >>= 1; }
             }",
        )
        .await;
        tab.make_session(json!({ "storage": "local", "pollStorage": 1 })).await;
        tab.sign_in().await;
        assert_eq!(tab.run::<Value>("return localStorage.getItem('session')").await, Value::Null);
        let token = tab.token_id().await;
        tab.until("session.left('token') < 5").await;
        assert_eq!(tab.call("/api/me").await["status"], 200);
        assert_ne!(tab.token_id().await, token, "renewed");
        assert!(!tab.events().await.contains(&"ended".to_owned()));
    })
    .await;
}

/// What another script has stored under the same key is no session, and does no harm.
#[tokio::test]
async fn a_foreign_value_in_the_storage_is_ignored() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        for value in
            ["", "x", "5", "null", "{}", "[]", r#"{"sid":"x"}"#, r#"{"sid":1,"limits":{}}"#]
        {
            let store = format!("localStorage.setItem('session', {})", json!(value));
            tab.run::<()>(&format!("globalThis.session?.destroy(); {store}")).await;
            tab.make_session(json!({ "storage": "local" })).await;
            tab.sign_in().await;
            assert_eq!(tab.call("/api/me").await["status"], 200, "{value}");
            assert!(tab.run::<bool>("return session.signOut()").await);
        }
    })
    .await;
}
