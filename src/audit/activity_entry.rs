//! An entry of the activity log.

use std::{borrow::Cow, fmt, sync::Arc};

use http::Method;

use crate::{identity::StoreKey, request_class::RequestClass, time::Timestamp};

/// A request that counted as activity, or that may have changed something whatever its class: an entry
/// of the activity log.
///
/// It holds no text of the client: the method is one of RFC 9110 or `OTHER`, and the route is a
/// pattern of the server. `Debug` shows neither keys nor the route.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActivityEntry {
    /// When the request arrived.
    pub at: Timestamp,
    /// [`StoreKey::session`] of its session.
    pub session: StoreKey,
    /// [`StoreKey::user`] of its user.
    pub user: StoreKey,
    /// [`StoreKey::subject`] of its user.
    pub subject: Option<StoreKey>,
    /// [`StoreKey::account`] of its account, if the token has a `tenant`.
    pub account: Option<StoreKey>,
    /// Its class.
    pub class: RequestClass,
    /// Its method; see [`method_name`](Self::method_name).
    pub method: Cow<'static, str>,
    /// The pattern of the route that it matched, if known.
    pub route: Option<Arc<str>>,
    /// The HTTP status of the response; 0 if there was none, because the client closed the connection
    /// or the handler failed.
    pub status: u16,
    /// The [code](crate::RejectionKind::code) of the rejection, if a layer behind the activity
    /// check rejected the request.
    pub code: Option<Cow<'static, str>>,
}

impl ActivityEntry {
    /// Creates an entry for a `User` request that was answered with `status`, without
    /// subject, account, route and code.
    #[must_use]
    pub const fn new(
        at: Timestamp,
        session: StoreKey,
        user: StoreKey,
        method: &'static str,
        status: u16,
    ) -> Self {
        Self {
            at,
            session,
            user,
            subject: None,
            account: None,
            class: RequestClass::User,
            method: Cow::Borrowed(method),
            route: None,
            status,
            code: None,
        }
    }

    /// Returns the name of `method`, or `OTHER` if RFC 9110 (section 9) and RFC 5789 do not define
    /// it: a method may be any text of the client, and the log holds none.
    #[must_use]
    pub fn method_name(method: &Method) -> &'static str {
        const DEFINED: [&str; 9] =
            ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
        DEFINED.into_iter().find(|name| *name == method.as_str()).unwrap_or("OTHER")
    }
}

impl fmt::Debug for ActivityEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityEntry")
            .field("at", &self.at)
            .field("class", &self.class)
            .field("method", &self.method)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_outside_rfc_9110_is_named_other() {
        assert_eq!(ActivityEntry::method_name(&Method::PATCH), "PATCH");
        let custom = Method::from_bytes(b"get").expect("a method is any token");
        assert_eq!(ActivityEntry::method_name(&custom), "OTHER");
    }
}
