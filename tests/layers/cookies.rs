//! Tokens in cookies.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Request, Response, header::SET_COOKIE};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_sliding_session::{
    JwtKeys, Profiles, RejectionKind, SessionCookie,
    layers::{AuthenticateLayer, RenewLayer},
    token::TokenVerifier,
};

use crate::test_stack::{
    Answer, HOUR, MILLI, RENEWED, SECRET, TestStack, claims, ok, patient, rejected, renewed, with,
};

const INVALID: Option<RejectionKind> = Some(RejectionKind::InvalidToken);
const MISSING: Option<RejectionKind> = Some(RejectionKind::MissingToken);

fn cookies() -> TestStack {
    TestStack::with(patient(), |builder| builder.session_cookie(SessionCookie::new()))
}

fn bearer_and_cookies() -> TestStack {
    TestStack::with(patient(), |builder| builder.bearer().session_cookie(SessionCookie::new()))
}

/// A `GET /` with these `Cookie` headers.
fn carrying(cookies: &[&str]) -> Request<()> {
    let request = cookies.iter().fold(Request::builder(), |it, value| it.header("cookie", *value));
    request.body(()).expect("a request")
}

fn session(token: &str) -> String {
    format!("__Host-session={token}")
}

fn set_cookies(response: &Answer) -> Vec<String> {
    let values = response.headers().get_all(SET_COOKIE).iter();
    values.map(|value| value.to_str().expect("UTF-8").to_owned()).collect()
}

/// The token in the cookie `name` that a response sets.
fn token_of(response: &Answer, name: &str) -> Option<String> {
    set_cookies(response).iter().find_map(|cookie| {
        let value = cookie.strip_prefix(name)?.strip_prefix('=')?;
        Some(value.split(';').next()?.to_owned())
    })
}

fn mirror(path: &str) -> SessionCookie {
    SessionCookie::named("mirror", path).expect("a cookie")
}

/// A stack whose token is due for renewal.
async fn due(stack: TestStack) -> (TestStack, String) {
    let token = stack.sign_in().await;
    stack.at(HOUR / 2 + MILLI);
    (stack, token)
}

#[tokio::test]
async fn the_successor_of_a_cookie_token_is_in_the_cookie_only() {
    let (stack, token) = due(cookies()).await;
    let response = stack.send(carrying(&[&session(&token)])).await;
    let successor = token_of(&response, "__Host-session").expect("renewal is due");
    assert_ne!(successor, token);
    assert_eq!(claims(&successor)["sid"], claims(&token)["sid"]);
    let attributes = "; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=";
    let [cookie] = &set_cookies(&response)[..] else { panic!("one cookie") };
    assert!(cookie.starts_with(&format!("__Host-session={successor}{attributes}")), "{cookie}");
    assert!(response.headers()[SET_COOKIE].is_sensitive());
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(!response.headers().contains_key(RENEWED));
    let others = response.headers().iter().filter(|(name, _)| *name != SET_COOKIE);
    for (name, value) in others {
        assert!(
            !value.as_bytes().windows(8).any(|part| part == &successor.as_bytes()[..8]),
            "{name}"
        );
    }
    assert_eq!(rejected(&stack.send(carrying(&[&session(&successor)])).await), None);
}

#[tokio::test]
async fn the_successor_of_a_bearer_token_is_in_the_header_only() {
    let (stack, token) = due(bearer_and_cookies()).await;
    let response = stack.get(&token).await;
    assert!(renewed(&response).is_some());
    assert_eq!(set_cookies(&response), [""; 0]);
}

#[tokio::test]
async fn p03_a_response_that_sets_the_session_cookie_is_not_changed() {
    let cookie = SessionCookie::new();
    for value in [
        cookie.set("of.the.login", HOUR).expect("a token"),
        cookie.clear(),
        http::HeaderValue::from_static("__Host-session=x; Path=/"),
    ] {
        let (stack, token) = due(cookies()).await;
        let mut own = ok();
        own.headers_mut().append(SET_COOKIE, http::HeaderValue::from_static("theme=dark"));
        own.headers_mut().append(SET_COOKIE, value.clone());
        let handler = move |_| std::future::ready(own.clone());
        let response = stack.send_to(handler, carrying(&[&session(&token)])).await;
        assert_eq!(set_cookies(&response), ["theme=dark", value.to_str().expect("UTF-8")]);
        assert!(!response.headers().contains_key("cache-control"));
        assert_eq!(renewed(&response), None);
    }
}

#[tokio::test]
async fn p03_other_cookies_of_the_response_are_kept() {
    for name in ["theme", "__Host-session2", "__Host-sessio", "x__Host-session"] {
        let (stack, token) = due(cookies()).await;
        let foreign = format!("{name}=__Host-session=x; Path=/");
        let own = Response::builder().header(SET_COOKIE, &foreign).body("ok".to_owned());
        let own = own.expect("a response");
        let handler = move |_| std::future::ready(own.clone());
        let response = stack.send_to(handler, carrying(&[&session(&token)])).await;
        let set = set_cookies(&response);
        assert_eq!((set.len(), &set[0]), (2, &foreign));
        assert!(set[1].starts_with("__Host-session="), "{}", set[1]);
    }
}

#[tokio::test]
async fn p03_a_login_that_sets_the_cookie_gets_no_successor_of_a_bearer_token() {
    let (stack, token) = due(bearer_and_cookies()).await;
    let cookie = SessionCookie::new().set("of.the.login", HOUR).expect("a token");
    let own = Response::builder().header(SET_COOKIE, cookie).body("ok".to_owned());
    let response = stack.get_from(own.expect("a response"), &token).await;
    assert_eq!((renewed(&response), set_cookies(&response).len()), (None, 1));
}

