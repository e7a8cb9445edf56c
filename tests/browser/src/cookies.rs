//! A session in a cookie, which no script can read; and pages of another origin.

use serde_json::{Value, json};
use tower_sliding_session::SessionCookie;

use crate::harness::{Browser, Server, Setup, Tab, in_browser};

/// The cookie of a server without TLS.
fn with_cookie(setup: Setup) -> Setup {
    setup.with(|builder| {
        let cookie = SessionCookie::new().dangerous_insecure();
        builder.session_cookie(cookie).bearer()
    })
}

fn options() -> Value {
    json!({ "storage": "cookie", "pollStorage": 1 })
}

async fn sign_in(tab: &Tab) {
    tab.run::<()>("await signIn('ada', '/login/cookie')").await;
}

#[tokio::test]
async fn no_script_sees_the_token() {
    let server = Server::start(with_cookie(Setup::new(10, 10, 600)));
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        tab.make_session(options()).await;
        assert!(!tab.is_signed_in().await);
        sign_in(&tab).await;
        let id: String = tab.run("return session.id").await;
        assert_eq!(tab.call("/api/me").await["status"], 200);
        let seen: String = tab
            .run(
                "return JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage },
                   session.claims, document.documentElement.outerHTML, events])",
            )
            .await;
        assert!(!seen.contains("eyJ"), "{seen}");
        // Renewed by its cookie, as long as the user is active.
        for _ in 0..2 {
            tab.until("session.left('idle') < 5").await;
            assert_eq!(tab.call("/api/me").await["status"], 200);
        }
        tab.reload().await;
        tab.make_session(options()).await;
        assert_eq!(tab.run::<String>("return session.id").await, id);
        let second = browser.open_tab(&server.url("/page")).await;
        second.make_session(options()).await;
        assert_eq!(second.run::<String>("return session.id").await, id);
        assert_eq!(tab.event("ended").await, json!({ "reason": "session_expired_idle" }));
    })
    .await;
}

#[tokio::test]
async fn a_sign_out_without_the_server_is_made_up_for() {
    let mut server = Server::start(with_cookie(Setup::patient()));
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        tab.make_session(options()).await;
        sign_in(&tab).await;
        server.stop();
        assert!(!tab.run::<bool>("return session.signOut()").await);
        assert!(!tab.is_signed_in().await);
        server.restart();
        // The cookie is still there.
        tab.reload().await;
        tab.make_session(options()).await;
        assert!(!tab.is_signed_in().await);
        assert_eq!(server.recorder().count("/logout"), 1);
        assert_eq!(tab.call("/api/me").await["status"], 401, "the server has signed out, too");
        sign_in(&tab).await;
        assert!(tab.is_signed_in().await);
    })
    .await;
}

/// A late 401 of an old cookie: the browser has a newer one by then.
#[tokio::test]
async fn a_rejection_is_confirmed_before_it_ends_the_session() {
    let server = Server::start(with_cookie(Setup::patient()));
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        tab.make_session(options()).await;
        sign_in(&tab).await;
        let answer = tab.call("/public/reject/token_expired").await;
        assert_eq!(answer["status"], 401);
        assert!(tab.is_signed_in().await);
        assert_eq!(tab.call("/api/me").await["status"], 200);
    })
    .await;
}

#[tokio::test]
async fn a_stale_cookie_gives_the_reason() {
    let server = Server::start(with_cookie(Setup::new(60, 2, 600)));
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        tab.make_session(options()).await;
        sign_in(&tab).await;
        tab.leave(&server.url("/sign-in")).await;
        // The page asks without the module, and the question is no activity.
        let until_refused = "while ((await fetch('/auth/session')).status !== 401) {
               await new Promise((next) => setTimeout(next, 50));
             }";
        tab.run::<()>(until_refused).await;
        tab.go_to(&server.url("/page")).await;
        tab.make_session(options()).await;
        assert!(!tab.is_signed_in().await);
        assert_eq!(tab.run::<String>("return session.reason").await, "session_expired_idle");
    })
    .await;
}

#[tokio::test]
async fn p26_a_page_of_another_origin_renews_with_tokens() {
    let api = Server::start(Setup::new(10, 60, 600).with_refresh_tokens());
    let pages = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let from = api.url("");
        let tab = browser.open(&pages.url_at("127.0.0.1", &format!("/page?from={from}"))).await;
        tab.make_session(json!({ "base": from })).await;
        tab.sign_in().await;
        let token = tab.token_id().await;
        tab.until("session.left('token') < 5").await;
        assert_eq!(tab.call("/api/me").await["status"], 200);
        assert_ne!(tab.token_id().await, token, "picked up");
        tab.until("session.left('token') < 0").await;
        assert_eq!(tab.call("/api/me").await["status"], 200);
        assert_eq!(api.recorder().count("/auth/refresh"), 1);
        assert!(tab.run::<f64>("return session.left('idle')").await > 50.0, "Session-Expires");
        let answer = tab.call("/public/reject/session_revoked").await;
        assert_eq!(answer["code"], "session_revoked");
        assert_eq!(tab.event("ended").await, json!({ "reason": "session_revoked" }));
    })
    .await;
}

#[tokio::test]
async fn p26_a_page_of_another_origin_renews_with_a_cookie() {
    let api = Server::start(with_cookie(Setup::new(10, 10, 600)));
    let pages = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let from = api.url("");
        let tab = browser.open(&pages.url(&format!("/page?from={from}"))).await;
        let mut options = options();
        options["base"] = json!(from);
        tab.make_session(options).await;
        sign_in(&tab).await;
        for _ in 0..3 {
            tab.until("session.left('idle') < 5").await;
            assert_eq!(tab.call("/api/me").await["status"], 200);
        }
        assert!(tab.run::<bool>("return session.signOut()").await);
        assert_eq!(tab.call("/api/me").await["status"], 401);
    })
    .await;
}

/// What `session.d.ts` declares is there, and nothing else.
#[tokio::test]
async fn the_declarations_are_those_of_the_module() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let types = tower_sliding_session::client::browser::SESSION_TYPES;
        let tab = browser.open(&server.url("/page")).await;
        tab.make_session(json!({})).await;
        let exports: Vec<String> = tab.run("return Object.keys(module).sort()").await;
        assert_eq!(exports, ["Session", "claimsOf", "parseExpires", "reasonFrom"]);
        let members: Vec<String> = tab
            .run(
                "return [...Object.keys(session), ...Object.getOwnPropertyNames(Session.prototype)]
                   .filter((name) => name !== 'constructor')",
            )
            .await;
        let class = types.split("export class Session ").nth(1).expect("the class");
        let class = class.split("\n}").next().expect("its end");
        let declared = |name: &str| {
            class.contains(&format!("  readonly {name}: ")) || class.contains(&format!("  {name}("))
        };
        for name in &members {
            assert!(declared(name), "{name} is not declared");
        }
        assert_eq!(members.len(), class.matches("  readonly ").count() + 9, "{members:?}");
    })
    .await;
}
