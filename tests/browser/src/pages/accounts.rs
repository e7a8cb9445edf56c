//! The page of the example `accounts`.

use std::{
    env, fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};

use super::{example::Example, page::Page, proxy::Proxy};
use crate::harness::{Browser, in_browser};

/// A session that ends within seconds.
const QUICK: [(&str, &str); 3] = [
    ("ACCOUNTS_IDLE_TIMEOUT", "10s"),
    ("ACCOUNTS_TOKEN_LIFETIME", "2s"),
    ("ACCOUNTS_RENEW_MIN_INTERVAL", "0s"),
];

struct Accounts {
    example: Example,
    proxy: Proxy,
    url: String,
    folder: PathBuf,
}

impl Accounts {
    async fn start(settings: &[(&str, &str)]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("accounts-{}-{number}", process::id()));
        fs::create_dir(&folder).expect("a new folder");
        let database = folder.join("sessions.db");
        let mut settings = settings.to_vec();
        settings.push(("ACCOUNTS_DB", database.to_str().expect("UTF-8")));
        let example = Example::start("accounts", &settings);
        let (proxy, url) = Proxy::start(&example.url).await;
        Self { example, proxy, url, folder }
    }

    async fn sign_in(&self, browser: &Browser, user: &str) -> Page {
        let page = Page(browser.open(&self.url).await);
        page.until("shown('door')").await;
        page.click(&format!("[data-user={user}]")).await;
        page.until("shown('inside')").await;
        page
    }

    /// Sends a request as another device does.
    async fn send(&self, path: &str, token: Option<&Value>, body: Value) -> Value {
        let url = format!("{}{path}", self.example.url);
        let mut request = reqwest::Client::new().post(url).json(&body);
        if let Some(token) = token {
            request = request.bearer_auth(token.as_str().expect("a token"));
        }
        request.send().await.expect("a response").json().await.unwrap_or_default()
    }

    async fn elsewhere(&self, user: &str) -> Value {
        self.send("/login", None, json!({ "user": user })).await
    }
}

