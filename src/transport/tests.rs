use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue, Request,
    header::{AUTHORIZATION, COOKIE, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};

use super::*;
use crate::{
    rejection::InvalidTokenReason::{self, NoToken},
    request_class::{RequestHead, RequestHeaders},
};

const MINUTE: Duration = Duration::from_secs(60);

fn request(list: &[(HeaderName, &'static str)]) -> Request<()> {
    let mut request = Request::new(());
    for (name, value) in list {
        request.headers_mut().append(name.clone(), HeaderValue::from_static(value));
    }
    request
}

fn transports() -> Transports {
    Transports::new()
        .with(Bearer::new())
        .with(SessionCookie::new())
        .with(HeaderToken::new(HeaderName::from_static("x-token")))
}

/// What the transports find, whether or not the headers were looked through before.
fn presented(request: &Request<()>) -> Presented<'_> {
    let found = RequestHeaders::new(request.headers());
    let presented = transports().read(RequestHead::with_headers(request, &found), 0);
    assert_eq!(presented, transports().read(RequestHead::new(request), 0));
    presented
}

const fn one(token: &[u8], origin: TokenOrigin) -> Presented<'_> {
    Presented::One(token, origin)
}

const fn unreadable(reason: InvalidTokenReason, origin: TokenOrigin) -> Presented<'static> {
    Presented::Unreadable(reason, origin)
}

