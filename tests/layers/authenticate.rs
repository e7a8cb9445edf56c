//! Which tokens authenticate, and why others are rejected.

use std::{sync::Arc, time::Duration};

use http::{Method, Request, StatusCode};
use tower::{Layer, ServiceExt, service_fn};
use tower_sliding_session::{
    JwtKeys, ManualClock, PathRules, Policy, Profiles, RejectionKind, Session, Timestamp,
    layers::AuthenticateLayer,
    rejection::InvalidTokenReason,
    request_class::{HeaderOccurrence, RequestHead},
    sessions::SlidingSessionsBuilder,
    token::TokenVerifier,
    transport::{PresentedToken, Transport, mark_sensitive},
};

use crate::test_stack::{
    BEGIN, HOUR, MILLI, MINUTE, SECRET, TestStack, by, cached_tokens, claims,
    faulty_store::{FaultyStore, StoreBehavior},
    forge, ok, patient, rejected, signed, with,
};

const INVALID: Option<RejectionKind> = Some(RejectionKind::InvalidToken);
const MISSING: Option<RejectionKind> = Some(RejectionKind::MissingToken);

/// The payload of a valid token with `more` members.
fn payload(more: &str) -> String {
    let now = BEGIN.as_secs();
    let exp = now + 3600;
    format!(r#"{{"sub":"ada","sid":"s1","auth_time":{now},"iat":{now},"exp":{exp}{more}}}"#)
}

async fn rejection_of(token: &str) -> Option<RejectionKind> {
    rejected(&TestStack::new(patient()).get(token).await)
}

#[tokio::test]
async fn a_valid_token_inserts_a_session() {
    assert_eq!(rejection_of(&signed(&payload(""))).await, None);
}

#[tokio::test]
async fn no_credentials_are_missing_token_and_bad_ones_invalid_token() {
    let stack = TestStack::new(patient());
    for (authorization, expected) in [
        (None, MISSING),
        (Some("Basic YTpi"), MISSING),
        (Some("Bearer"), INVALID),
        (Some("Bearer "), INVALID),
        (Some("Bearer nonsense"), INVALID),
        (Some("Bearer a.b.c"), INVALID),
        (Some("Bearer a.b.c.d"), INVALID),
    ] {
        let mut request = Request::new(());
        if let Some(value) = authorization {
            request.headers_mut().insert("authorization", value.parse().expect("a value"));
        }
        assert_eq!(rejected(&stack.send(request).await), expected, "{authorization:?}");
    }
}

#[tokio::test]
async fn two_authorization_headers_are_invalid() {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    let request = by(Method::GET, &token).header("authorization", format!("Bearer {token}"));
    assert_eq!(rejected(&stack.send(request.body(()).expect("a request")).await), INVALID);
}

#[tokio::test]
async fn optional_rejects_an_invalid_token() {
    let stack = TestStack::with(patient(), SlidingSessionsBuilder::optional);
    let anonymous = async |request: Request<()>| {
        assert!(request.extensions().get::<Session>().is_none());
        ok()
    };
    assert_eq!(rejected(&stack.send_to(anonymous, Request::new(())).await), None);
    assert_eq!(rejected(&stack.get("a.b.c").await), INVALID);
    let token = stack.sign_in().await;
    assert_eq!(rejected(&stack.get(&token).await), None);
    let expired = stack.at(HOUR).get(&token).await;
    assert_eq!(rejected(&expired), Some(RejectionKind::TokenExpired));
}

#[tokio::test]
async fn every_byte_of_a_token_is_signed() {
    let token = signed(&payload(""));
    let stack = TestStack::new(patient());
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).expect("ASCII");
        assert_eq!(rejected(&stack.get(&changed).await), INVALID, "byte {at}");
    }
}

