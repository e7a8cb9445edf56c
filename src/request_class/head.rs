//! The head of a request, as classifiers and transports see it.

use std::fmt;

use http::{HeaderMap, HeaderName, Method, Request, Uri, header::AUTHORIZATION};

use super::{header_occurrence::HeaderOccurrence, request_headers::RequestHeaders};

/// The method, URI and headers of a request; borrowed, cheap to copy.
///
/// Its `Debug` shows neither headers nor query: they contain tokens.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    /// Found already by a pass over the headers.
    authorization: Option<HeaderOccurrence<'a>>,
}

impl<'a> RequestHead<'a> {
    /// The head of `request`.
    #[must_use]
    pub fn new<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            authorization: None,
        }
    }

    /// The head of `request`, whose headers were looked through before.
    pub(crate) fn with_headers<B>(request: &'a Request<B>, found: &RequestHeaders<'a>) -> Self {
        Self { authorization: Some(found.authorization), ..Self::new(request) }
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &'a Method {
        self.method
    }

    /// The URI as the client sent it.
    #[must_use]
    pub const fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// The path as the client sent it: not decoded, not normalised, without the query. `*` for
    /// `OPTIONS *`, empty for `CONNECT`.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.uri.path()
    }

    /// The headers.
    #[must_use]
    pub const fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The header field `name`, which may occur once.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> HeaderOccurrence<'a> {
        HeaderOccurrence::from_headers(self.headers, name)
    }

    /// A request with this head and no body, for what outlives the request.
    pub(crate) fn to_request(self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// The header field `Authorization`.
    #[inline]
    pub(crate) fn authorization(&self) -> HeaderOccurrence<'a> {
        self.authorization.unwrap_or_else(|| self.header(&AUTHORIZATION))
    }
}

impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_shows_what_the_client_sent() {
        let mut request = Request::new(());
        *request.uri_mut() = "https://example.com/caf%C3%A9?q=1".parse().expect("a URI");
        request.headers_mut().insert("x-kind", "poll".parse().expect("a header value"));
        let head = RequestHead::new(&request);
        assert_eq!((head.method(), head.path()), (&Method::GET, "/caf%C3%A9"));
        assert_eq!(head.uri().query(), Some("q=1"));
        assert_eq!(head.headers()["x-kind"], "poll");
    }

    #[test]
    fn an_authorization_that_was_found_before_is_the_same() {
        let mut request = Request::new(());
        for (value, occurs) in [("Bearer a", 1), ("Bearer b", 2)] {
            request.headers_mut().append(AUTHORIZATION, value.parse().expect("a header value"));
            let found = RequestHeaders::new(request.headers());
            for head in [RequestHead::new(&request), RequestHead::with_headers(&request, &found)] {
                for authorization in [head.authorization(), head.header(&AUTHORIZATION)] {
                    let is_found = match authorization {
                        HeaderOccurrence::Absent => false,
                        HeaderOccurrence::Once(first) => occurs == 1 && first == value,
                        HeaderOccurrence::Repeated => occurs == 2,
                    };
                    assert!(is_found, "{occurs}");
                }
            }
        }
    }

    #[test]
    fn p10_debug_shows_no_header_and_no_query() {
        let mut request = Request::new(());
        *request.uri_mut() = "/events?ticket=secret".parse().expect("a URI");
        request.headers_mut().insert("cookie", "secret".parse().expect("a header value"));
        let shown = format!("{:?}", RequestHead::new(&request));
        assert!(!shown.contains("secret") && !shown.contains("cookie"), "{shown}");
    }
}
