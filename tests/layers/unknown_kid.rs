//! An unknown `kid` of another issuer: the request waits until its keys are fetched.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use http::{Request, Response};
use tokio::sync::Notify;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_sliding_session::{
    JwtKeys, MaybeReady, PathRules, Profiles, RejectionKind, Session, SessionCookie,
    layers::{ActivityLayer, AuthenticateLayer},
    request_class::RequestHead,
    store::{MemoryStore, StoreError},
    token::{Algorithm, SigningKey, TokenVerifier},
};

use crate::test_stack::{
    Answer, MILLI, SECRET, TestStack, forge, ok, patient, payload, rejected, renewed, with,
};

const IDP: &str = "https://idp.example";
const INVALID: Option<RejectionKind> = Some(RejectionKind::InvalidToken);
const UNAVAILABLE: Option<RejectionKind> = Some(RejectionKind::StoreUnavailable);
const LIMIT: Duration = Duration::from_millis(250);
const INTERVAL: Duration = Duration::from_secs(5);

const ES256: &str = include_str!("../keys_pem/es256.private.pem");
const ES256_JWK: &str = include_str!("../keys_pem/es256.public.jwk");

/// The `jwks_uri` of a provider.
#[derive(Default)]
struct JwksUri {
    fetches: AtomicUsize,
    /// The body of its next responses; `None` for an outage.
    body: Mutex<Option<String>>,
    /// A response waits for this, unless it is absent.
    gate: Option<Notify>,
}

impl JwksUri {
    fn with(kids: &[&str]) -> Self {
        let uri = Self::default();
        uri.serve(kids);
        uri
    }

    /// With responses that wait for [`respond`](Self::respond).
    fn slow(kids: &[&str]) -> Self {
        Self { gate: Some(Notify::new()), ..Self::with(kids) }
    }

