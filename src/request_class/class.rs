//! The three classes of requests.

use http::{Method, Request};

use super::activity_header::says_background;

/// What a request means for its session.
///
/// Layers read it from the request's extensions. A request without one is a [`User`](Self::User)
/// request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum RequestClass {
    /// Authenticated; counts as activity and may renew the token. The default.
    #[default]
    User,
    /// Authenticated; neither counts as activity nor renews the token: polling, prefetching,
    /// health displays.
    Background,
    /// Not authenticated.
    Public,
}

impl RequestClass {
    /// Returns the name of the class in logs: `user`, `background` or `public`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Background => "background",
            Self::Public => "public",
        }
    }

    /// Returns the class that `name` is the [name](Self::as_str) of.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::User, Self::Background, Self::Public].into_iter().find(|it| it.as_str() == name)
    }

    /// The class to treat `request` as: the one in its extensions, except that `OPTIONS` and the
    /// header `Session-Activity: background` lower `User` to `Background`.
    ///
    /// Nothing that a client sends makes a request `Public`, or makes a `Background` request count.
    pub(crate) fn from_request<B>(request: &Request<B>) -> Self {
        let says_background = || says_background(request.headers());
        Self::assigned(request).lowered(request.method(), says_background)
    }

    /// Lowers `User` to `Background` for `OPTIONS` and where the client declares it.
    pub(crate) fn lowered(self, method: &Method, says_background: impl FnOnce() -> bool) -> Self {
        match self {
            Self::User if *method == Method::OPTIONS || says_background() => Self::Background,
            class => class,
        }
    }

    /// The class in the request's extensions. It alone decides whether the request is `Public`.
    pub(crate) fn assigned<B>(request: &Request<B>) -> Self {
        request.extensions().get().copied().unwrap_or_default()
    }
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

    fn class_of(method: Method, activity: &[&str]) -> RequestClass {
        RequestClass::from_request(&request(method, activity))
    }

    #[test]
    fn a_request_without_a_class_is_a_user_request() {
        assert_eq!(class_of(Method::GET, &[]), User);
    }

    #[test]
    fn p27_no_method_bypasses_authentication() {
        for method in ["GET", "HEAD", "POST", "TRACE", "CONNECT", "PURGE", "options"] {
            assert_eq!(class_of(method.parse().expect("a method"), &[]), User);
        }
        assert_eq!(class_of(Method::OPTIONS, &[]), Background);
    }

    #[test]
    fn the_class_in_the_extensions_is_never_raised() {
        for (given, lowered) in [(User, Background), (Background, Background), (Public, Public)] {
            let mut options = request(Method::OPTIONS, &[]);
            options.extensions_mut().insert(given);
            assert_eq!(RequestClass::from_request(&options), lowered);

            let mut declared = request(Method::POST, &["background"]);
            declared.extensions_mut().insert(given);
            assert_eq!(RequestClass::from_request(&declared), lowered);

            let mut plain = request(Method::POST, &["user"]);
            plain.extensions_mut().insert(given);
            assert_eq!(RequestClass::from_request(&plain), given);
        }
    }

    #[test]
    fn p17_the_header_lowers_the_class_and_any_other_value_is_ignored() {
        for value in
            ["background", "Background", " BACKGROUND\t", "background, user", "user,background"]
        {
            assert_eq!(class_of(Method::GET, &[value]), Background, "{value:?}");
        }
        for value in ["", "public", "user", "user, user", "backgrounds", "bäckground"] {
            assert_eq!(class_of(Method::GET, &[value]), User, "{value:?}");
        }
        assert_eq!(class_of(Method::GET, &["background", "background"]), Background);
        assert_eq!(class_of(Method::GET, &["background", "user"]), Background);
        assert_eq!(class_of(Method::GET, &["user", "background"]), Background);
        assert_eq!(class_of(Method::GET, &["user", "public"]), User);
    }
}
