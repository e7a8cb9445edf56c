//! No token is minted that its verifier or its carrier would not take back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{
    Request,
    header::{COOKIE, SET_COOKIE},
};
use serde_json::{Value, json};
use tower_sliding_session::{
    Grant, JwtKeys, MaybeReady, RejectionKind, Session, SessionCookie, StartError,
    sessions::SlidingSessionsBuilder,
    store::ListQuery,
    token::{Algorithm, ClaimsSource, ClaimsUpdate, SigningKey, VerifiedToken},
    transport::CookieErrorKind,
};

use crate::test_stack::{
    HOUR, MILLI, TestStack, claims, ok, patient, recorded_log::RecordedLog, rejected, renewed, with,
};

/// What the verifier accepts, in bytes.
const MAX_TOKEN: usize = 8 * 1024;
/// What every browser keeps of a cookie, in bytes.
const MAX_COOKIE: usize = 4096;

fn mirror(path: &str) -> SessionCookie {
    SessionCookie::named("mirror", path).expect("a cookie")
}

/// Claims whose JSON grows by one byte with each of `length`.
fn fill(length: usize) -> Value {
    json!({ "fill": "x".repeat(length) })
}

async fn start(stack: &TestStack, length: usize) -> Result<Grant, StartError> {
    stack.sessions.start("ada").claims(&fill(length)).await
}

/// The longest [`fill`] with which a session starts.
async fn longest_fill(stack: &TestStack) -> usize {
    let (mut fits, mut fails) = (0, MAX_TOKEN);
    while fails - fits > 1 {
        let middle = usize::midpoint(fits, fails);
        match start(stack, middle).await {
            Ok(_) => fits = middle,
            Err(StartError::TokenTooLong(_)) => fails = middle,
            Err(other) => panic!("{other:?}"),
        }
    }
    fits
}

async fn sessions_of_ada(stack: &TestStack) -> usize {
    let scope = stack.sessions.user_scope(None, "ada");
    stack.sessions.sessions(scope, ListQuery::first(100)).await.expect("a list").items.len()
}

/// Claims of this fill, at each renewal and refresh.
struct Filled(Arc<AtomicUsize>);

impl ClaimsSource for Filled {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        let length = self.0.load(Ordering::Relaxed);
        MaybeReady::ready(Ok(ClaimsUpdate::replace(&fill(length)).expect("an object")))
    }
}

/// A stack whose claims source returns the fill of this number.
fn filled(
    set: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder,
) -> (TestStack, Arc<AtomicUsize>) {
    let length = Arc::new(AtomicUsize::new(1));
    let source = Filled(Arc::clone(&length));
    (TestStack::with(patient(), |builder| set(builder.claims_source(source))), length)
}

fn cookie_request(token: &str) -> Request<()> {
    let cookie = format!("__Host-session={token}");
    Request::get("/").header(COOKIE, cookie).body(()).expect("a request")
}

#[tokio::test]
async fn a_sign_in_whose_token_is_too_long_is_an_error_and_begins_no_session() {
    let with_cookie =
        |builder: SlidingSessionsBuilder| builder.session_cookie(SessionCookie::new());
    let stacks: [(TestStack, usize); 5] = [
        (TestStack::new(patient()), MAX_TOKEN),
        (TestStack::with(patient(), SlidingSessionsBuilder::refresh_tokens), MAX_TOKEN),
        (TestStack::with(patient(), with_cookie), MAX_COOKIE),
        (TestStack::with(patient(), |builder| with_cookie(builder.bearer())), MAX_COOKIE),
        (TestStack::with(patient(), |builder| builder.mirror_cookie(mirror("/"))), MAX_COOKIE),
    ];
    for (stack, limit) in stacks {
        let fits = longest_fill(&stack).await;
        let grant = start(&stack, fits).await.expect("the session starts");
        let longest = grant.refresh_token().map_or(0, str::len).max(grant.access_token().len());
        assert!(longest < limit && longest > limit - 240, "{longest} of {limit}");
        let begun = sessions_of_ada(&stack).await;
        let refused = start(&stack, fits + 1).await.expect_err("too long");
        let StartError::TokenTooLong(refused) = refused else { panic!("{refused:?}") };
        assert!(refused.length() > refused.limit(), "{refused}");
        assert!(refused.limit() < limit, "{refused}");
        assert_eq!(sessions_of_ada(&stack).await, begun);
    }
}

