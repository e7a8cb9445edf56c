//! Who decides the class of a request.

use std::{fmt, sync::Arc};

use http::{HeaderMap, Method, Request};

use super::RequestClass;

/// Decides the class of a request from its head.
///
/// Closures are the simplest ones; [`PathRules`](super::PathRules) and
/// [`Methods`](super::Methods) come ready-made.
///
/// ```
/// use tower_sliding_session::request_class::{Classify, Methods, RequestClass, RequestHead};
///
/// let prefetch = |head: RequestHead<'_>| {
///     if head.headers().contains_key("purpose") {
///         RequestClass::Background
///     } else {
///         RequestClass::User
///     }
/// };
/// let classes = prefetch.otherwise(Methods::reads_are_background());
/// # drop(classes);
/// ```
pub trait Classify: Send + Sync + 'static {
    /// The class of the request with this head. Runs on every request, before authentication:
    /// what it reads is the client's word.
    fn classify(&self, head: RequestHead<'_>) -> RequestClass;

    /// Asks `second` wherever this one answers `User`: the first answer other than `User` wins.
    ///
    /// `User` is the absence of an answer, also where a rule says it outright.
    fn otherwise<C>(self, second: C) -> Otherwise<Self, C>
    where
        Self: Sized,
        C: Classify,
    {
        Otherwise { first: self, second }
    }
}

impl<F> Classify for F
where
    F: Fn(RequestHead<'_>) -> RequestClass + Send + Sync + 'static,
{
    fn classify(&self, head: RequestHead<'_>) -> RequestClass {
        self(head)
    }
}

impl Classify for Arc<dyn Classify> {
    fn classify(&self, head: RequestHead<'_>) -> RequestClass {
        (**self).classify(head)
    }
}

/// Two classifiers, the second asked where the first answers `User`; from
/// [`Classify::otherwise`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Otherwise<A, B> {
    first: A,
    second: B,
}

impl<A, B> Classify for Otherwise<A, B>
where
    A: Classify,
    B: Classify,
{
    fn classify(&self, head: RequestHead<'_>) -> RequestClass {
        match self.first.classify(head) {
            RequestClass::User => self.second.classify(head),
            class => class,
        }
    }
}

/// The part of a request that decides its class; borrowed, cheap to copy.
///
/// Its `Debug` leaves the headers out: they carry tokens.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    method: &'a Method,
    path: &'a str,
    headers: &'a HeaderMap,
}

impl<'a> RequestHead<'a> {
    /// The head of `request`.
    #[must_use]
    pub fn new<B>(request: &'a Request<B>) -> Self {
        Self { method: request.method(), path: request.uri().path(), headers: request.headers() }
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &'a Method {
        self.method
    }

    /// The path as the client sent it: not decoded, not normalised, without the query. `*` for
    /// `OPTIONS *`, empty for `CONNECT`.
    #[must_use]
    pub const fn path(&self) -> &'a str {
        self.path
    }

    /// The headers.
    #[must_use]
    pub const fn headers(&self) -> &'a HeaderMap {
        self.headers
    }
}

impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{RequestClass::*, *};

    fn always(class: RequestClass) -> Arc<dyn Classify> {
        Arc::new(move |_: RequestHead<'_>| class)
    }

    #[test]
    fn the_first_answer_other_than_user_wins() {
        let request = Request::new(());
        for (first, second, expected) in [
            (User, User, User),
            (User, Public, Public),
            (Background, Public, Background),
            (Public, Background, Public),
            (Public, User, Public),
        ] {
            let both = always(first).otherwise(always(second));
            assert_eq!(both.classify(RequestHead::new(&request)), expected);
        }
    }

    #[test]
    fn a_head_shows_what_was_sent() {
        let mut request = Request::new(());
        *request.uri_mut() = "https://example.com/caf%C3%A9?q=1".parse().expect("a URI");
        request.headers_mut().insert("x-kind", "poll".parse().expect("a header value"));
        let head = RequestHead::new(&request);
        assert_eq!((head.method(), head.path()), (&Method::GET, "/caf%C3%A9"));
        assert_eq!(head.headers()["x-kind"], "poll");
    }

    #[test]
    fn p10_debug_hides_the_headers() {
        let mut request = Request::new(());
        request.headers_mut().insert("cookie", "secret".parse().expect("a header value"));
        let shown = format!("{:?}", RequestHead::new(&request));
        assert!(!shown.contains("secret") && !shown.contains("cookie"), "{shown}");
    }
}
