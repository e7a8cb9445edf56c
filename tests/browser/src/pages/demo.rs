//! The page of the example `demo`.

use serde_json::json;

use super::{example::Example, page::Page, proxy::Proxy};
use crate::harness::{Browser, in_browser, in_browser_alone};

/// A normal session that ends within seconds.
const QUICK: [(&str, &str); 4] = [
    ("SESSION_IDLE_TIMEOUT", "8s"),
    ("SESSION_ABSOLUTE_TIMEOUT", "30s"),
    ("SESSION_TOKEN_LIFETIME", "3s"),
    ("SESSION_RENEW_MIN_INTERVAL", "0s"),
];

/// What is to be seen together: the clocks, the buttons and their effect.
const SEEN_TOGETHER: [&str; 5] = ["clocks", "counted", "background", "last", "timeline"];

/// What the timeline says to those who do not see it.
const SUMMARY: &str = "document.querySelector('#timeline svg').getAttribute('aria-label')";

/// What the page says of the token.
const NOTE: &str = "document.querySelector('.token .note').innerText";

struct Demo {
    _example: Example,
    proxy: Proxy,
    url: String,
}

impl Demo {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let example = Example::start("demo", settings);
        let (proxy, url) = Proxy::start(&example.url).await;
        Self { _example: example, proxy, url }
    }

    async fn open(&self, browser: &Browser) -> Page {
        let page = Page(browser.open(&self.url).await);
        page.until("shown('stage')").await;
        page
    }
}

async fn sign_in(page: &Page, profile: &str) {
    page.click(&format!("[value={profile}]")).await;
    page.click("#login .primary").await;
    page.until("shown('room')").await;
}

#[tokio::test]
async fn a_visitor_sees_a_renewal_within_ten_seconds() {
    let demo = Demo::start(&[]).await;
    in_browser(async move |browser: Browser| {
        let page = demo.open(&browser).await;
        assert_eq!(
            page.value::<String>("document.querySelector('[name=profile]:checked').value").await,
            "short"
        );
        page.look("demo-door").await;
        page.click("#login .primary").await;
        page.until("shown('room')").await;
        assert_eq!(page.text("room-title").await, "Signed in as ada");
        page.until(&format!("{NOTE}.startsWith('Due: ')")).await;
        page.click("#counted button").await;
        page.until("document.querySelector('#log .renewed')").await;
        let last = page.text("last").await;
        assert!(last.contains("Renewed: a token for 10 s. Idle timeout reset to 20 s."), "{last}");
        assert!(
            page.value::<bool>("document.querySelectorAll('#timeline .mark.renewed').length > 1")
                .await
        );
        let past: String = page.value(SUMMARY).await;
        assert!(past.contains("1 request, 1 new token"), "{past}");
        for (width, height) in [(1280, 720), (390, 844)] {
            page.resize(width, height).await;
            page.run::<()>("scrollTo(0, 0)").await;
            let ids: &[&str] = if width > 600 { &SEEN_TOGETHER } else { &SEEN_TOGETHER[..4] };
            assert!(page.are_in_view(ids).await, "{width} x {height}");
        }
        page.look("demo-room").await;
        page.click("#leave").await;
        page.until("shown('ended')").await;
        assert_eq!(page.text("ended-title").await, "You signed out");
        assert_eq!(page.value::<String>("document.activeElement.id").await, "ended-title");
        page.look("demo-ended").await;
    })
    .await;
}

#[tokio::test]
async fn p37_a_changed_role_is_in_the_next_request() {
    let demo = Demo::start(&[]).await;
    in_browser(async move |browser: Browser| {
        let page = demo.open(&browser).await;
        sign_in(&page, "normal").await;
        page.until("text('role') === 'reader'").await;
        assert_eq!(page.text("change-role").await, "Change to editor");
        page.look_at("demo-role-reader", "#change-role").await;
        page.run::<()>("document.getElementById('change-role').focus()").await;
        page.press("\u{e007}").await;
        page.until("text('role') === 'editor'").await;
        assert_eq!(page.text("change-role").await, "Change to reader");
        assert_eq!(page.value::<String>("document.activeElement.id").await, "change-role");
        page.look_at("demo-role-editor", "#change-role").await;
        // It is the role of the user: another sign-in has it, too.
        page.click("#leave").await;
        page.until("shown('ended')").await;
        sign_in(&page, "normal").await;
        page.until("text('role') === 'editor'").await;
    })
    .await;
}