#[tokio::test]
async fn the_longest_token_of_a_sign_in_is_accepted_and_renewed() {
    let stack = TestStack::new(patient());
    let fits = longest_fill(&stack).await;
    let token = start(&stack, fits).await.expect("the session starts").access_token().to_owned();
    assert_eq!(rejected(&stack.get(&token).await), None);
    // A handler of a background request replaces the claims: the successor also states `seen`.
    let handler = async |request: Request<()>| {
        let session = request.extensions().get::<Session>().expect("authenticated");
        let same = claims(request.headers()["x-token"].to_str().expect("ASCII"));
        session.replace_claims(&json!({ "fill": same["fill"] })).expect("an object");
        ok()
    };
    let mut request = with(&token);
    request.headers_mut().insert("session-activity", "background".parse().expect("a value"));
    request.headers_mut().insert("x-token", token.parse().expect("a value"));
    let successor = renewed(&stack.send_to(handler, request).await).expect("claims are replaced");
    assert!(successor.len() > token.len() && claims(&successor).get("seen").is_some());
    assert_eq!(rejected(&stack.get(&successor).await), None);
    stack.at(HOUR / 2 + MILLI);
    let successor = renewed(&stack.get(&successor).await).expect("renewal is due");
    assert_eq!(rejected(&stack.get(&successor).await), None);
}

#[tokio::test]
async fn a_successor_that_is_too_long_is_not_minted_and_a_warning_says_so() {
    let (stack, length) = filled(|builder| builder.bearer().session_cookie(SessionCookie::new()));
    let token = start(&stack, 1).await.expect("the session starts").access_token().to_owned();
    stack.at(HOUR / 2 + MILLI);
    for (claims, in_header, in_cookie) in
        [(7000, false, false), (3500, true, false), (2000, true, true)]
    {
        length.store(claims, Ordering::Relaxed);
        for (request, expected) in [(with(&token), in_header), (cookie_request(&token), in_cookie)]
        {
            let (log, guard) = RecordedLog::start();
            // A mint that failed frees the gate after a second; one that succeeded after a minute.
            stack.clock.advance(Duration::from_secs(61));
            let response = stack.send(request).await;
            drop(guard);
            assert_eq!(rejected(&response), None, "{claims}");
            let minted = renewed(&response).or_else(|| {
                let cookie = response.headers().get(SET_COOKIE)?.to_str().expect("ASCII");
                assert!(cookie.len() <= MAX_COOKIE);
                Some(cookie.to_owned())
            });
            assert_eq!(minted.is_some(), expected, "{claims}");
            let warned = log.text().contains("WARN") && log.text().contains("not renewed");
            assert_eq!(warned, !expected, "{claims}: {}", log.text());
        }
    }
}

#[tokio::test]
async fn claims_that_a_handler_replaces_are_bounded_too() {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    for (length, expected) in [(7000, false), (5000, true)] {
        let handler = move |request: Request<()>| {
            let session = request.extensions().get::<Session>().expect("authenticated");
            session.replace_claims(&fill(length)).expect("an object");
            std::future::ready(ok())
        };
        let response = stack.send_to(handler, with(&token)).await;
        assert_eq!(renewed(&response).is_some(), expected, "{length}");
    }
}

