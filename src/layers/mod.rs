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
//! | [`ActivityLayer`] | `Session` | idle and absolute timeouts, revocation |
//! | [`RequireSessionLayer`] | | rejects requests without a `Session` |
//! | [`RequireRecentAuthLayer`] | `Session` | requires a recent sign-in (RFC 9470) |
//! | [`RenewLayer`] | `Session` | puts the token's successor on the response |

pub mod activity;
pub mod authenticate;
pub mod classify;
pub mod expose_headers;
pub mod renew;
pub mod require_recent_auth;
pub mod require_session;

pub use self::{
    activity::{ActivityLayer, OnStoreFailure},
    authenticate::AuthenticateLayer,
    classify::ClassifyLayer,
    expose_headers::ExposeHeadersLayer,
    renew::RenewLayer,
    require_recent_auth::RequireRecentAuthLayer,
    require_session::RequireSessionLayer,
};
pub use crate::session::UnknownSessions;