/// The seconds until the idle timeout, as the server says; asking is no activity.
async fn idle_left(url: &str, token: &str) -> u64 {
    let check = reqwest::Client::new().get(format!("{url}/auth/session")).bearer_auth(token);
    let answer: serde_json::Value =
        check.send().await.expect("a response").json().await.expect("JSON");
    answer["idle_expires_in"].as_u64().unwrap_or_else(|| panic!("{answer}"))
}

/// What counts as activity under each value of `SESSION_ACTIVITY`.
#[tokio::test]
async fn p17_the_demo_counts_requests_as_its_setting_says() {
    for (setting, unmarked_counts) in [(None, true), (Some("requests"), true), (Some("declared"), false)] {
        let settings = setting.map(|value| ("SESSION_ACTIVITY", value));
        let example = Example::start("demo", settings.as_slice());
        let url = &example.url;
        let client = reqwest::Client::new();
        let sign_in = client.post(format!("{url}/login")).json(&json!({ "user": "ada" }));
        let grant: serde_json::Value =
            sign_in.send().await.expect("a response").json().await.expect("JSON");
        let token = grant["access_token"].as_str().expect("a token");
        let full = grant["idle_expires_in"].as_u64().expect("seconds");
        for (header, counts) in [
            (None, unmarked_counts),
            (Some("user"), true),
            (Some("background"), false),
        ] {
            while idle_left(url, token).await > full - 2 {
                tokio::task::yield_now().await;
            }
            let mut request = client.get(format!("{url}/items")).bearer_auth(token);
            if let Some(header) = header {
                request = request.header("session-activity", header);
            }
            assert!(request.send().await.expect("a response").status().is_success());
            let left = idle_left(url, token).await;
            assert_eq!(left > full - 2, counts, "{setting:?} {header:?}: {left} s of {full} s");
        }
    }
}

#[tokio::test]
async fn each_kind_of_request_says_what_it_did() {
    let demo = Demo::start(&[]).await;
    in_browser(async move |browser: Browser| {
        let page = demo.open(&browser).await;
        sign_in(&page, "normal").await;
        assert_eq!(
            page.text("policy").await,
            "20 min idle, 12 h at most, a token of 1 h renewed in its last 50 %."
        );
        for (button, effect) in [
            (
                "#counted button",
                "GET /items 200: Idle timeout reset to 20 min. The token was not due.",
            ),
            (
                "#failing button",
                "POST /fail 500: Idle timeout reset to 20 min. A failed request renews nothing.",
            ),
            ("#background button", "GET /poll 200: Idle timeout not reset, no renewal."),
        ] {
            page.click(button).await;
            page.until(&format!("text('last') === {}", json!(effect))).await;
        }
        // Each profile has its own policy in its line.
        page.click("#leave").await;
        page.until("shown('ended')").await;
        sign_in(&page, "remember_me").await;
        assert_eq!(
            page.text("policy").await,
            "7 d idle, 30 d at most, a token of 7 d renewed in its last 50 %."
        );
        page.click("#leave").await;
        page.until("shown('ended')").await;
        page.click("#guest").await;
        page.until("shown('room')").await;
        assert_eq!(page.text("room-title").await, "Signed in as a guest");
    })
    .await;
}

#[tokio::test]
async fn reads_are_offered_as_what_they_are() {
    let demo = Demo::start(&[("SESSION_RENEW_METHODS", "mutating")]).await;
    in_browser(async move |browser: Browser| {
        let page = demo.open(&browser).await;
        sign_in(&page, "normal").await;
        let counted: Vec<String> =
            page.value("[...$('counted').children].map((button) => button.textContent)").await;
        assert_eq!(counted, ["POST /items", "PUT /items", "PATCH /items", "DELETE /items"]);
        page.click("#background button").await;
        page.until("text('last') === 'GET /items 200: Idle timeout not reset, no renewal.'").await;
    })
    .await;
}

