//! What a visitor does with a page, and what the page shows.

use std::{fs, path::Path};

use serde::de::DeserializeOwned;
use serde_json::json;
use thirtyfour::By;

use crate::harness::{BOUND, Browser, Tab, assert_accessible};

/// Where the screenshots go, to be looked at.
const SCREENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/screens");

pub(super) struct Page(pub(super) Tab);

impl Page {
    /// The page at `url` in a tab whose pages run no script.
    pub(super) async fn without_scripts(browser: &Browser, url: &str) -> Self {
        let page = Self(browser.blank().await);
        let disabled = json!({ "value": true });
        browser.command("Emulation.setScriptExecutionDisabled", disabled).await;
        page.0.leave(url).await;
        page
    }

    pub(super) async fn leave_for_another_page(&self, url: &str) {
        self.0.leave(url).await;
    }

    pub(super) async fn go_back(&self) {
        self.0.go_back().await;
    }

    /// What a screen reader finds, as JSON; it takes no script of the page.
    pub(super) async fn read(&self) -> String {
        self.0.select().await;
        self.0.browser.command("Accessibility.getFullAXTree", json!({})).await.to_string()
    }

    /// Waits until a screen reader finds `text`.
    pub(super) async fn until_read(&self, text: &str) {
        let found = async {
            while !self.read().await.contains(text) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, found).await.unwrap_or_else(|_| panic!("{text}"));
    }

    pub(super) async fn run<T: DeserializeOwned>(&self, body: &str) -> T {
        self.0.run(body).await
    }

    /// Waits until an expression of the page is true. `$(id)` is an element, `shown(id)` whether it
    /// is visible, `text(id)` its text.
    pub(super) async fn until(&self, expression: &str) {
        let bound = BOUND.as_millis();
        let script = format!(
            "{HELPERS}
             const last = Date.now() + {bound};
             while (!({expression})) {{
               if (Date.now() > last) throw new Error('not within the bound');
               await new Promise((next) => setTimeout(next, 20));
             }}"
        );
        self.run::<()>(&script).await;
    }

    /// The value of an expression, with the names of [`until`](Self::until).
    pub(super) async fn value<T: DeserializeOwned>(&self, expression: &str) -> T {
        self.run(&format!("{HELPERS} return {expression};")).await
    }

    pub(super) async fn text(&self, id: &str) -> String {
        self.value(&format!("text({})", json!(id))).await
    }

    /// Clicks as a user does: scrolled into view, at the middle of what is visible.
    pub(super) async fn click(&self, css: &str) {
        self.0.select().await;
        let element = self.0.browser.driver.find(By::Css(css.to_owned())).await;
        let element = element.unwrap_or_else(|error| panic!("{css}: {error}"));
        element.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Sets a field as a user does.
    pub(super) async fn fill(&self, id: &str, value: &str) {
        self.run::<()>(&format!(
            "const field = document.getElementById({});
             field.value = {};
             for (const type of ['input', 'change']) {{
               field.dispatchEvent(new Event(type, {{ bubbles: true }}));
             }}",
            json!(id),
            json!(value)
        ))
        .await;
    }

    /// Focuses a button and clicks it twice; returns whether it is busy then and keeps the focus.
    pub(super) async fn is_busy_after_two_clicks(&self, css: &str) -> bool {
        self.run(&format!(
            "const button = document.querySelector({});
             button.focus();
             button.click();
             button.click();
             const isBusy = button.getAttribute('aria-disabled') === 'true';
             return isBusy && document.activeElement === button;",
            json!(css)
        ))
        .await
    }

    /// Presses keys where the focus is.
    pub(super) async fn press(&self, keys: &str) {
        self.0.select().await;
        let driver = &self.0.browser.driver;
        driver.active_element().await.expect("a focus").send_keys(keys).await.expect("keys");
    }

    pub(super) async fn resize(&self, width: u32, height: u32) {
        self.0.select().await;
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.0.browser.command("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    pub(super) async fn use_color_scheme(&self, scheme: &str) {
        self.0.select().await;
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.0.browser.command("Emulation.setEmulatedMedia", features).await;
    }

    /// Checks the state with axe and takes its screenshots: light, dark, phone.
    pub(super) async fn look(&self, state: &str) {
        self.look_at(state, "body").await;
    }

    /// As [`look`](Self::look), with the element of a selector scrolled into view.
    pub(super) async fn look_at(&self, state: &str, css: &str) {
        for (look, width, height, scheme) in [
            ("dark", 1280, 720, "dark"),
            ("phone", 390, 844, "light"),
            ("light", 1280, 720, "light"),
        ] {
            self.resize(width, height).await;
            self.use_color_scheme(scheme).await;
            self.run::<()>(&format!("document.querySelector('{css}').scrollIntoView()")).await;
            self.shoot(&format!("{state}-{look}")).await;
            // The colours of a phone are those of light.
            if look != "light" {
                assert_accessible(&self.0).await;
            }
        }
    }

    async fn shoot(&self, name: &str) {
        self.0.select().await;
        fs::create_dir_all(SCREENS).expect("the folder is made");
        let file = Path::new(SCREENS).join(format!("{name}.png"));
        self.0.browser.driver.screenshot(&file).await.expect("a screenshot");
    }

    /// Whether the elements are visible together, without scrolling.
    pub(super) async fn are_in_view(&self, ids: &[&str]) -> bool {
        self.value(&format!(
            "{}.every((id) => {{
               const {{ top, bottom }} = $(id).getBoundingClientRect();
               return shown(id) && top >= 0 && bottom <= innerHeight;
             }})",
            json!(ids)
        ))
        .await
    }
}

const HELPERS: &str = "
    const $ = (id) => document.getElementById(id);
    const shown = (id) => $(id).checkVisibility();
    const text = (id) => $(id).innerText.trim();";
