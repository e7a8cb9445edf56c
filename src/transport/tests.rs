use http::HeaderValue;

use super::*;

fn headers(list: &[(HeaderName, &'static str)]) -> HeaderMap {
    list.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
}

fn all() -> Vec<Transport> {
    vec![
        Transport::Bearer,
        Transport::Cookie(SessionCookie::new()),
        Transport::Header(HeaderName::from_static("x-token")),
    ]
}

fn presented(headers: &HeaderMap) -> Presented<'_> {
    read(&all(), HeaderOccurrence::from_headers(headers, &AUTHORIZATION), headers)
}

#[test]
fn the_first_transport_that_presents_something_decides() {
    let x_token = HeaderName::from_static("x-token");
    let cases: [(&[(HeaderName, &'static str)], Presented<'_>); 11] = [
        (&[], Presented::Nothing),
        (&[(AUTHORIZATION, "Basic abc")], Presented::Nothing),
        (&[(AUTHORIZATION, "Bearer abc")], Presented::Token(b"abc", TokenOrigin::Header)),
        (&[(AUTHORIZATION, "bEARER   abc ")], Presented::Token(b"abc", TokenOrigin::Header)),
        (&[(AUTHORIZATION, "Bearer")], Presented::Unreadable),
        (&[(AUTHORIZATION, "Bearer  ")], Presented::Unreadable),
        (&[(AUTHORIZATION, "Bearer a"), (AUTHORIZATION, "Bearer a")], Presented::Unreadable),
        (
            &[(COOKIE, "a=b; __Host-session=abc; c=d")],
            Presented::Token(b"abc", TokenOrigin::Cookie),
        ),
        (&[(COOKIE, "__Host-session=a; __Host-session=b")], Presented::Unreadable),
        (
            &[(AUTHORIZATION, "Bearer a"), (COOKIE, "__Host-session=b")],
            Presented::Token(b"a", TokenOrigin::Header),
        ),
        (&[(x_token, "abc")], Presented::Token(b"abc", TokenOrigin::Header)),
    ];
    for (list, expected) in cases {
        assert_eq!(presented(&headers(list)), expected, "{list:?}");
    }
}

#[test]
fn two_cookie_headers_are_read_as_one() {
    let split = headers(&[(COOKIE, "__Host-session=a"), (COOKIE, "__Host-session=b")]);
    assert_eq!(presented(&split), Presented::Unreadable);
    let once = headers(&[(COOKIE, "x=y"), (COOKIE, "__Host-session=b")]);
    assert_eq!(presented(&once), Presented::Token(b"b", TokenOrigin::Cookie));
}

#[test]
fn a_cookie_is_written_for_the_host_alone() {
    let written = SessionCookie::new().set("a.b.c", std::time::Duration::from_secs(60));
    assert!(written.is_sensitive());
    assert_eq!(written, "__Host-session=a.b.c; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60");
    let insecure = SessionCookie::new().dangerous_insecure();
    assert_eq!(insecure.name(), "session");
    assert_eq!(insecure.clear(), "session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
}

#[test]
fn a_cookie_that_no_browser_would_keep_is_refused() {
    for (name, path) in
        [("", "/"), ("a b", "/"), ("a=b", "/"), ("a", "x"), ("a", "/;x"), ("__Host-a", "/app")]
    {
        assert!(SessionCookie::named(name, path).is_err(), "{name} {path}");
    }
    assert!(SessionCookie::named("sid", "/app").is_ok());
}