#[tokio::test]
async fn the_warning_is_a_dialog_and_a_click_keeps_the_session() {
    let demo = Demo::start(&QUICK).await;
    // The dialog is looked at within the seconds that it is shown.
    in_browser_alone(async move |browser: Browser| {
        let page = demo.open(&browser).await;
        sign_in(&page, "normal").await;
        page.until("document.querySelector('dialog[open]')").await;
        assert!(
            page.value::<String>("document.querySelector('dialog[open]').innerText")
                .await
                .contains("The session ends in")
        );
        page.look("demo-warning").await;
        page.press("\u{e007}").await;
        page.until("!document.querySelector('dialog[open]') && !shown('near')").await;
        // The page says the same once the dialog is dismissed.
        page.until("document.querySelector('dialog[open]')").await;
        page.press("\u{e00c}").await;
        page.until("!document.querySelector('dialog[open]') && shown('near')").await;
        page.click("#near-action").await;
        page.until("!shown('near')").await;
        page.until("shown('ended')").await;
        assert_eq!(page.text("ended-title").await, "Signed out for inactivity");
        assert!(
            page.text("ended-why")
                .await
                .starts_with("The session expired after 8 s without activity.")
        );
        page.run::<()>("location.reload()").await;
        page.until("shown('ended')").await;
        assert_eq!(page.text("ended-title").await, "Signed out for inactivity");
    })
    .await;
}

/// The usual 20 s would be all of its idle timeout.
#[tokio::test]
async fn a_session_of_one_minute_warns_five_seconds_before_its_end() {
    let demo = Demo::start(&[]).await;
    in_browser(async move |browser: Browser| {
        let page = demo.open(&browser).await;
        sign_in(&page, "short").await;
        page.until("document.querySelector('dialog[open] [data-left]')").await;
        let left: String =
            page.value("document.querySelector('dialog[open] [data-left]').textContent").await;
        assert!(("0:00"..="0:05").contains(&left.as_str()), "{left}");
    })
    .await;
}

#[tokio::test]
async fn an_expired_token_is_refreshed_and_the_page_says_so() {
    let settings = [("SESSION_TOKEN_LIFETIME", "3s"), ("SESSION_RENEW_MIN_INTERVAL", "0s")];
    let demo = Demo::start(&settings).await;
    in_browser(async move |browser: Browser| {
        let page = demo.open(&browser).await;
        sign_in(&page, "normal").await;
        page.until(&format!("{NOTE}.startsWith('Expired.')")).await;
        page.click("#background button").await;
        page.until("text('last').includes('the refresh token was exchanged')").await;
        assert_eq!(demo.proxy.count("POST /auth/refresh"), 1);
    })
    .await;
}

