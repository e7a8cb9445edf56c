//! The warning before an end, and its dialog.

use serde_json::{Value, json};
use thirtyfour::Key;

use crate::harness::{Browser, Fault, Server, Setup, Tab, assert_accessible, in_browser};

/// Warned three seconds before the end of eight.
fn options() -> Value {
    json!({ "warn": { "atLeast": 3 }, "pollStorage": 1, "signIn": "/sign-in" })
}

fn idle_server() -> Server {
    Server::start(Setup::new(600, 8, 600))
}

fn absolute_server() -> Server {
    Server::start(Setup::new(8, 8, 8))
}

async fn is_open(tab: &Tab) -> bool {
    tab.run("return document.querySelector('session-warning dialog').open").await
}

async fn focused(tab: &Tab) -> String {
    tab.run(
        "const { id, localName, textContent } = document.activeElement;
         return id || (localName === 'button' ? textContent : localName)",
    )
    .await
}

async fn visible_buttons(tab: &Tab) -> Vec<String> {
    tab.run(
        "return [...document.querySelectorAll('session-warning button')]
           .filter((button) => button.checkVisibility()).map((button) => button.textContent)",
    )
    .await
}

async fn press(tab: &Tab, key: Key) {
    tab.select().await;
    let keys = tab.browser.keyboard().send_keys(key);
    keys.perform().await.expect("the key is pressed");
}

#[tokio::test]
async fn staying_moves_the_deadline_and_closes_the_dialog_in_every_tab() {
    let server = idle_server();
    in_browser(async move |browser: Browser| {
        let tabs = browser.tabs(&server, 2, options()).await;
        for tab in &tabs {
            tab.run::<()>("document.getElementById('note').focus(); showWarnings()").await;
        }
        let warned = tabs[0].event("warning").await;
        assert_eq!(warned["limit"], "idle");
        let left = warned["left"].as_f64().expect("a number");
        assert!((1.0..=3.0).contains(&left), "{left}");
        tabs[1].event("warning").await;
        assert!(is_open(&tabs[0]).await && is_open(&tabs[1]).await);
        assert_eq!(focused(&tabs[0]).await, "Stay signed in");
        let title: String = tabs[0].run("return document.title").await;
        assert!(title.starts_with("(0:0") && title.ends_with(") Documents"), "{title}");

        server.recorder().forget();
        press(&tabs[0], Key::Enter).await;
        for (at, tab) in tabs.iter().enumerate() {
            tab.event("warningend").await;
            assert!(!is_open(tab).await);
            assert_eq!(tab.run::<String>("return document.title").await, "Documents");
            assert_eq!(focused(tab).await, "note", "the focus is back in tab {at}");
        }
        let checks = server.recorder().requests("/auth/session");
        assert!(checks.iter().any(|check| check.activity() == Some("user")));
        assert!(tabs[0].run::<f64>("return session.left('idle')").await > 3.0);
    })
    .await;
}

#[tokio::test]
async fn escape_dismisses_the_warning_of_this_deadline() {
    let server = idle_server();
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, options()).await;
        let keep = "showWarnings(); session.addEventListener('ended', (e) => e.preventDefault())";
        tab.run::<()>(keep).await;
        tab.event("warning").await;
        press(&tab, Key::Escape).await;
        assert!(!is_open(&tab).await);
        assert_eq!(tab.event("ended").await, json!({ "reason": "session_expired_idle" }));
        let warnings = tab.events().await.iter().filter(|event| *event == "warning").count();
        assert_eq!(warnings, 1, "once per deadline");
        assert!(!is_open(&tab).await);
    })
    .await;
}

#[tokio::test]
async fn before_the_absolute_end_the_user_is_asked_to_sign_in_again() {
    let server = absolute_server();
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, options()).await;
        tab.run::<()>("showWarnings()").await;
        assert_eq!(tab.event("warning").await["limit"], "absolute");
        assert_eq!(focused(&tab).await, "Sign in again");
        assert_eq!(visible_buttons(&tab).await, ["Sign in again", "Close"]);
        press(&tab, Key::Enter).await;
        server.recorder().reach("/sign-in", 1).await;
        assert_eq!(server.recorder().requests("/sign-in")[0].query, "next=%2Fpage");
    })
    .await;
}