#[tokio::test]
async fn a_refresh_whose_tokens_are_too_long_consumes_nothing() {
    for (set, too_long) in [
        (SlidingSessionsBuilder::refresh_tokens as fn(SlidingSessionsBuilder) -> _, 7000),
        (|builder| builder.refresh_tokens().session_cookie(SessionCookie::new()), 3500),
    ] {
        let (stack, length) = filled(set);
        let grant = start(&stack, 1).await.expect("the session starts");
        let refresh_token = grant.refresh_token().expect("refresh tokens are on");
        length.store(too_long, Ordering::Relaxed);
        for _ in 0..2 {
            let refused = stack.sessions.refresh(refresh_token).await.expect_err("too long");
            assert_eq!(refused.kind(), RejectionKind::StoreUnavailable);
            stack.clock.advance(HOUR / 2);
        }
        length.store(2000, Ordering::Relaxed);
        let refreshed = stack.sessions.refresh(refresh_token).await.expect("it was not consumed");
        assert_eq!(
            rejected(&stack.get(refreshed.access_token()).await).is_none(),
            too_long == 7000
        );
        assert_eq!(claims(refreshed.access_token())["fill"].as_str().map(str::len), Some(2000));
    }
}

/// A key whose signatures are longer than those of HS256 by more than a successor may grow.
fn longer_key() -> SigningKey {
    #[cfg(feature = "aws_lc_rs")]
    let (algorithm, pem) = (Algorithm::RS256, include_str!("../keys_pem/rs256.private.pem"));
    #[cfg(not(feature = "aws_lc_rs"))]
    let (algorithm, pem) = (Algorithm::ES384, include_str!("../keys_pem/es384.private.pem"));
    // With such a name the header is longer by more than the room that every sign-in leaves.
    SigningKey::from_pem(algorithm, pem).expect("a key").kid("longer".repeat(20))
}

fn rotating_keys() -> Arc<JwtKeys> {
    let key = SigningKey::hmac(Algorithm::HS256, [7; 32]).expect("a secret").kid("hs");
    Arc::new(JwtKeys::new(key))
}