impl Drop for Accounts {
    fn drop(&mut self) {
        // A folder that cannot be removed stays in the temporary directory.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn the_page_notices_that_its_session_was_revoked_elsewhere() {
    let accounts = Accounts::start(&[]).await;
    in_browser(async move |browser: Browser| {
        Page(browser.open(&accounts.url).await).look("accounts-door").await;
        let page = accounts.sign_in(&browser, "ada").await;
        let there = accounts.elsewhere("ada").await;
        let token = Some(&there["access_token"]);
        accounts.send("/auth/revoke-sessions", token, json!({ "scope": "my_others" })).await;
        page.until("shown('banner')").await;
        let banner = page.text("banner-text").await;
        assert!(banner.starts_with("The session was revoked"), "{banner}");
        assert_eq!(page.value::<String>("document.activeElement.id").await, "door-title");
        page.look("accounts-revoked").await;
    })
    .await;
}

/// The lists are not read again meanwhile: the page asks by itself.
#[tokio::test]
async fn an_open_question_is_closed_by_the_end_of_the_session() {
    let accounts = Accounts::start(&[]).await;
    in_browser(async move |browser: Browser| {
        let page = accounts.sign_in(&browser, "ada").await;
        page.click("#all").await;
        page.until("$('confirm').open").await;
        let there = accounts.elsewhere("ada").await;
        let token = Some(&there["access_token"]);
        accounts.send("/auth/revoke-sessions", token, json!({ "scope": "my_others" })).await;
        page.until("shown('banner')").await;
        assert!(!page.value::<bool>("$('confirm').open").await);
    })
    .await;
}

#[tokio::test]
async fn the_other_tab_notices_a_sign_out_and_the_idle_end_comes_by_itself() {
    let accounts = Accounts::start(&QUICK).await;
    in_browser(async move |browser: Browser| {
        let page = accounts.sign_in(&browser, "bob").await;
        let second = Page(browser.open_tab(&accounts.url).await);
        second.until("shown('inside')").await;
        page.click("#leave").await;
        second.until("shown('door')").await;
        assert_eq!(second.text("banner-text").await, "You signed out.");
        second.click("[data-user=bob]").await;
        second.until("shown('inside')").await;
        second.until("document.querySelector('dialog[open] [data-left]')").await;
        second.look("accounts-warning").await;
        second.until("shown('door')").await;
        assert_eq!(
            second.text("banner-text").await,
            "The session expired after a time without activity."
        );
    })
    .await;
}

#[tokio::test]
async fn an_expired_token_is_refreshed_before_anybody_is_signed_out() {
    let accounts = Accounts::start(&[
        ("ACCOUNTS_TOKEN_LIFETIME", "3s"),
        ("ACCOUNTS_RENEW_MIN_INTERVAL", "0s"),
    ])
    .await;
    in_browser(async move |browser: Browser| {
        let page = accounts.sign_in(&browser, "ada").await;
        // The lists are read again with a token that has expired.
        page.until(
            "performance.getEntriesByType('resource')
               .some(({ name }) => name.endsWith('/auth/refresh'))",
        )
        .await;
        assert!(page.value::<bool>("shown('inside')").await);
        assert!(accounts.proxy.count("POST /auth/refresh") > 0);
        page.run::<()>("location.reload()").await;
        page.until("shown('inside')").await;
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_that_was_used_twice_is_told() {
    let accounts = Accounts::start(&[
        ("ACCOUNTS_TOKEN_LIFETIME", "2s"),
        ("ACCOUNTS_RENEW_MIN_INTERVAL", "0s"),
    ])
    .await;
    in_browser(async move |browser: Browser| {
        let page = accounts.sign_in(&browser, "ada").await;
        let mut stolen: Value =
            page.run("return JSON.parse(Object.values(localStorage)[0]).refresh").await;
        // The page may refresh in between, and once more if that token has expired: after four exchanges its
        // own refresh token is two exchanges old in any case.
        for _ in 0..4 {
            let body = json!({ "refresh_token": stolen });
            stolen = accounts.send("/auth/refresh", None, body).await["refresh_token"].clone();
        }
        page.until("shown('banner')").await;
        let banner = page.text("banner-text").await;
        assert!(banner.starts_with("A refresh token of this session was used twice."), "{banner}");
        page.look("accounts-reused").await;
    })
    .await;
}

#[tokio::test]
async fn the_current_session_is_first_and_the_others_are_signed_out() {
    let accounts = Accounts::start(&[]).await;
    in_browser(async move |browser: Browser| {
        let page = accounts.sign_in(&browser, "ada").await;
        accounts.elsewhere("ada").await;
        accounts.elsewhere("ada").await;
        accounts.elsewhere("bob").await;
        // The lists follow by themselves.
        page.until("$('mine').children.length === 3").await;
        page.until("$('user-rows').children.length === 2").await;
        let rows: Vec<String> =
            page.value("[...$('mine').children].map(({ innerText }) => innerText)").await;
        assert!(rows[0].contains("this one"), "{rows:?}");
        // "Signed in at 14:03:22".
        let is_told = |row: &String| {
            let time = row.strip_prefix("Signed in at ").and_then(|rest| rest.get(..8));
            time.is_some_and(|time| time.split(':').count() == 3)
        };
        assert!(rows.iter().all(is_told), "{rows:?}");
        page.look("accounts-inside").await;

        // A busy button keeps the focus.
        let button = "#mine li:nth-child(2) button";
        let session: String =
            page.value(&format!("document.querySelector('{button}').dataset.session")).await;
        assert!(page.is_busy_after_two_clicks(button).await);
        page.until("$('mine').children.length === 2").await;
        assert_eq!(accounts.proxy.count(&format!("DELETE /auth/sessions/{session}")), 1);
        page.until("document.activeElement.id === 'mine-title'").await;

        page.click("#my-others").await;
        page.until("text('status') === '1 session was ended.'").await;
        assert_eq!(page.value::<u64>("$('mine').children.length").await, 1);
        assert!(!page.value::<bool>("shown('my-others')").await);
        // Not those of other users.
        assert_eq!(page.value::<u64>("$('user-rows').children.length").await, 2);

        page.click("#all").await;
        page.until("$('confirm').open").await;
        page.look("accounts-confirm").await;
        page.click("#yes").await;
        page.until("shown('banner')").await;
        assert_eq!(page.text("banner-text").await, "2 sessions were ended. Yours was one of them.");
    })
    .await;
}

#[tokio::test]
async fn each_session_is_told_by_its_device_and_the_oldest_ends_at_the_limit() {
    let accounts = Accounts::start(&[("ACCOUNTS_MAX_SESSIONS", "3")]).await;
    in_browser(async move |browser: Browser| {
        let page = accounts.sign_in(&browser, "ada").await;
        let devices = "[...$('mine').children].map((it) => it.querySelector('.small').innerText)";
        let sign_in_at = async |device: &str| {
            let body = json!({ "user": "ada", "label": { "device": device } });
            assert!(accounts.send("/login", None, body).await["access_token"].is_string());
        };
        sign_in_at("A phone in the kitchen").await;
        // What a client sends is text, and nothing else.
        sign_in_at("<img src=x onerror=alert(1)> with a name that is much longer than a line")
            .await;
        page.until("$('mine').children.length === 3").await;
        let rows: Vec<String> = page.value(devices).await;
        assert_eq!(rows[0], "Chrome on Linux");
        assert!(rows.contains(&"A phone in the kitchen".to_owned()), "{rows:?}");
        assert!(rows.iter().any(|row| row.starts_with("<img src=x")), "{rows:?}");
        page.look_at("accounts-devices", "#mine-title").await;

        // By the keyboard alone: the name of each button says which session it ends.
        page.run::<()>("document.getElementById('mine-title').focus()").await;
        let kitchen = "document.activeElement.innerText.includes('A phone in the kitchen')";
        let mut steps = 0;
        while !page.value::<bool>(kitchen).await {
            steps += 1;
            assert!(steps < 10, "the button is reached by Tab");
            page.press(TAB).await;
        }
        page.press(ENTER).await;
        page.until("text('status') === 'The session was revoked.'").await;
        page.until("document.activeElement.id === 'mine-title'").await;
        assert_eq!(page.value::<u64>("$('mine').children.length").await, 2);

        // One more is the third, and the next ends the oldest: that of the page.
        sign_in_at("A tablet").await;
        page.until("$('mine').children.length === 3").await;
        assert!(page.value::<bool>("shown('inside')").await);
        sign_in_at("A television").await;
        page.until("shown('banner')").await;
        let banner = page.text("banner-text").await;
        assert!(banner.starts_with("The session was revoked"), "{banner}");
    })
    .await;
}

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

#[tokio::test]
async fn times_move_and_saved_is_gone_at_the_next_edit() {
    let accounts = Accounts::start(&[]).await;
    in_browser(async move |browser: Browser| {
        let page = accounts.sign_in(&browser, "ada").await;
        page.run::<()>(
            "const time = document.querySelector('#user-rows .relative');
             time.dateTime = new Date(Date.now() - 125000).toISOString();",
        )
        .await;
        page.until("text('user-rows').includes('2 minutes ago')").await;

        page.click("[value=standard]").await;
        page.click("#timeouts .primary").await;
        page.until("text('saved') === 'Saved'").await;
        assert_eq!(page.text("in-force").await, "Effective: 1 day / 7 days");
        page.click("[value=custom]").await;
        assert_eq!(page.text("saved").await, "");
        page.fill("idle_timeout_minutes", "1").await;
        page.fill("idle_timeout_minutes-unit", "minutes").await;
        page.click("#timeouts .primary").await;
        page.until("text('idle_timeout_minutes-error') === 'At least 5 minutes.'").await;
        let sent = accounts.proxy.count("PATCH /auth/security");
        assert_eq!(sent, 1, "an invalid value is not sent");
        page.look("accounts-custom").await;
    })
    .await;
}

#[tokio::test]
async fn a_separate_window_has_a_session_of_its_own() {
    let accounts = Accounts::start(&[]).await;
    in_browser(async move |browser: Browser| {
        let page = accounts.sign_in(&browser, "ada").await;
        let own = Page(browser.open_tab(&format!("{}?window=2", accounts.url)).await);
        own.until("shown('door')").await;
        own.click("[data-user=bob]").await;
        own.until("shown('inside')").await;
        assert_eq!(own.text("who").await, "Bob Hopper, engineer at acme");
        assert_eq!(page.text("who").await, "Ada Lovelace, owner of acme");
        page.until("$('user-rows').children.length === 2").await;
        page.click("#others").await;
        page.click("#yes").await;
        own.until("shown('banner')").await;
        assert!(page.value::<bool>("shown('inside')").await);
    })
    .await;
}

#[tokio::test]
async fn the_page_from_the_back_forward_cache_shows_nothing_of_an_ended_session() {
    let accounts = Accounts::start(&[]).await;
    in_browser(async move |browser: Browser| {
        let page = accounts.sign_in(&browser, "ada").await;
        page.run::<()>(COUNT_FRAMES_OF_THE_INSIDE).await;
        page.leave_for_another_page(&format!("{}base.css", accounts.url)).await;
        let there = accounts.elsewhere("ada").await;
        let token = Some(&there["access_token"]);
        accounts.send("/auth/revoke-sessions", token, json!({ "scope": "my_others" })).await;
        page.go_back().await;
        page.until("shown('banner')").await;
        let frames: Value = page.value("window.frames_of_the_inside").await;
        assert_eq!(frames, 0, "0: from the cache, and never shown");
        assert_eq!(page.value::<String>("document.activeElement.id").await, "door-title");
    })
    .await;
}

/// Counts after `pageshow` from the cache; the page's own listener comes first.
const COUNT_FRAMES_OF_THE_INSIDE: &str = "
    addEventListener('pageshow', ({ persisted }) => {
      if (!persisted) return;
      window.frames_of_the_inside = 0;
      const look = () => {
        if (document.getElementById('inside').checkVisibility()) frames_of_the_inside += 1;
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    })";

#[tokio::test]
async fn without_scripts_the_page_says_that_it_needs_them() {
    let accounts = Accounts::start(&[]).await;
    in_browser(async move |browser: Browser| {
        let page = Page::without_scripts(&browser, &accounts.url).await;
        page.until_read("This page needs JavaScript.").await;
        assert!(!page.read().await.contains("is loading its script"));
    })
    .await;
}