#[tokio::test]
async fn a_mirror_cookie_holds_the_successor_in_the_header() {
    let mirrored = TestStack::with(patient(), |builder| builder.mirror_cookie(mirror("/app")));
    let (stack, token) = due(mirrored).await;
    let response = stack.get(&token).await;
    let successor = renewed(&response).expect("renewal is due");
    assert_eq!(token_of(&response, "mirror"), Some(successor));
    assert!(set_cookies(&response)[0].contains("; Path=/app; Secure; HttpOnly; SameSite=Lax;"));
    let own = Response::builder().header(SET_COOKIE, "mirror=; Path=/app").body("ok".to_owned());
    let (stack, token) = (stack.at(12 * HOUR), stack.sign_in().await);
    stack.clock.advance(HOUR / 2 + MILLI);
    let response = stack.get_from(own.expect("a response"), &token).await;
    assert_eq!(renewed(&response), None, "P3: the handler removes the mirror cookie");
    assert_eq!(set_cookies(&response), ["mirror=; Path=/app"]);
}

#[tokio::test]
async fn a_mirror_cookie_is_not_set_for_a_cookie_token() {
    let both = TestStack::with(patient(), |builder| {
        builder.session_cookie(SessionCookie::new()).mirror_cookie(mirror("/"))
    });
    let (stack, token) = due(both).await;
    let response = stack.send(carrying(&[&session(&token)])).await;
    assert!(token_of(&response, "__Host-session").is_some());
    assert_eq!((token_of(&response, "mirror"), renewed(&response)), (None, None));
}

#[tokio::test]
async fn the_session_cookie_is_found_among_others() {
    let stack = cookies();
    let cookie = session(&stack.sign_in().await);
    for (headers, expected) in [
        (vec![cookie.clone()], None),
        (vec![format!("theme=dark; {cookie}; lang=en")], None),
        (vec!["theme=dark".to_owned(), cookie.clone()], None),
        (vec!["__Host-session=".to_owned()], INVALID),
        (vec!["__Host-session=a.b.c".to_owned()], INVALID),
        (vec![cookie.replace("__Host-session", "__Host-session2")], MISSING),
        (vec![cookie.replace("__Host-session", "__host-session")], MISSING),
        (vec![], MISSING),
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        assert_eq!(rejected(&stack.send(carrying(&headers)).await), expected, "{headers:?}");
    }
    let bearer = with(cookie.trim_start_matches("__Host-session="));
    assert_eq!(rejected(&stack.send(bearer).await), MISSING, "no transport reads it");
}

#[tokio::test]
async fn the_first_transport_that_finds_a_token_is_used() {
    let bearer_first = bearer_and_cookies();
    let cookie_first =
        TestStack::with(patient(), |builder| builder.session_cookie(SessionCookie::new()).bearer());
    let token = bearer_first.sign_in().await;
    let cookie = session(&token);
    for (authorization, cookie, by_bearer, by_cookie) in [
        (format!("Bearer {token}"), "__Host-session=a.b.c", None, INVALID),
        ("Bearer a.b.c".to_owned(), cookie.as_str(), INVALID, None),
        ("Bearer".to_owned(), &cookie, INVALID, None),
        ("Basic YTpi".to_owned(), &cookie, None, None),
    ] {
        let mut request = carrying(&[cookie]);
        let value = authorization.parse().expect("a value");
        request.headers_mut().insert("authorization", value);
        assert_eq!(rejected(&bearer_first.send(request.clone()).await), by_bearer);
        assert_eq!(rejected(&cookie_first.send(request).await), by_cookie, "{authorization}");
    }
}

#[tokio::test]
async fn the_successor_goes_to_the_transport_of_the_token() {
    for (bearer_first, into_header) in [(true, true), (false, false)] {
        let stack = TestStack::with(patient(), |builder| {
            if bearer_first {
                builder.bearer().session_cookie(SessionCookie::new())
            } else {
                builder.session_cookie(SessionCookie::new()).bearer()
            }
        });
        let (stack, token) = due(stack).await;
        let mut request = with(&token);
        request.headers_mut().insert("cookie", session(&token).parse().expect("a value"));
        let response = stack.send(request).await;
        assert_eq!(renewed(&response).is_some(), into_header);
        assert_eq!(token_of(&response, "__Host-session").is_some(), !into_header);
    }
}

#[tokio::test]
async fn the_cookie_expires_with_its_token() {
    for (after, seconds) in
        [(Duration::from_secs(1801), 3600), (Duration::from_millis(1_801_500), 3599)]
    {
        let stack = cookies();
        let token = stack.sign_in().await;
        let response = stack.at(after).send(carrying(&[&session(&token)])).await;
        let set = set_cookies(&response);
        assert!(set[0].ends_with(&format!("; Max-Age={seconds}")), "{after:?}: {}", set[0]);
    }
}

#[tokio::test]
async fn without_cookie_delivery_a_cookie_token_is_not_renewed() {
    let stack = cookies();
    let token = stack.sign_in().await;
    stack.at(HOUR / 2 + MILLI);
    let keys = Arc::new(JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes"));
    let clock = Arc::new(stack.clock.clone());
    let verifier = TokenVerifier::new(Arc::clone(&keys));
    let service = ServiceBuilder::new()
        .layer(
            AuthenticateLayer::new(verifier, Profiles::new(patient()))
                .transports(SessionCookie::new())
                .clock(Arc::clone(&clock)),
        )
        .layer(RenewLayer::new(keys, Profiles::new(patient())).clock(clock))
        .service(service_fn(async |_: Request<()>| Ok::<_, Infallible>(ok())));
    let Ok(response) = service.oneshot(carrying(&[&session(&token)])).await;
    assert!(response.headers().is_empty(), "{:?}", response.headers());
}
