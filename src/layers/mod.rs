//! The layers, each usable alone. They meet through the request's extensions
//! ([`RequestClass`](crate::RequestClass) and [`Session`](crate::Session)) and do not
//! import each other.
//!
//! From the outside in:
//!
//! | layer | needs | does |
//! |---|---|---|
//! | [`ExposeHeadersLayer`] | | lets a browser's scripts read the headers of the layers below |
//! | [`ClassifyLayer`] | | inserts the request's class where it is not `User` |
//! | [`AuthenticateLayer`] | | verifies the token, inserts the `Session` |
//! | [`ActivityLayer`] | `Session` | idle and absolute timeouts, revocation; ends the response with its session |
//! | [`RequireSessionLayer`] | | rejects requests without a `Session` |
//! | [`RequireRecentAuthLayer`] | `Session` | requires a recent sign-in (RFC 9470) |
//! | [`StreamActivityLayer`] | `Session` | counts what a client sends on a stream, and ends the stream with its session |
//! | [`RenewLayer`] | `Session` | puts the token's successor on the response |

pub mod activity;
pub mod authenticate;
pub mod classify;
pub mod expose_headers;
pub mod renew;
pub mod require_recent_auth;
pub mod require_session;
pub mod stream_activity;

pub use self::{
    activity::{ActivityLayer, OnStoreFailure},
    authenticate::AuthenticateLayer,
    classify::ClassifyLayer,
    expose_headers::ExposeHeadersLayer,
    renew::RenewLayer,
    require_recent_auth::RequireRecentAuthLayer,
    require_session::RequireSessionLayer,
    stream_activity::StreamActivityLayer,
};
pub use crate::session::UnknownSessions;
