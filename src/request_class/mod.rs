//! What a request means for its session: it counts, it does not, or it needs none.
//!
//! ```
//! use tower_sliding_session::request_class::{Classify, Methods, PathRules, subtree};
//!
//! let rules = PathRules::new()
//!     .public("/login")
//!     .background(subtree("/documents/paginated"))
//!     .compile()?;
//! let classes = rules.otherwise(Methods::reads_are_background());
//! # drop(classes);
//! # Ok::<(), tower_sliding_session::request_class::PathRulesError>(())
//! ```

mod classify;
mod methods;
mod path_rules;
mod request_headers;

use http::{HeaderMap, HeaderName, Method, Request};

pub(crate) use self::request_headers::RequestHeaders;

pub use self::{
    classify::{Classify, Otherwise, RequestHead},
    methods::Methods,
    path_rules::{CompiledPathRules, PathPattern, PathRules, PathRulesError, subtree},
};
use crate::transport::HeaderOccurrence;

/// The header by which a client says that nobody sits before it.
const SESSION_ACTIVITY: HeaderName = HeaderName::from_static("session-activity");

/// What a request means for its session.
///
/// Layers read it from the request's extensions; a request without one is a [`User`](Self::User)
/// request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum RequestClass {
    /// Authenticated; counts as activity and may renew the token. The default.
    #[default]
    User,
    /// Authenticated; neither counts nor renews: polling, prefetching, health displays.
    Background,
    /// Not authenticated.
    Public,
}

impl RequestClass {
    /// The class `request` is treated as: the one in its extensions, where `OPTIONS` and the
    /// header `Session-Activity: background` lower `User` to `Background`.
    ///
    /// Nothing a client sends makes a request `Public`, or a `Background` request count.
    pub(crate) fn from_request<B>(request: &Request<B>) -> Self {
        let says_background = || says_background(request.headers());
        Self::assigned(request).lowered(request.method(), says_background)
    }

    /// As [`of`](Self::of), from the class in the extensions and what else is known.
    pub(crate) fn lowered(self, method: &Method, says_background: impl FnOnce() -> bool) -> Self {
        match self {
            Self::User if *method == Method::OPTIONS || says_background() => Self::Background,
            class => class,
        }
    }

    /// The class in the request's extensions: all there is to know of whether it is `Public`.
    pub(crate) fn assigned<B>(request: &Request<B>) -> Self {
        request.extensions().get().copied().unwrap_or_default()
    }
}

/// Whether the one value of `Session-Activity` is `background`; two values say nothing.
pub(crate) fn says_background(headers: &HeaderMap) -> bool {
    is_background(HeaderOccurrence::from_headers(headers, &SESSION_ACTIVITY))
}

fn is_background(activity: HeaderOccurrence<'_>) -> bool {
    let HeaderOccurrence::Once(value) = activity else { return false };
    value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"background")
}

#[cfg(test)]
mod tests {
    use super::{RequestClass::*, *};

    fn request(method: Method, activity: &[&str]) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = method;
        for value in activity {
            let value = value.parse().expect("a header value");
            request.headers_mut().append("session-activity", value);
        }
        request
    }

    #[test]
    fn a_request_without_a_class_is_the_users() {
        assert_eq!(RequestClass::from_request(&request(Method::GET, &[])), User);
    }

    #[test]
    fn p27_no_method_walks_past_authentication() {
        for method in ["GET", "HEAD", "POST", "TRACE", "CONNECT", "PURGE", "options"] {
            let method = method.parse().expect("a method");
            assert_eq!(RequestClass::from_request(&request(method, &[])), User);
        }
        assert_eq!(RequestClass::from_request(&request(Method::OPTIONS, &[])), Background);
    }

    #[test]
    fn the_class_in_the_extensions_is_never_raised() {
        for (given, lowered) in [(User, Background), (Background, Background), (Public, Public)] {
            let mut options = request(Method::OPTIONS, &[]);
            options.extensions_mut().insert(given);
            assert_eq!(RequestClass::from_request(&options), lowered);

            let mut announced = request(Method::POST, &["background"]);
            announced.extensions_mut().insert(given);
            assert_eq!(RequestClass::from_request(&announced), lowered);

            let mut plain = request(Method::POST, &["user"]);
            plain.extensions_mut().insert(given);
            assert_eq!(RequestClass::from_request(&plain), given);
        }
    }

    #[test]
    fn p17_the_header_lowers_and_any_other_value_is_ignored() {
        for value in ["background", "Background", " BACKGROUND\t"] {
            assert_eq!(
                RequestClass::from_request(&request(Method::GET, &[value])),
                Background,
                "{value:?}"
            );
        }
        for value in ["", "public", "user", "background, user", "backgrounds", "bäckground"] {
            assert_eq!(
                RequestClass::from_request(&request(Method::GET, &[value])),
                User,
                "{value:?}"
            );
        }
        assert_eq!(
            RequestClass::from_request(&request(Method::GET, &["background", "background"])),
            User
        );
        assert_eq!(
            RequestClass::from_request(&request(Method::GET, &["background", "user"])),
            User
        );
    }
}