#[tokio::test]
async fn the_page_promises_no_renewal_of_a_token_at_its_cap() {
    let settings = [("SESSION_TOKEN_LIFETIME", "2m"), ("SESSION_ABSOLUTE_TIMEOUT", "2m")];
    let demo = Demo::start(&[settings[0], settings[1], ("SESSION_IDLE_TIMEOUT", "1m")]).await;
    in_browser(async move |browser: Browser| {
        let page = demo.open(&browser).await;
        sign_in(&page, "normal").await;
        page.until(&format!(
            "{NOTE} === 'Lasts until the absolute deadline: no renewal can prolong it.'"
        ))
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_second_tab_has_the_session_and_its_end() {
    let demo = Demo::start(&[]).await;
    in_browser(async move |browser: Browser| {
        let page = demo.open(&browser).await;
        sign_in(&page, "short").await;
        let second = Page(browser.open_tab(&demo.url).await);
        second.until("shown('room')").await;
        second.click("#counted button").await;
        second.until("text('last').includes('Idle timeout reset')").await;
        page.until(&format!("{SUMMARY}.includes('1 request,')")).await;
        page.click("#leave").await;
        second.until("shown('ended')").await;
        assert_eq!(second.text("ended-title").await, "You signed out");
    })
    .await;
}

#[tokio::test]
async fn the_page_says_what_it_cannot_load() {
    let demo = Demo::start(&[]).await;
    in_browser(async move |browser: Browser| {
        for (path, told) in [
            ("/policies", "policies could not be loaded: status 502."),
            ("/auth/session.js", "auth/session.js could not be loaded: status 502."),
        ] {
            demo.proxy.fail(Some(path));
            let page = Page(browser.open(&demo.url).await);
            page.until("shown('trouble')").await;
            assert_eq!(page.text("trouble-text").await, told);
            assert!(!page.text("trouble-text").await.contains("0 s"));
        }
        demo.proxy.fail(Some("/demo.js"));
        let page = Page(browser.open(&demo.url).await);
        page.until("shown('loading') && text('loading').includes('demo.js')").await;
        page.look("demo-unloaded").await;
        demo.proxy.fail(Some("/login"));
        let page = demo.open(&browser).await;
        page.click("#login .primary").await;
        page.until("text('login-error').includes('the server answered 502')").await;
        demo.proxy.fail(None);
        sign_in(&page, "normal").await;
        demo.proxy.fail(Some("/items"));
        page.click("#counted button").await;
        page.until("text('last').startsWith('GET /items 502')").await;
        assert!(page.value::<bool>("shown('room')").await, "still signed in");
    })
    .await;
}

#[tokio::test]
async fn the_explorer_follows_its_sliders() {
    let demo = Demo::start(&[]).await;
    in_browser(async move |browser: Browser| {
        let page = demo.open(&browser).await;
        page.until("text('findings').includes('The session ends after 1 min: it has reached')")
            .await;
        let findings = page.text("findings").await;
        let fixed = "Without renewals the user would be signed out after 10 s";
        assert!(findings.contains(fixed), "{findings}");
        page.look_at("demo-explorer", "#explorer").await;
        page.fill("x-pattern", "polls").await;
        page.until("text('findings').includes('the idle timeout has passed')").await;
        // With the keyboard: a longer idle timeout than the absolute one is refused.
        page.run::<()>("document.getElementById('x-idle').focus()").await;
        page.press("\u{e010}").await;
        page.until("text('explore-error').includes('lengthen absolute_timeout')").await;
        page.look_at("demo-explorer-error", "#explorer").await;
        page.fill("preset", "nist_aal2").await;
        page.until("text('findings').includes('The session ends after')").await;
        assert_eq!(page.text("explore-error").await, "");
    })
    .await;
}

#[tokio::test]
async fn a_busy_button_keeps_the_focus_and_sends_once() {
    let demo = Demo::start(&[]).await;
    in_browser(async move |browser: Browser| {
        let page = demo.open(&browser).await;
        sign_in(&page, "normal").await;
        assert!(page.is_busy_after_two_clicks("#counted button").await);
        page.until("text('last').startsWith('GET /items 200')").await;
        assert_eq!(demo.proxy.count("GET /items"), 1);
        assert!(page.value::<bool>("document.activeElement === $('counted').children[0]").await);
    })
    .await;
}

#[tokio::test]
async fn p18_every_feed_ends_visibly_with_the_session() {
    let example = Example::start("demo", &[]);
    in_browser(async move |browser: Browser| {
        let page = Page(browser.open(&example.url).await);
        page.until("shown('stage')").await;
        sign_in(&page, "normal").await;
        let states = "[...document.querySelectorAll('#feeds .state')].map((it) => it.textContent)";
        let all = |starts: &str| {
            format!("{states}.length === 3 && {states}.every((it) => {starts}.test(it))")
        };
        // With the keyboard.
        for number in 1..=3 {
            let focus =
                format!("document.querySelector('#feeds li:nth-child({number}) button').focus()");
            page.run::<()>(&focus).await;
            page.press("\u{e007}").await;
        }
        page.until(&all("/^[2-9] messages$/")).await;
        page.look_at("demo-feeds", "#feeds").await;
        // One is closed by its user, and opened again.
        page.click("#feeds li:nth-child(3) button").await;
        page.until(&format!("{states}[2].startsWith('Closed after')")).await;
        page.click("#feeds li:nth-child(3) button").await;
        page.until(&all("/^[0-9]+ messages?$/")).await;
        page.click("#leave").await;
        page.until(&all("/^Ended with the session after /")).await;
        page.until("shown('ended')").await;
        assert_eq!(page.text("ended-title").await, "You signed out");
        assert!(
            page.value::<bool>(
                "[...document.querySelectorAll('#feeds button')].every((it) => it.disabled)"
            )
            .await
        );
        page.look_at("demo-feeds-ended", "#feeds").await;
    })
    .await;
}

#[tokio::test]
async fn p18_the_feeds_end_at_the_idle_timeout_whatever_they_send() {
    let example = Example::start("demo", &QUICK);
    in_browser(async move |browser: Browser| {
        let page = Page(browser.open(&example.url).await);
        page.until("shown('stage')").await;
        sign_in(&page, "normal").await;
        let states = "[...document.querySelectorAll('#feeds .state')].map((it) => it.textContent)";
        for number in [1, 3] {
            page.click(&format!("#feeds li:nth-child({number}) button")).await;
            page.until(&format!("{states}[{number} - 1].includes(' message')")).await;
        }
        page.until("shown('ended')").await;
        assert_eq!(page.text("ended-title").await, "Signed out for inactivity");
        page.until(&format!("{states}[0].includes(' after ') && {states}[2].includes(' after ')"))
            .await;
        for number in [0, 2] {
            let state: String = page.value(&format!("{states}[{number}]")).await;
            assert!(state.starts_with("Ended with the session after "), "{number}: {state}");
        }
    })
    .await;
}