#[tokio::test]
async fn no_token_near_the_limit_is_renewed_by_a_key_with_longer_signatures() {
    let with_cookie =
        |builder: SlidingSessionsBuilder| builder.bearer().session_cookie(SessionCookie::new());
    for in_cookie in [false, true] {
        let keys = rotating_keys();
        let stack = TestStack::with_keys(Arc::clone(&keys), patient(), |builder| {
            if in_cookie { with_cookie(builder) } else { builder }
        });
        let fits = longest_fill(&stack).await;
        let start = async |fill| start(&stack, fill).await;
        let (longest, short) = (start(fits).await, start(1).await);
        let (longest, short) = (longest.expect("it fits"), short.expect("it fits"));
        keys.rotate(longer_key()).expect("a new key");
        for (grant, expected) in [(&longest, false), (&short, true)] {
            // Each in the last half of its life, and a minute after the other.
            stack.clock.advance(if expected { Duration::from_secs(61) } else { HOUR / 2 + MILLI });
            let token = grant.access_token();
            let request = if in_cookie { cookie_request(token) } else { with(token) };
            let (log, guard) = RecordedLog::start();
            let response = stack.send(request).await;
            drop(guard);
            assert_eq!(rejected(&response), None, "its token is still valid");
            let is_renewed =
                renewed(&response).is_some() || response.headers().contains_key(SET_COOKIE);
            assert_eq!(is_renewed, expected, "in a cookie: {in_cookie}");
            assert_eq!(log.text().contains("not renewed"), !expected, "{}", log.text());
        }
        let refused = start(fits).await.expect_err("too long");
        assert!(matches!(refused, StartError::TokenTooLong(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn no_refresh_near_the_limit_is_answered_by_a_key_with_longer_signatures() {
    let (length, keys) = (Arc::new(AtomicUsize::new(1)), rotating_keys());
    let source = Filled(Arc::clone(&length));
    let stack = TestStack::with_keys(Arc::clone(&keys), patient(), |builder| {
        builder.refresh_tokens().claims_source(source)
    });
    let fits = longest_fill(&stack).await;
    length.store(fits, Ordering::Relaxed);
    let refresh_token = async || {
        let grant = start(&stack, 1).await.expect("the session starts");
        grant.refresh_token().expect("refresh tokens are on").to_owned()
    };
    let refresh = async |token: &str| {
        stack.sessions.refresh(token).await.map_err(|rejection| rejection.kind())
    };
    let (unused, used) = (refresh_token().await, refresh_token().await);
    let first = refresh(&used).await.expect("it fits");
    keys.rotate(longer_key()).expect("a new key");
    for token in [&unused, &used] {
        assert_eq!(refresh(token).await.map(drop), Err(RejectionKind::StoreUnavailable));
    }
    // Nothing was consumed, and the successors of the used one are still good.
    length.store(1, Ordering::Relaxed);
    assert_eq!(refresh(&unused).await.map(drop), Ok(()));
    let again = refresh(&used).await.expect("repeated");
    assert_eq!(claims(again.access_token())["jti"], claims(first.access_token())["jti"]);
    assert_eq!(rejected(&stack.get(again.access_token()).await), None);
}

#[tokio::test]
async fn the_mirror_cookie_is_left_out_where_it_is_too_long() {
    let (stack, length) = filled(|builder| builder.mirror_cookie(mirror("/")));
    let token = start(&stack, 1).await.expect("the session starts").access_token().to_owned();
    stack.at(HOUR / 2 + MILLI);
    for (claims, mirrored) in [(3500, false), (2000, true)] {
        length.store(claims, Ordering::Relaxed);
        stack.clock.advance(Duration::from_secs(61));
        let response = stack.get(&token).await;
        assert!(renewed(&response).is_some(), "{claims}");
        assert_eq!(response.headers().contains_key(SET_COOKIE), mirrored, "{claims}");
    }
}

#[test]
fn a_cookie_of_more_than_4096_bytes_is_refused() {
    for cookie in [
        SessionCookie::new(),
        SessionCookie::new().dangerous_insecure(),
        SessionCookie::named("a-rather-long-name-of-a-session", "/app").expect("a cookie"),
    ] {
        let rest = cookie.set("x", Duration::from_secs(3_999_999_999)).expect("a token").len() - 1;
        let set = |length: usize| cookie.set(&"x".repeat(length), HOUR);
        assert!(set(MAX_COOKIE - rest).is_ok());
        let refused = set(MAX_COOKIE - rest + 1).expect_err("too long");
        assert_eq!(refused.kind(), CookieErrorKind::TooLong);
    }
}

#[tokio::test]
async fn the_length_of_a_token_is_known_before_it_is_signed() {
    let pem = |algorithm, pem| SigningKey::from_pem(algorithm, pem).expect("a key");
    let keys = [
        SigningKey::hmac(Algorithm::HS256, [7; 64]).expect("a secret"),
        SigningKey::hmac(Algorithm::HS384, [7; 64]).expect("a secret"),
        SigningKey::hmac(Algorithm::HS512, [7; 64]).expect("a secret").kid("2026-11"),
        pem(Algorithm::ES256, include_str!("../keys_pem/es256.private.pem")),
        pem(Algorithm::ES384, include_str!("../keys_pem/es384.private.pem")).kid("k"),
        pem(Algorithm::EdDSA, include_str!("../keys_pem/eddsa.private.pem")),
        #[cfg(feature = "aws_lc_rs")]
        pem(Algorithm::RS256, include_str!("../keys_pem/rs256.private.pem")),
        #[cfg(feature = "aws_lc_rs")]
        pem(Algorithm::PS512, include_str!("../keys_pem/rs256.private.pem")),
    ];
    for key in keys {
        let shown = format!("{key:?}");
        let stack = TestStack::with_keys(JwtKeys::new(key), patient(), |builder| builder);
        let fits = longest_fill(&stack).await;
        let longest = start(&stack, fits).await.expect("it fits").access_token().len();
        let refused = start(&stack, fits + 1).await.expect_err("too long");
        let StartError::TokenTooLong(refused) = refused else { panic!("{refused:?}") };
        // One byte of claims more is one or two bytes of base64 more.
        assert!((1..=2).contains(&(refused.length() - longest)), "{shown}: {longest} {refused}");
    }
}
