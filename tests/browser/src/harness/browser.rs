//! One browser session: a process, a profile, tabs.

use std::panic::resume_unwind;

use serde_json::{Value, json};
use thirtyfour::{
    ChromiumLikeCapabilities, DesiredCapabilities, WebDriver, action_chain::ActionChain,
};
use tokio::sync::RwLock;

use super::{BOUND, chromedriver, server::Server, tab::Tab};

#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
}

/// Held by each browser that runs; for writing by one that must run alone.
static RUNNING: RwLock<()> = RwLock::const_new(());

/// Runs a test with a new browser, which is closed also if the test fails.
pub(crate) async fn in_browser<F>(test: impl FnOnce(Browser) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let _running = RUNNING.read().await;
    run(test).await;
}

/// As [`in_browser`], while no other test runs: for a test that a busy machine would fail.
pub(crate) async fn in_browser_alone<F>(test: impl FnOnce(Browser) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let _running = RUNNING.write().await;
    run(test).await;
}

async fn run<F>(test: impl FnOnce(Browser) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let driver = WebDriver::new(chromedriver::url(), capabilities()).await.expect("it starts");
    driver.set_script_timeout(2 * BOUND).await.expect("the timeout is set");
    let outcome = tokio::spawn(test(Browser { driver: driver.clone() })).await;
    driver.quit().await.expect("it closes");
    if let Err(error) = outcome {
        resume_unwind(error.into_panic());
    }
}

fn capabilities() -> thirtyfour::ChromeCapabilities {
    let mut capabilities = DesiredCapabilities::chrome();
    for argument in [
        "--headless=new",
        // A container has neither user namespaces nor a large /dev/shm.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1280,720",
        "--force-prefers-reduced-motion",
        // A name whose http pages are no secure context.
        "--host-resolver-rules=MAP app.test 127.0.0.1",
    ] {
        capabilities.add_arg(argument).expect("an argument");
    }
    capabilities
}

impl Browser {
    /// The tab that the browser has started with.
    pub(crate) async fn blank(&self) -> Tab {
        Tab::new(self.clone(), self.driver.window().await.expect("a window"))
    }

    /// The tab that the browser has started with, at `url`.
    pub(crate) async fn open(&self, url: &str) -> Tab {
        let tab = self.blank().await;
        tab.go_to(url).await;
        tab
    }

    /// A new tab at `url`.
    pub(crate) async fn open_tab(&self, url: &str) -> Tab {
        let handle = self.driver.new_tab().await.expect("a new tab");
        let tab = Tab::new(self.clone(), handle);
        tab.go_to(url).await;
        tab
    }

    /// Tabs of one session, signed in by the first of them.
    pub(crate) async fn tabs(&self, server: &Server, number: usize, options: Value) -> Vec<Tab> {
        let first = self.open(&server.url("/page")).await;
        first.make_session(options.clone()).await;
        first.sign_in().await;
        let mut tabs = vec![first];
        for _ in 1..number {
            let tab = self.open_tab(&server.url("/page")).await;
            tab.make_session(options.clone()).await;
            tabs.push(tab);
        }
        tabs
    }

    /// One tab, signed in.
    pub(crate) async fn signed_in(&self, server: &Server, options: Value) -> Tab {
        self.tabs(server, 1, options).await.remove(0)
    }

    pub(crate) fn keyboard(&self) -> ActionChain {
        self.driver.action_chain()
    }

    /// Sends a command of the `DevTools` protocol to the tab that was used last.
    pub(crate) async fn command(&self, method: &str, parameters: Value) -> Value {
        self.driver.cdp().send_raw(method, parameters).await.expect("the browser obeys")
    }

    /// Turns the network of the tab that was used last off or on.
    pub(crate) async fn set_offline(&self, is_offline: bool) {
        self.command("Network.enable", json!({})).await;
        let conditions = json!({
            "offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.command("Network.emulateNetworkConditions", conditions).await;
    }
}