#[test]
fn the_first_transport_that_finds_something_decides() {
    use TokenOrigin::{Cookie, Header};
    let x_token = HeaderName::from_static("x-token");
    let two = unreadable(InvalidTokenReason::SeveralTokens, Header);
    let cases: [(&[(HeaderName, &'static str)], Presented<'_>); 17] = [
        (&[], Presented::None),
        (&[(AUTHORIZATION, "Basic abc")], Presented::None),
        (&[(AUTHORIZATION, "Bearerabc")], Presented::None),
        (&[(AUTHORIZATION, "Bearer abc")], one(b"abc", Header)),
        (&[(AUTHORIZATION, "bEARER   abc ")], one(b"abc", Header)),
        (&[(AUTHORIZATION, "Bearer")], unreadable(NoToken, Header)),
        (&[(AUTHORIZATION, "Bearer  ")], unreadable(NoToken, Header)),
        (&[(AUTHORIZATION, "Bearer a"), (AUTHORIZATION, "Bearer a")], two),
        (&[(COOKIE, "a=b; __Host-session=abc; c=d")], one(b"abc", Cookie)),
        (&[(COOKIE, "__Host-session=")], unreadable(NoToken, Cookie)),
        (&[(COOKIE, "__Host-session=a; __Host-session=a")], one(b"a", Cookie)),
        (&[(AUTHORIZATION, "Bearer a"), (COOKIE, "__Host-session=b")], one(b"a", Header)),
        (&[(x_token.clone(), "abc")], one(b"abc", Header)),
        (&[(x_token.clone(), "")], unreadable(NoToken, Header)),
        (&[(x_token.clone(), "Bearer abc")], one(b"abc", Header)),
        (&[(x_token.clone(), "Bearer")], unreadable(NoToken, Header)),
        (&[(x_token.clone(), "a"), (x_token, "b")], two),
    ];
    for (list, expected) in cases {
        assert_eq!(presented(&request(list)), expected, "{list:?}");
    }
}

#[test]
fn several_cookie_headers_are_read_as_one() {
    let split = request(&[(COOKIE, "__Host-session=a"), (COOKIE, "__Host-session=b")]);
    let Presented::Several(several, TokenOrigin::Cookie) = presented(&split) else {
        panic!("two tokens");
    };
    assert_eq!(several.to_vec(), [b"a", b"b"]);
    let once = request(&[(COOKIE, "x=y"), (COOKIE, "__Host-session=b")]);
    assert_eq!(presented(&once), one(b"b", TokenOrigin::Cookie));
}

#[test]
fn p10_headers_that_carry_tokens_are_marked_sensitive() {
    let x_token = HeaderName::from_static("x-token");
    let other = HeaderName::from_static("x-other");
    let mut headers: HeaderMap = [
        (AUTHORIZATION, "Bearer a"),
        (COOKIE, "a=b"),
        (COOKIE, "__Host-session=b"),
        (x_token, "c"),
        (other, "d"),
    ]
    .map(|(name, value)| (name, HeaderValue::from_static(value)))
    .into_iter()
    .collect();
    transports().mark_sensitive(&mut headers);
    for (name, value) in &headers {
        assert_eq!(value.is_sensitive(), name != "x-other", "{name}");
    }
}

#[test]
fn a_cookie_is_restricted_to_its_host() {
    let written = SessionCookie::new().set("a.b.c", MINUTE).expect("a token");
    assert!(written.is_sensitive());
    assert_eq!(written, "__Host-session=a.b.c; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60");
    let insecure = SessionCookie::new().dangerous_insecure();
    assert_eq!(insecure.name(), "session");
    assert_eq!(insecure.clear(), "session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
}

#[test]
fn a_name_or_path_that_no_browser_accepts_is_an_error() {
    use CookieErrorKind::{HostPath, Name, Path};
    for (name, path, kind) in [
        ("", "/", Name),
        ("a b", "/", Name),
        ("a=b", "/", Name),
        ("a", "x", Path),
        ("a", "/;x", Path),
        ("a", "/ x", Path),
        ("__Host-a", "/app", HostPath),
        ("__Host-", "/app", HostPath),
        ("__host-a", "/app", HostPath),
        ("__HOST-Http-a", "/app", HostPath),
    ] {
        let error = SessionCookie::named(name, path).expect_err(name);
        assert_eq!(error.kind(), kind, "{name} {path}");
    }
    assert!(SessionCookie::named("sid", "/app").is_ok());
    assert!(SessionCookie::named("__Hostess", "/app").is_ok());
}

#[test]
fn an_insecure_cookie_has_no_prefix_that_requires_https() {
    for name in
        ["__Host-a", "__host-a", "__SECURE-a", "__Http-a", "__Host-Http-a", "__Secure-__Host-a"]
    {
        let cookie = SessionCookie::named(name, "/").expect("a cookie").dangerous_insecure();
        assert!(matches!(cookie.name(), "a" | "Http-a"), "{name}: {}", cookie.name());
    }
}

#[test]
fn a_name_that_is_only_a_prefix_stays_a_name() {
    let cookie = SessionCookie::named("__Host-", "/").expect("a cookie").dangerous_insecure();
    assert_eq!(cookie.name(), "__Host-");
}

#[test]
fn a_token_adds_no_attribute_and_no_cookie() {
    let cookie = SessionCookie::new();
    for token in [
        "",
        "x; Domain=evil",
        "x;Path=/a",
        "x, y=z",
        "x y",
        "x\r\nSet-Cookie: y=z",
        "\"x\"",
        "x\\y",
        "x\0",
        "é",
    ] {
        let error = cookie.set(token, MINUTE).expect_err(token);
        assert_eq!(error.kind(), CookieErrorKind::Token, "{token:?}");
        assert!(SetCookie::new(&cookie, token, MINUTE).is_err(), "{token:?}");
    }
    for token in ["a.b.c", "a-b_c~d+e/f=="] {
        assert!(cookie.set(token, MINUTE).is_ok(), "{token}");
    }
}

#[test]
fn p34_four_different_cookies_are_looked_at() {
    let text = "__Host-session=1; __Host-session=1; __Host-session=; __Host-session=2; \
                __Host-session=3; __Host-session=4; __Host-session=5";
    let request = request(&[(COOKIE, text)]);
    let Presented::Several(several, _) = presented(&request) else { panic!("several tokens") };
    assert_eq!(several.to_vec(), [b"1", b"2", b"3", b"4"]);
}

#[test]
fn p10_debug_shows_no_token_of_several_cookies() {
    let request = request(&[(COOKIE, "__Host-session=secret; __Host-session=x")]);
    let shown = format!("{:?}", presented(&request));
    assert!(shown.contains("SeveralTokens") && !shown.contains("secret"), "{shown}");
}

#[test]
fn a_domain_that_no_browser_accepts_is_an_error() {
    let cookie = || SessionCookie::named("session", "/").expect("a cookie");
    for domain in ["", ".", "a..b", "a b", "a;b", "a/b", "é.com", "a.com; Secure", "a.com:80"] {
        let error = cookie().domain(domain).expect_err(domain);
        assert_eq!(error.kind(), CookieErrorKind::Domain, "{domain}");
    }
    for domain in ["example.com", ".example.com", "localhost", "a-b.example"] {
        assert!(cookie().domain(domain).is_ok(), "{domain}");
    }
    let error = SessionCookie::new().domain("example.com").expect_err("__Host-");
    assert_eq!(error.kind(), CookieErrorKind::HostDomain);
    assert!(SessionCookie::new().dangerous_insecure().domain("example.com").is_ok());
}

#[test]
fn a_handshake_is_told_from_other_requests() {
    let offers = |method: &str, uri: &str, upgrade: &[&'static str]| {
        let mut request = request(&[(SEC_WEBSOCKET_PROTOCOL, "v1.app, bearer, a.b.c")]);
        *request.method_mut() = method.parse().expect("a method");
        *request.uri_mut() = uri.parse().expect("a URI");
        for field in upgrade {
            request.headers_mut().append(UPGRADE, HeaderValue::from_static(field));
        }
        websocket_protocol().read(RequestHead::new(&request)) == PresentedToken::One(b"a.b.c")
    };
    for (method, uri, upgrade, expected) in [
        ("GET", "/", &["websocket"][..], true),
        ("GET", "/", &["h2c, WebSocket"], true),
        ("GET", "/", &["h2c", " WEBSOCKET "], true),
        ("GET", "/", &[], false),
        ("GET", "/", &["websocket/13"], false),
        ("GET", "/", &["h2c"], false),
        ("POST", "/", &["websocket"], false),
        ("HEAD", "/", &["websocket"], false),
        ("OPTIONS", "/", &["websocket"], false),
        ("CONNECT", "https://example.com/chat", &[], true),
        ("CONNECT", "example.com:443", &[], false),
        ("CONNECT", "example.com:443", &["websocket"], false),
    ] {
        assert_eq!(offers(method, uri, upgrade), expected, "{method} {uri} {upgrade:?}");
    }
}

#[test]
fn the_subprotocols_of_a_handshake_are_one_list() {
    use InvalidTokenReason::SeveralTokens;
    const K8S: &str = "base64url.bearer.authorization.k8s.io.YQ";
    // The fields, what is read, what the handler gets, whether it is nothing but a token.
    let cases: [(&[&'static str], PresentedToken<'_>, Option<&str>, bool); 14] = [
        (&[], PresentedToken::None, None, false),
        (&["v1, v2"], PresentedToken::None, Some("v1, v2"), false),
        (&["v1 ,,\tv2"], PresentedToken::None, Some("v1 ,,\tv2"), false),
        (&["bearer, a"], PresentedToken::One(b"a"), Some("bearer"), false),
        (&["v1", "bearer", "a", "v2"], PresentedToken::One(b"a"), Some("v1, bearer, v2"), false),
        (&["bearer,,a,"], PresentedToken::One(b"a"), Some("bearer"), false),
        (&["v1, bearer"], PresentedToken::Unreadable(NoToken), Some("v1, bearer"), false),
        (&["Bearer, a"], PresentedToken::None, Some("Bearer, a"), false),
        (&[K8S], PresentedToken::Base64Url(b"YQ"), None, true),
        (&[K8S, "v1"], PresentedToken::Base64Url(b"YQ"), Some("v1"), false),
        (&[K8S, K8S], PresentedToken::Unreadable(SeveralTokens), None, true),
        (&["bearer, a", K8S], PresentedToken::Unreadable(SeveralTokens), Some("bearer"), false),
        (
            &["bearer, a, bearer, b"],
            PresentedToken::Unreadable(SeveralTokens),
            Some("bearer, bearer"),
            false,
        ),
        (
            &["base64url.bearer.authorization.k8s.io."],
            PresentedToken::Unreadable(NoToken),
            None,
            true,
        ),
    ];
    for (fields, read, kept, is_alone) in cases {
        let fields = fields.iter().map(|field| (SEC_WEBSOCKET_PROTOCOL, *field));
        let list: Vec<_> = [(UPGRADE, "websocket")].into_iter().chain(fields).collect();
        let mut request = request(&list);
        let head = RequestHead::new(&request);
        assert_eq!(websocket_protocol().read(head), read, "{list:?}");
        assert_eq!(offers_only_a_token(head), is_alone, "{list:?}");
        remove_token(&mut request);
        let left = request.headers().get(SEC_WEBSOCKET_PROTOCOL);
        assert_eq!(left.map(HeaderValue::as_bytes), kept.map(str::as_bytes), "{list:?}");
    }
}