    fn serve(&self, kids: &[&str]) {
        let keys = kids.iter().map(|kid| format!(r#"{{{},"kid":"{kid}"}}"#, ES256_JWK.trim()));
        let keys = keys.collect::<Vec<_>>().join(",");
        *self.body.lock().expect("not poisoned") = Some(format!(r#"{{"keys":[{keys}]}}"#));
    }

    fn fail(&self) {
        *self.body.lock().expect("not poisoned") = None;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(SeqCst)
    }

    fn respond(&self) {
        self.gate.as_ref().expect("it is slow").notify_one();
    }

    fn fetch(self: &Arc<Self>) -> MaybeReady<String> {
        self.fetches.fetch_add(1, SeqCst);
        let uri = Arc::clone(self);
        let body = move |uri: &Self| {
            let body = uri.body.lock().expect("not poisoned").clone();
            body.ok_or_else(|| StoreError::new("503 from the provider"))
        };
        if uri.gate.is_none() {
            return MaybeReady::ready(body(&uri));
        }
        MaybeReady::new(async move {
            uri.gate.as_ref().expect("it is slow").notified().await;
            body(&uri)
        })
    }
}

fn keys_of(uri: &Arc<JwksUri>) -> Arc<JwtKeys> {
    let keys = JwtKeys::new(SigningKey::hmac(Algorithm::HS256, SECRET).expect("a secret").kid("k"));
    let uri = Arc::clone(uri);
    keys.on_unknown_kid(IDP, move || uri.fetch());
    Arc::new(keys)
}

fn stack(uri: &Arc<JwksUri>) -> TestStack {
    TestStack::with_keys(keys_of(uri), patient(), |builder| {
        builder
            .bearer()
            .session_cookie(SessionCookie::new())
            .path_rules(PathRules::new().public("/public"))
    })
}

/// A token that the provider signs under `kid`.
async fn token_of(kid: &str) -> String {
    let key = SigningKey::from_pem(Algorithm::ES256, ES256).expect("a key").kid(kid);
    let provider = TestStack::with_keys(JwtKeys::new(key), patient(), |it| it.issuer(IDP));
    provider.sign_in().await
}

async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Lets the task of a fetch run until it waits.
async fn let_run() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn p35_an_unknown_kid_of_an_issuer_is_fetched_once_and_accepted() {
    let uri = Arc::new(JwksUri::with(&["a"]));
    let stack = stack(&uri);
    assert_eq!(uri.fetches(), 0, "nothing is fetched before a token asks for it");
    let token = token_of("a").await;
    for _ in 0..3 {
        let response = stack.get(&token).await;
        assert_eq!((rejected(&response), renewed(&response)), (None, None));
    }
    assert_eq!(uri.fetches(), 1);
    // The provider rotates.
    uri.serve(&["a", "b"]);
    stack.clock.advance(INTERVAL);
    assert_eq!(rejected(&stack.get(&token_of("b").await).await), None);
    assert_eq!(rejected(&stack.get(&token).await), None);
    assert_eq!(uri.fetches(), 2);
}

#[tokio::test]
async fn requests_that_wait_share_one_fetch() {
    let uri = Arc::new(JwksUri::slow(&["a"]));
    let stack = stack(&uri);
    let token = token_of("a").await;
    let mut requests: Vec<_> = (0..8).map(|_| Box::pin(stack.get(&token))).collect();
    for request in &mut requests {
        assert!(poll_once(request.as_mut()).await.is_none());
    }
    // The first one is cancelled: the others still wait for its fetch.
    drop(requests.swap_remove(0));
    let_run().await;
    uri.respond();
    let_run().await;
    for request in &mut requests {
        let response = poll_once(request.as_mut()).await.expect("the keys are known");
        assert_eq!(rejected(&response), None);
    }
    assert_eq!(uri.fetches(), 1);
}

#[tokio::test]
async fn keys_that_do_not_arrive_in_time_are_a_503_and_their_fetch_goes_on() {
    let uri = Arc::new(JwksUri::slow(&["a"]));
    let stack = stack(&uri);
    let token = token_of("a").await;
    for (wait, expected) in [(LIMIT - MILLI, None), (LIMIT, Some(UNAVAILABLE))] {
        let mut request = Box::pin(stack.get(&token));
        assert!(poll_once(request.as_mut()).await.is_none());
        let_run().await;
        stack.clock.advance(wait);
        let response = poll_once(request.as_mut()).await;
        assert_eq!(response.as_ref().map(rejected), expected, "{wait:?}");
        let retry = response.map(|response: Answer| response.headers().contains_key("retry-after"));
        assert_eq!(retry, expected.map(|_| true));
    }
    uri.respond();
    let_run().await;
    assert_eq!(rejected(&stack.get(&token).await), None);
    assert_eq!(uri.fetches(), 1);
}

#[tokio::test]
async fn a_failed_fetch_is_a_503_for_its_issuer_only_and_is_repeated_after_five_seconds() {
    for body in [None, Some("<html>"), Some(r#"{"keys":[]}"#)] {
        let uri = Arc::new(JwksUri::default());
        *uri.body.lock().expect("not poisoned") = body.map(str::to_owned);
        let stack = stack(&uri);
        let (token, own) = (token_of("a").await, stack.sign_in().await);
        for after in [Duration::ZERO, INTERVAL - MILLI] {
            stack.clock.advance(after);
            assert_eq!(rejected(&stack.get(&token).await), UNAVAILABLE, "{body:?}");
            assert_eq!(rejected(&stack.get(&own).await), None);
            assert_eq!(uri.fetches(), 1);
        }
        stack.clock.advance(MILLI);
        uri.serve(&["a"]);
        assert_eq!(rejected(&stack.get(&token).await), None);
        assert_eq!(uri.fetches(), 2);
        // An outage does not touch the keys that are known.
        uri.fail();
        stack.clock.advance(INTERVAL);
        assert_eq!(rejected(&stack.get(&token_of("b").await).await), UNAVAILABLE);
        assert_eq!(rejected(&stack.get(&token).await), None);
    }
}

#[tokio::test]
async fn p31_made_up_kids_cause_one_fetch_in_five_seconds() {
    let uri = Arc::new(JwksUri::with(&["a"]));
    let stack = stack(&uri);
    let made_up = |kid: usize| {
        let header = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
        forge(&header, r#"{"iss":"https://idp.example"}"#, &SECRET)
    };
    assert_eq!(rejected(&stack.get(&made_up(0)).await), INVALID, "the set does not contain it");
    for kid in 1..500 {
        // Nobody knows whether the provider has a newer key, so that this is no 401.
        assert_eq!(rejected(&stack.get(&made_up(kid)).await), UNAVAILABLE);
    }
    assert_eq!(uri.fetches(), 1);
    assert_eq!(rejected(&stack.get(&token_of("a").await).await), None, "a known kid is accepted");
    stack.clock.advance(INTERVAL);
    assert_eq!(rejected(&stack.get(&made_up(1)).await), INVALID);
    assert_eq!(uri.fetches(), 2);
    // A clock that is set back stops no fetch.
    stack.clock.set(tower_sliding_session::Timestamp::from_secs(1_700_000_000));
    assert_eq!(rejected(&stack.get(&made_up(2)).await), INVALID);
    assert_eq!(uri.fetches(), 3);
}

#[tokio::test]
async fn only_an_unknown_kid_of_that_issuer_is_fetched() {
    let uri = Arc::new(JwksUri::with(&["a"]));
    let stack = stack(&uri);
    let known = token_of("a").await;
    stack.get(&known).await;
    stack.clock.advance(INTERVAL);
    let at_third = SigningKey::from_pem(Algorithm::ES256, ES256).expect("a key").kid("unknown");
    let at_third = TestStack::with_keys(JwtKeys::new(at_third), patient(), |it| {
        it.issuer("https://third.example")
    });
    let header = |kid: &str| format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#);
    for token in [
        at_third.sign_in().await,
        forge(&header("unknown"), r#"{"sub":"ada"}"#, &SECRET),
        forge(&header("a"), &payload(&known), &SECRET),
        format!("{known}x"),
        "a.b.c".to_owned(),
        String::new(),
    ] {
        assert_eq!(rejected(&stack.get(&token).await), INVALID, "{token}");
    }
    let mut public = with(&token_of("unknown").await);
    *public.uri_mut() = "/public".parse().expect("a URI");
    assert_eq!(rejected(&stack.send(public).await), None);
    assert_eq!(uri.fetches(), 1);
}

#[tokio::test]
async fn a_fetch_ends_after_five_seconds_and_one_that_panics_is_repeated() {
    let uri = Arc::new(JwksUri::slow(&["a"]));
    let stack = stack(&uri);
    let token = token_of("a").await;
    let mut request = Box::pin(stack.get(&token));
    assert!(poll_once(request.as_mut()).await.is_none());
    let_run().await;
    stack.clock.advance(Duration::from_secs(5));
    let_run().await;
    assert_eq!(poll_once(request.as_mut()).await.as_ref().map(rejected), Some(UNAVAILABLE));
    assert_eq!(rejected(&stack.get(&token).await), UNAVAILABLE);
    assert_eq!(uri.fetches(), 1, "it has ended just now");

    let fetches = Arc::new(AtomicUsize::new(0));
    let keys = JwtKeys::hs256(SECRET).expect("a secret");
    let (counted, good) = (Arc::clone(&fetches), Arc::new(JwksUri::with(&["a"])));
    keys.on_unknown_kid(IDP, move || {
        if counted.fetch_add(1, SeqCst) > 0 {
            return good.fetch();
        }
        MaybeReady::new(async { panic!("a bug in the app") })
    });
    let stack = TestStack::with_keys(keys, patient(), |it| it);
    let mut request = Box::pin(stack.get(&token));
    assert!(poll_once(request.as_mut()).await.is_none());
    let_run().await;
    assert_eq!(poll_once(request.as_mut()).await.as_ref().map(rejected), Some(UNAVAILABLE));
    assert_eq!(rejected(&stack.get(&token).await), None);
    assert_eq!(fetches.load(SeqCst), 2);
}

#[tokio::test]
async fn a_token_in_a_cookie_waits_too_and_an_outage_is_no_refusal() {
    let uri = Arc::new(JwksUri::slow(&["a"]));
    let keys = keys_of(&uri);
    let stack = TestStack::with_keys(keys, patient(), |builder| {
        builder.session_cookie(SessionCookie::new()).optional()
    });
    let cookie = format!("__Host-session={}", token_of("a").await);
    let request = || Request::get("/").header("cookie", &cookie).body(()).expect("a request");
    let handler = async |request: Request<()>| {
        assert!(request.extensions().get::<Session>().is_some(), "not taken for absent");
        ok()
    };
    let mut waiting = Box::pin(stack.send_to(handler, request()));
    assert!(poll_once(waiting.as_mut()).await.is_none());
    stack.clock.advance(LIMIT);
    assert_eq!(poll_once(waiting.as_mut()).await.as_ref().map(rejected), Some(UNAVAILABLE));
    let mut waiting = Box::pin(stack.send_to(handler, request()));
    assert!(poll_once(waiting.as_mut()).await.is_none());
    let_run().await;
    uri.respond();
    let_run().await;
    let response = poll_once(waiting.as_mut()).await.expect("the keys are known");
    assert_eq!(rejected(&response), None);
}

#[tokio::test]
async fn the_layer_alone_waits_for_keys() {
    let uri = Arc::new(JwksUri::slow(&["a"]));
    let clock = Arc::new(TestStack::new(patient()).clock);
    let profiles = Arc::new(Profiles::new(patient()));
    let service = ServiceBuilder::new()
        .layer(
            AuthenticateLayer::new(TokenVerifier::new(keys_of(&uri)), Arc::clone(&profiles))
                .clock(Arc::clone(&clock)),
        )
        .layer(ActivityLayer::new(profiles, MemoryStore::new()).clock(clock))
        .service(service_fn(async |request: Request<()>| {
            let session = request.extensions().get::<Session>().expect("authenticated");
            assert!(request.headers()["authorization"].is_sensitive());
            Ok::<_, Infallible>(Response::new(session.subject().to_owned()))
        }));
    let mut request = Box::pin(service.oneshot(with(&token_of("a").await)));
    assert!(poll_once(request.as_mut()).await.is_none());
    let_run().await;
    uri.respond();
    let_run().await;
    let response = poll_once(request.as_mut()).await.expect("the keys are known");
    let response = response.expect("infallible");
    assert_eq!(response.status(), 200);
}

fn cookies(tokens: &[&str]) -> Request<()> {
    let pairs = tokens.iter().map(|token| format!("__Host-session={token}"));
    let cookies = pairs.collect::<Vec<_>>().join("; ");
    Request::get("/").header("cookie", cookies).body(()).expect("a request")
}

#[tokio::test]
async fn p35_a_token_in_one_of_several_cookies_waits_for_its_key_too() {
    let uri = Arc::new(JwksUri::slow(&["a"]));
    let stack = stack(&uri);
    let (known_later, own) = (token_of("a").await, stack.sign_in().await);
    let stale = format!("{own}x");
    for (request, expected) in [
        (cookies(&[&stale, &known_later]), None),
        // Both are good, and of different issuers.
        (cookies(&[&own, &known_later]), INVALID),
    ] {
        let mut waiting = Box::pin(stack.send(request));
        if uri.fetches() == 0 {
            assert!(poll_once(waiting.as_mut()).await.is_none());
            let_run().await;
            uri.respond();
            let_run().await;
        }
        let response = poll_once(waiting.as_mut()).await.expect("the keys are known");
        assert_eq!(rejected(&response), expected);
    }
    assert_eq!(uri.fetches(), 1);
}

#[tokio::test]
async fn p35_each_issuer_of_several_cookies_is_fetched() {
    let uris = [Arc::new(JwksUri::slow(&["a"])), Arc::new(JwksUri::slow(&["b"]))];
    let keys = keys_of(&uris[0]);
    let other = Arc::clone(&uris[1]);
    keys.on_unknown_kid("https://second.example", move || other.fetch());
    let stack = TestStack::with_keys(keys, patient(), |builder| {
        builder.session_cookie(SessionCookie::new())
    });
    let key = SigningKey::from_pem(Algorithm::ES256, ES256).expect("a key").kid("unknown");
    let second = TestStack::with_keys(JwtKeys::new(key), patient(), |builder| {
        builder.issuer("https://second.example")
    });
    let (first, second) = (token_of("a").await, second.sign_in().await);
    let mut waiting = Box::pin(stack.send(cookies(&[&second, &first])));
    assert!(poll_once(waiting.as_mut()).await.is_none());
    for uri in &uris {
        let_run().await;
        uri.respond();
    }
    let_run().await;
    let response = poll_once(waiting.as_mut()).await.expect("the keys are known");
    assert_eq!(rejected(&response), None, "the second issuer has no such key");
    assert_eq!(uris.each_ref().map(|uri| uri.fetches()), [1, 1]);
}

/// Whoever can set a cookie must not lock a user out with a made-up `kid`.
#[tokio::test]
async fn p34_p35_keys_that_cannot_be_fetched_leave_the_other_cookies() {
    let down = Arc::new(JwksUri::default());
    let hanging = Arc::new(JwksUri::slow(&["a"]));
    for (uri, hangs) in [(down, false), (hanging, true)] {
        let stack = stack(&uri);
        let (unknown, own) = (token_of("b").await, stack.sign_in().await);
        let stale = format!("{own}x");
        for (request, expected) in [
            (cookies(&[&unknown, &own]), None),
            (cookies(&[&own, &unknown]), None),
            (cookies(&[&stale, &unknown]), UNAVAILABLE),
        ] {
            let mut waiting = Box::pin(stack.send(request));
            if hangs {
                assert!(poll_once(waiting.as_mut()).await.is_none());
                let_run().await;
                stack.clock.advance(LIMIT);
            }
            let response = poll_once(waiting.as_mut()).await.expect("it waits no longer");
            assert_eq!(rejected(&response), expected, "hangs: {hangs}");
        }
        assert_eq!(uri.fetches(), 1);
    }
}

#[tokio::test]
async fn p35_a_sign_out_waits_for_the_keys_too() {
    let signs_out = async |stack: &TestStack, request: Request<()>| {
        let signed_out = stack.sessions.sign_out_request(RequestHead::new(&request)).await;
        signed_out.map(drop).map_err(|rejection| rejection.kind())
    };
    let token = token_of("a").await;
    for request in [with(&token), cookies(&[&token]), cookies(&["x", &token])] {
        let uri = Arc::new(JwksUri::slow(&["a"]));
        let stack = stack(&uri);
        let mut waiting = Box::pin(signs_out(&stack, request));
        assert!(poll_once(waiting.as_mut()).await.is_none());
        let_run().await;
        uri.respond();
        let_run().await;
        assert_eq!(poll_once(waiting.as_mut()).await, Some(Ok(())));
        let revoked = rejected(&stack.get(&token).await);
        assert_eq!(revoked, Some(RejectionKind::SessionRevoked));
        // The set has no such key: a cookie counts as absent, a header does not.
        stack.clock.advance(INTERVAL);
        uri.respond();
        let unknown = token_of("b").await;
        let mut waiting = Box::pin(signs_out(&stack, cookies(&[&unknown])));
        assert!(poll_once(waiting.as_mut()).await.is_none());
        let_run().await;
        assert_eq!(poll_once(waiting.as_mut()).await, Some(Ok(())));
    }
    // An outage of the issuer: the other session is signed out, and this one may be active.
    let stack = stack(&Arc::new(JwksUri::default()));
    let own = stack.sign_in().await;
    let refused = signs_out(&stack, cookies(&[&token, &own])).await;
    assert_eq!(refused, Err(RejectionKind::StoreUnavailable));
    assert_eq!(rejected(&stack.get(&own).await), Some(RejectionKind::SessionRevoked));
}