#[tokio::test]
async fn p11_only_the_algorithm_of_the_key_is_accepted() {
    let valid = payload("");
    for header in [
        r#"{"alg":"none","typ":"JWT"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"HS384","typ":"JWT"}"#,
        r#"{"alg":"RS256","typ":"JWT"}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256","kid":"unknown"}"#,
        r#"{"alg":"HS256","typ":"rt+jwt"}"#,
        r#"{"alg":"HS256","typ":"logout+jwt"}"#,
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":null}"#,
        r#"{"alg":"HS256","typ":null}"#,
        r#"{"alg":"HS256","typ":"x/jwt"}"#,
        r#"{"alg":"HS256","typ":"application/application/jwt"}"#,
        r#"["HS256",null,"JWT",null]"#,
        "[]",
        "{",
    ] {
        assert_eq!(rejection_of(&forge(header, &valid, &SECRET)).await, INVALID, "{header}");
    }
    let unsigned = forge(r#"{"alg":"none"}"#, &valid, &SECRET);
    let unsigned = &unsigned[..=unsigned.rfind('.').expect("three parts")];
    assert_eq!(rejection_of(unsigned).await, INVALID);
}

#[tokio::test]
async fn p11_a_key_in_the_token_header_is_ignored() {
    let own = [9; 32];
    let jwk =
        r#"{"alg":"HS256","jwk":{"kty":"oct","k":"CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk"}}"#;
    let jku = r#"{"alg":"HS256","jku":"https://evil.example/keys","x5u":"https://evil.example"}"#;
    for header in [jwk, jku] {
        assert_eq!(rejection_of(&forge(header, &payload(""), &own)).await, INVALID, "{header}");
        assert_eq!(rejection_of(&forge(header, &payload(""), &SECRET)).await, None, "{header}");
    }
}

#[tokio::test]
async fn every_access_token_type_is_accepted() {
    for typ in [
        "JWT",
        "jwt",
        "application/jwt",
        "Application/JWT",
        "at+jwt",
        "application/at+jwt",
        "AT+JWT",
    ] {
        let header = format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#);
        assert_eq!(rejection_of(&forge(&header, &payload(""), &SECRET)).await, None, "{typ}");
    }
    assert_eq!(rejection_of(&forge(r#"{"alg":"HS256"}"#, &payload(""), &SECRET)).await, None);
}

#[tokio::test]
async fn a_token_over_eight_kibibytes_is_invalid() {
    let of_length = |length: usize| {
        (0..1000)
            .map(|pad| signed(&payload(&format!(r#","pad":"{}""#, "x".repeat(5500 + pad)))))
            .find(|token| token.len() >= length)
            .expect("a secret of at least 32 bytes")
    };
    let longest = of_length(8192);
    assert_eq!(longest.len(), 8192);
    assert_eq!(rejection_of(&longest).await, None);
    assert_eq!(rejection_of(&of_length(8193)).await, INVALID);
}

#[tokio::test]
async fn p13_numbers_out_of_range_are_invalid_and_never_panic() {
    for (member, expected) in [
        (r#","nbf":0"#, None),
        (r#","nbf":-1"#, INVALID),
        (r#","nbf":253402300800"#, INVALID),
        (r#","nbf":"0""#, INVALID),
        (r#","nbf":1e400"#, INVALID),
        (r#","idle_max":18446744073709551615"#, INVALID),
        (r#","abs_max":9223372036854775808"#, INVALID),
        (r#","epoch":null"#, INVALID),
        (r#","seen":true"#, INVALID),
        (r#","abs_max":253402300799"#, None),
        (r#","exp":1"#, INVALID),
        (r#","sub":"eve""#, INVALID),
    ] {
        assert_eq!(rejection_of(&signed(&payload(member))).await, expected, "{member}");
    }
}

#[tokio::test]
async fn p12_nbf_and_iat_may_be_late_by_the_clock_skew_only() {
    let skew = 5;
    for (ahead, expected) in [(skew - 1, None), (skew, None), (skew + 1, INVALID)] {
        let at = BEGIN.as_secs() + ahead;
        assert_eq!(
            rejection_of(&signed(&payload(&format!(r#","nbf":{at}"#)))).await,
            expected,
            "{ahead}"
        );
        let early = signed(&format!(
            r#"{{"sub":"ada","sid":"s1","auth_time":{},"iat":{at},"exp":{}}}"#,
            BEGIN.as_secs(),
            at + 3600
        ));
        assert_eq!(rejection_of(&early).await, expected, "iat {ahead}");
        let signed_in = signed(&format!(
            r#"{{"sub":"ada","sid":"s1","auth_time":{at},"iat":{},"exp":{}}}"#,
            BEGIN.as_secs(),
            at + 3600
        ));
        assert_eq!(rejection_of(&signed_in).await, expected, "auth_time {ahead}");
    }
}

#[tokio::test]
async fn p12_the_clock_skew_is_exact_to_the_millisecond() {
    let ahead = signed(&payload(&format!(r#","nbf":{}"#, BEGIN.as_secs() + 6)));
    for (after, expected) in [(999, INVALID), (1000, None), (1001, None)] {
        let stack = TestStack::new(patient());
        let response = stack.at(Duration::from_millis(after)).get(&ahead).await;
        assert_eq!(rejected(&response), expected, "{after} ms");
    }
}

#[tokio::test]
async fn a_token_expires_at_its_exp_plus_leeway() {
    let expired = Some(RejectionKind::TokenExpired);
    for leeway in [Duration::ZERO, Duration::from_secs(2)] {
        let policy = patient().to_builder().leeway(leeway).build().expect("a legal configuration");
        for (at, expected) in [
            (HOUR + leeway - MILLI, None),
            (HOUR + leeway, expired),
            (HOUR + leeway + MILLI, expired),
        ] {
            let stack = TestStack::new(policy.clone());
            let token = stack.sign_in().await;
            assert_eq!(rejected(&stack.at(at).get(&token).await), expected, "{at:?}");
        }
    }
}

#[tokio::test]
async fn the_absolute_deadline_has_no_leeway() {
    let policy = Policy::builder()
        .idle_timeout(HOUR)
        .absolute_timeout(HOUR)
        .token_lifetime(HOUR)
        .leeway(Duration::from_secs(120))
        .max_clock_skew(Duration::from_secs(120))
        .build()
        .expect("a legal configuration");
    let stack = TestStack::new(policy);
    let token = stack.sign_in().await;
    let expired = stack.at(HOUR).get(&token).await;
    assert_eq!(rejected(&expired), Some(RejectionKind::SessionExpiredAbsolute));
}

#[tokio::test]
async fn an_expired_token_is_rejected_with_the_reason_of_its_session() {
    let policy = || Policy::builder().build().expect("a legal configuration");
    let stack = TestStack::new(policy());
    let token = stack.sign_in().await;
    let idle = stack.at(HOUR + MILLI).get(&token).await;
    assert_eq!(rejected(&idle), Some(RejectionKind::SessionExpiredIdle));

    let stack = TestStack::new(policy());
    let token = stack.sign_in().await;
    for minutes in (15..60).step_by(15) {
        assert_eq!(rejected(&stack.at(minutes * MINUTE).get(&token).await), None);
    }
    assert_eq!(rejected(&stack.at(HOUR).get(&token).await), Some(RejectionKind::TokenExpired));
    let sid = claims(&token)["sid"].as_str().expect("a name").to_owned();
    stack.sessions.revoke(&sid).await.expect("the session is revoked");
    assert_eq!(rejected(&stack.get(&token).await), Some(RejectionKind::SessionRevoked));
}

#[tokio::test]
async fn p24_the_authenticating_layer_asks_no_store_for_an_unexpired_token() {
    let store = Arc::new(FaultyStore::new(StoreBehavior::Failing));
    let clock = ManualClock::new(BEGIN);
    let keys = Arc::new(JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes"));
    let verifier = TokenVerifier::new(keys).cached_tokens(cached_tokens());
    let layer = AuthenticateLayer::new(verifier, Profiles::new(patient()))
        .store(Arc::clone(&store))
        .clock(Arc::new(clock.clone()));
    let service = layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
    }));
    let token = signed(&payload(""));
    let answer = service.clone().oneshot(with(&token)).await.expect("infallible");
    assert_eq!((answer.status(), store.gets()), (StatusCode::OK, 0));
    clock.set(BEGIN + HOUR);
    let answer = service.oneshot(with(&token)).await.expect("infallible");
    assert_eq!((answer.status(), store.gets()), (StatusCode::UNAUTHORIZED, 1));
}

#[tokio::test]
async fn a_token_of_another_iss_or_aud_is_rejected() {
    let ours = || {
        TestStack::with(patient(), |builder| {
            builder.issuer("https://id.example").audience("https://api.example")
        })
    };
    let iss = r#","iss":"https://id.example""#;
    let aud = r#","aud":"https://api.example""#;
    for (more, expected) in [
        (format!("{iss}{aud}"), None),
        (format!(r#"{iss},"aud":["other","https://api.example"]"#), None),
        (format!(r#"{iss},"aud":["other"]"#), INVALID),
        (format!(r#"{iss},"aud":[]"#), INVALID),
        (format!(r#"{iss},"aud":7"#), INVALID),
        (iss.to_owned(), INVALID),
        (aud.to_owned(), INVALID),
        (format!(r#","iss":"https://evil.example"{aud}"#), INVALID),
    ] {
        let response = ours().get(&signed(&payload(&more))).await;
        assert_eq!(rejected(&response), expected, "{more}");
    }
    assert_eq!(rejection_of(&signed(&payload(aud))).await, INVALID, "the verifier has no audience");
    let stack = ours();
    let token = stack.sign_in().await;
    assert_eq!(rejected(&stack.get(&token).await), None);
}

#[tokio::test]
async fn p27_every_method_is_authenticated() {
    let stack = TestStack::new(patient());
    for method in ["GET", "HEAD", "POST", "OPTIONS", "TRACE", "CONNECT", "PURGE", "options"] {
        let request = Request::builder().method(method).body(()).expect("a request");
        assert_eq!(rejected(&stack.send(request).await), MISSING, "{method}");
    }
}

#[tokio::test]
async fn p27_allow_preflight_answers_a_preflight_itself() {
    let stack = TestStack::with(patient(), SlidingSessionsBuilder::allow_preflight);
    let inside = async |_: Request<()>| -> http::Response<String> { panic!("it went inward") };
    let preflight = |names: &[&str]| {
        let mut request = Request::builder().method(Method::OPTIONS);
        for name in names {
            request = request.header(*name, "POST");
        }
        request.body(()).expect("a request")
    };
    let asked = preflight(&["origin", "access-control-request-method"]);
    let response = stack.send_to(inside, asked).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    for names in [&["origin"][..], &["access-control-request-method"], &[]] {
        assert_eq!(rejected(&stack.send_to(inside, preflight(names)).await), MISSING, "{names:?}");
    }
}

#[tokio::test]
async fn p25_a_public_path_is_not_authenticated_and_its_encoded_variants_are() {
    let stack =
        TestStack::with(patient(), |builder| builder.path_rules(PathRules::new().public("/login")));
    for (path, expected) in [
        ("/login", None),
        ("/login?next=/", None),
        ("/login/", MISSING),
        ("//login", MISSING),
        ("/x/../login", MISSING),
        ("/%6Cogin", MISSING),
        ("/%6cogin", MISSING),
        ("/login;x=1", MISSING),
        ("/login%2F", MISSING),
        ("/Login", MISSING),
    ] {
        let request = Request::builder().uri(path).body(()).expect("a request");
        assert_eq!(rejected(&stack.send(request).await), expected, "{path}");
    }
    let bad = by(Method::GET, "a.b.c").uri("/login").body(()).expect("a request");
    assert_eq!(rejected(&stack.send(bad).await), None);
}

#[tokio::test]
async fn p21_every_sign_in_has_a_new_sid() {
    let stack = TestStack::new(patient());
    let (first, second) = (stack.sign_in().await, stack.sign_in().await);
    for claim in ["sid", "jti"] {
        assert_ne!(claims(&first)[claim], claims(&second)[claim], "{claim}");
    }
    assert_eq!(claims(&first)["auth_time"], Timestamp::as_secs(BEGIN));
}

#[tokio::test]
async fn p23_an_expired_token_in_an_outage_names_no_reason_of_the_store() {
    let sliding = Policy::sliding(HOUR, 12 * HOUR).expect("a legal configuration");
    for (policy, expected) in [
        (Policy::builder().build().expect("a legal configuration"), RejectionKind::TokenExpired),
        // Without an activity store the token alone proves the last activity.
        (sliding, RejectionKind::SessionExpiredIdle),
    ] {
        let store = Arc::new(FaultyStore::new(StoreBehavior::Ready));
        let stack = TestStack::with(policy, |builder| builder.store(Arc::clone(&store)));
        let token = stack.sign_in().await;
        store.behave(StoreBehavior::Failing);
        assert_eq!(rejected(&stack.at(HOUR).get(&token).await), Some(expected));
    }
}

/// `X-Gateway-Authorization: Token <token>`.
#[derive(Debug)]
struct Gateway;

impl Gateway {
    const NAME: http::HeaderName = http::HeaderName::from_static("x-gateway-authorization");
}

impl Transport for Gateway {
    fn read<'a>(&self, head: RequestHead<'a>) -> PresentedToken<'a> {
        match head.header(&Self::NAME) {
            HeaderOccurrence::Absent => PresentedToken::None,
            HeaderOccurrence::Repeated => {
                PresentedToken::Unreadable(InvalidTokenReason::SeveralTokens)
            }
            HeaderOccurrence::Once(value) => match value.as_bytes().strip_prefix(b"Token ") {
                Some(token) => PresentedToken::from_bytes(token),
                None => PresentedToken::None,
            },
        }
    }

    fn mark_sensitive(&self, headers: &mut http::HeaderMap) {
        mark_sensitive(headers, &Self::NAME);
    }
}

#[tokio::test]
async fn a_transport_of_the_application_reads_the_token() {
    let stack = TestStack::with(patient(), |builder| builder.transport(Gateway));
    let token = stack.sign_in().await;
    for (name, value, expected) in [
        (Gateway::NAME, format!("Token {token}"), None),
        (Gateway::NAME, "Token a.b.c".to_owned(), INVALID),
        (Gateway::NAME, "Token ".to_owned(), INVALID),
        (Gateway::NAME, token.clone(), MISSING),
        (http::header::AUTHORIZATION, format!("Bearer {token}"), MISSING),
    ] {
        let request = Request::get("/").header(name, value).body(()).expect("a request");
        assert_eq!(rejected(&stack.send(request).await), expected);
    }
    let due = stack.at(HOUR / 2 + MILLI);
    let request = Request::get("/").header(Gateway::NAME, format!("Token {token}")).body(());
    let response = due.send(request.expect("a request")).await;
    assert!(
        response.headers().contains_key("x-refreshed-token"),
        "the origin of the token is a header"
    );
}