#[tokio::test]
async fn a_user_who_cannot_stay_is_told_so() {
    let server = idle_server();
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, options()).await;
        tab.run::<()>("showWarnings()").await;
        tab.event("warning").await;
        server.recorder().fail(Some(Fault::Silence { below: "/auth/" }));
        press(&tab, Key::Enter).await;
        // The button is disabled meanwhile, and loses the focus.
        tab.until("document.querySelector('[data-stay]').disabled").await;
        tab.until("!document.activeElement.matches('[data-stay]')").await;
        let status = axum::http::StatusCode::SERVICE_UNAVAILABLE;
        server.recorder().fail(Some(Fault::Status { below: "/auth/", status }));
        tab.until("document.querySelector('[data-failed]').checkVisibility()").await;
        assert_eq!(focused(&tab).await, "Stay signed in");
        assert!(tab.is_signed_in().await);
    })
    .await;
}

/// The page's own words, and buttons that its style would show.
#[tokio::test]
async fn the_page_may_write_the_dialog_itself() {
    let server = idle_server();
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, options()).await;
        tab.run::<()>(
            "document.head.append(Object.assign(document.createElement('style'),
               { textContent: 'button { display: block; }' }));
             const own = document.createElement('session-warning');
             own.setAttribute('tab-title', '{left} left');
             own.innerHTML = '<h2>Still there?</h2><span data-left></span>'
               + '<button data-dismiss>No</button>'
               + '<button data-limit=absolute data-signin>Again</button>'
               + '<button data-limit=idle data-stay>Yes</button>';
             document.body.append(own);
             showWarnings()",
        )
        .await;
        tab.event("warning").await;
        assert_eq!(focused(&tab).await, "Yes");
        let name: String = tab
            .run(
                "const dialog = document.querySelector('session-warning dialog');
                 return document.getElementById(dialog.getAttribute('aria-labelledby')).textContent",
            )
            .await;
        assert_eq!(name, "Still there?");
        assert!(tab.run::<String>("return document.title").await.ends_with(" left"));
        assert_eq!(visible_buttons(&tab).await, ["No", "Yes"]);
        press(&tab, Key::Enter).await;
        tab.event("warningend").await;
    })
    .await;
}

/// WCAG 2.2.1: 20 s at least, wherever the session is long enough.
#[tokio::test]
async fn the_lead_of_the_warning_follows_the_length_of_the_session() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        let status = axum::http::StatusCode::SERVICE_UNAVAILABLE;
        server.recorder().fail(Some(Fault::Status { below: "/auth/session", status }));
        for (full, lead) in [(43_200, 300), (1200, 300), (600, 150), (60, 20), (30, 20), (15, 10)] {
            let warned: Vec<Value> = tab
                .run(&format!(
                    "Date.now = window.realNow ??= Date.now.bind(Date);
                     globalThis.session?.destroy();
                     await makeSession({{ name: 'lead-{full}' }});
                     const grant = {{ session_id: 'x', access_token: 'e30.e30.x',
                       idle_expires_in: {full}, absolute_expires_in: 100000 }};
                     await session.start(grant);
                     const warned = [];
                     for (const left of [{lead} + 1, {lead} - 1]) {{
                       Date.now = () => realNow() + ({full} - left) * 1000;
                       window.dispatchEvent(new Event('focus'));
                       warned.push(session.warning);
                     }}
                     return warned"
                ))
                .await;
            assert_eq!(warned, [Value::Null, json!("idle")], "{full}: {lead}");
        }
    })
    .await;
}

/// What a visitor sees, in `target/screens`, and what axe-core finds in it.
#[tokio::test]
async fn every_state_of_the_dialog_is_accessible() {
    for (state, server) in [("idle", idle_server()), ("absolute", absolute_server())] {
        in_browser(async move |browser: Browser| {
            let tab = browser.signed_in(&server, options()).await;
            tab.run::<()>("showWarnings()").await;
            assert_accessible(&tab).await;
            tab.event("warning").await;
            // The page stays as it is while it is looked at.
            tab.run::<()>("session.destroy()").await;
            assert_accessible(&tab).await;
            for look in ["light", "dark", "phone"] {
                tab.show_as(look).await;
                tab.screenshot(&format!("warning-{state}-{look}")).await;
            }
            if state == "idle" {
                let fail = "document.querySelector('session-warning').session = null;
                    const dialog = document.querySelector('session-warning dialog');
                    dialog.showModal();
                    const failed = dialog.querySelector('[data-failed]');
                    failed.hidden = false;
                    failed.style.display = ''";
                tab.run::<()>(fail).await;
                assert_accessible(&tab).await;
                tab.screenshot("warning-failed-phone").await;
            }
        })
        .await;
    }
}
