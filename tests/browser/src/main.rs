//! The browser modules and the pages of the examples in a real Chromium, against servers with the
//! system's clock.
//!
//! Each test has a server, a browser session and ports of its own; one chromedriver serves them all.
//! No test sleeps: each waits for an event, a request or a state of the page, within a bound.

mod harness;

mod clocks;
mod cookies;
mod endings;
mod grpc_web;
mod guest;
mod pages;
mod refresh;
mod renewal;
mod storage;
mod streams;
mod warning;
