//! A server, a browser, and its tabs.

mod app;
mod axe;
mod browser;
mod chromedriver;
mod recorder;
mod server;
mod tab;
mod token;

pub(crate) use self::{
    axe::assert_accessible,
    browser::{Browser, in_browser, in_browser_alone},
    recorder::Fault,
    server::{Server, Setup},
    tab::Tab,
    token::unsigned_token,
};

/// How long a test waits for an event, at most.
pub(crate) const BOUND: std::time::Duration = std::time::Duration::from_secs(20);
