//! The guide: how to use this crate, a chapter for each task. It has no items.
//!
//! | chapter | answers |
//! |---|---|
//! | [`session_life`] | What ends a session, and when? When is a token renewed? |
//! | [`client`] | What does a client send, what does it read, what does it do with each code? |
//! | [`rust_client`] | How does a client in Rust stay signed in? |
//! | [`timeouts`] | Which timeouts, which preset, and what do the warnings mean? |
//! | [`own_stack`] | How do I use single layers, or my own authentication? |
//! | [`browser`] | How does a page keep its user signed in, with and without the modules? |
//! | [`without_headers`] | How do WebSockets, `EventSource` and downloads say who they are? |
//! | [`cookies_and_cors`] | How do cookies and other origins work? |
//! | [`grpc`] | What do tonic clients and servers see? |
//! | [`long_lived_connections`] | What ends a stream, a WebSocket or a task, and what keeps it open? |
//! | [`migrating`] | How do I introduce it without signing anybody out? How do I rotate keys? |
//! | [`roles_that_change`] | How does a role that was taken away stop working at once? |
//! | [`testing`] | How do I test timeouts without waiting? |
//! | [`observability`] | What is logged, and why was this request rejected? |
//! | [`deployment`] | Which store, what does it survive, and what does its server need? |
//! | [`several_nodes`] | What changes with a database and more than one process? |

pub mod browser;
pub mod client;
pub mod cookies_and_cors;
pub mod deployment;
pub mod grpc;
pub mod long_lived_connections;
pub mod migrating;
pub mod observability;
pub mod own_stack;
pub mod roles_that_change;
#[cfg(feature = "client")]
pub mod rust_client;
pub mod session_life;
pub mod several_nodes;
pub mod testing;
pub mod timeouts;
pub mod without_headers;
