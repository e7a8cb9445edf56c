//! One tab, and what its page says.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thirtyfour::{By, WindowHandle};

use super::{BOUND, browser::Browser};

#[derive(Clone)]
pub(crate) struct Tab {
    pub(crate) browser: Browser,
    handle: WindowHandle,
}

impl Tab {
    pub(super) fn new(browser: Browser, handle: WindowHandle) -> Self {
        Self { browser, handle }
    }

    /// Makes this tab the one that commands and inputs go to.
    pub(crate) async fn select(&self) {
        let selected = self.browser.driver.switch_to_window(self.handle.clone()).await;
        selected.expect("the tab is there");
    }

    /// Loads the page of the tests from `url`.
    pub(crate) async fn go_to(&self, url: &str) {
        self.select().await;
        self.browser.driver.goto(url).await.expect("the page loads");
        self.wait_for_page().await;
    }

    /// Loads another page than that of the tests.
    pub(crate) async fn leave(&self, url: &str) {
        self.select().await;
        self.browser.driver.goto(url).await.expect("the page loads");
    }

    pub(crate) async fn go_back(&self) {
        self.select().await;
        self.browser.driver.back().await.expect("there is a page before");
    }

    /// Stops every script of the page, which must be hidden: another tab comes to the front.
    pub(crate) async fn freeze(&self) {
        self.select().await;
        let frozen = json!({ "state": "frozen" });
        self.browser.command("Page.setWebLifecycleState", frozen).await;
    }

    pub(crate) async fn thaw(&self) {
        self.select().await;
        let active = json!({ "state": "active" });
        self.browser.command("Page.setWebLifecycleState", active).await;
    }

    pub(crate) async fn close(&self) {
        self.select().await;
        self.browser.driver.close_window().await.expect("the tab closes");
    }

    pub(crate) async fn reload(&self) {
        self.select().await;
        self.browser.driver.refresh().await.expect("the page loads again");
        self.wait_for_page().await;
    }

    /// The module is loaded later than the page.
    async fn wait_for_page(&self) {
        self.run::<()>("await window.isLoaded").await;
    }

    /// Runs the body of an async function in the page, and returns what that returns.
    pub(crate) async fn run<T: DeserializeOwned>(&self, body: &str) -> T {
        self.select().await;
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async () => {{ {body} }})().then(
               (value) => done({{ value: value ?? null }}),
               (error) => done({{ error: String(error) }}));"
        );
        let answer = self.browser.driver.execute_async(script, Vec::new()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{body}: {error}"));
        let answer: Value = answer.json().clone();
        assert!(answer.get("error").is_none(), "{body}: {}", answer["error"]);
        serde_json::from_value(answer["value"].clone())
            .unwrap_or_else(|error| panic!("{body}: {}: {error}", answer["value"]))
    }

    /// Makes the session of the page, with the options of the module.
    pub(crate) async fn make_session(&self, options: Value) {
        self.run::<()>(&format!("await makeSession({options})")).await;
    }

    pub(crate) async fn sign_in(&self) {
        self.run::<()>("await signIn('ada')").await;
    }

    /// The status of a call of the module's `fetch`, and the code of a rejection.
    pub(crate) async fn call(&self, path: &str) -> Value {
        self.run(&format!("return call({})", json!(path))).await
    }

    /// Waits until the page's session has fired `event`, since it was made; returns its detail.
    pub(crate) async fn event(&self, event: &str) -> Value {
        let bound = BOUND.as_millis();
        self.run(&format!("return eventOf({}, {bound})", json!(event))).await
    }

    /// Waits until an expression of the page is true.
    pub(crate) async fn until(&self, expression: &str) {
        let bound = BOUND.as_millis();
        self.run::<()>(&format!("await until(() => ({expression}), {bound})")).await;
    }

    pub(crate) async fn events(&self) -> Vec<String> {
        self.run("return events.map(({ type }) => type)").await
    }

    pub(crate) async fn is_signed_in(&self) -> bool {
        self.run("return session.signedIn").await
    }

    /// The token that the page holds.
    pub(crate) async fn token_id(&self) -> Value {
        self.run("return session.claims.jti").await
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.select().await;
        let element = self.browser.driver.find(By::Css(selector.to_owned())).await;
        element.expect("the element is there").click().await.expect("it can be clicked");
    }

    /// `light`, `dark` or `phone`.
    pub(crate) async fn show_as(&self, look: &str) {
        self.select().await;
        let scheme = if look == "dark" { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.browser.command("Emulation.setEmulatedMedia", media).await;
        let (width, height) = if look == "phone" { (390, 844) } else { (1280, 720) };
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": look == "phone",
        });
        self.browser.command("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Writes a picture to `target/screens`, for people to look at.
    pub(crate) async fn screenshot(&self, name: &str) {
        self.select().await;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/screens");
        std::fs::create_dir_all(&folder).expect("the folder is made");
        let picture = self.browser.driver.screenshot_as_png().await.expect("a picture");
        std::fs::write(folder.join(format!("{name}.png")), picture).expect("it is written");
    }
}
