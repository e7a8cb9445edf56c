//! The fused service of `SlidingSessions` behaves like the layers that it replaces.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_sliding_session::{
    Clock, JwtKeys, ManualClock, MaybeReady, PathRules, Profiles, Rejection, RejectionKind,
    RequestClass, Session, SlidingSessions,
    audit::{ActivityEntry, AuditRecord, AuditSink},
    layers::{ActivityLayer, AuthenticateLayer, ClassifyLayer, ExposeHeadersLayer, RenewLayer},
    request_class::subtree,
    store::{Exempt, SessionStore},
    token::TokenVerifier,
    transport::TokenDelivery,
};

use crate::test_stack::{
    BEGIN, HOUR, MINUTE, RENEWED, SECRET, TestStack, by, cached_tokens, claims,
    faulty_store::{FaultyStore, StoreBehavior},
    ok, patient, rejected, with,
};

/// What a handler does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Nothing,
    Fails,
    ForwardsAnError,
    ReplacesClaims,
    Ends,
}

/// The presented token.
#[derive(Clone, Copy, Debug)]
enum Bearer {
    None,
    Bad,
    Good,
}

/// One request, with its token and its handler.
#[derive(Clone, Debug)]
struct Case {
    path: &'static str,
    method: Method,
    bearer: Bearer,
    headers: &'static [(&'static str, &'static str)],
    assigned: Option<RequestClass>,
    foreign: bool,
    does: Does,
}

impl Case {
    /// The request, of sessions whose `sid` ends in `number`.
    fn request(&self, token: &str, number: usize) -> Request<()> {
        let mut request = Request::builder().method(self.method.clone()).uri(self.path);
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        request = match self.bearer {
            Bearer::None => request,
            Bearer::Bad => request.header("authorization", "Bearer x.y.z"),
            Bearer::Good => request.header("authorization", format!("Bearer {token}")),
        };
        if let Some(class) = self.assigned {
            request = request.extension(class);
        }
        if self.foreign {
            let session = Session::builder("eve").sid(format!("foreign-{number}"));
            let session = session
                .auth_time(BEGIN)
                .claims_json(r#"{"sub":"eve","iat":1800000000,"exp":1800003600,"jti":"x"}"#);
            request = request.extension(session.build().expect("a complete session"));
        }
        request.body(()).expect("a request")
    }
}

/// A handler that reports what it sees, and acts as the request says.
fn handler(
    does: Does,
) -> impl Service<
    Request<()>,
    Response = Response<String>,
    Error = Infallible,
    Future = impl Send + Future<Output = Result<Response<String>, Infallible>>,
> + Clone {
    service_fn(move |request: Request<()>| async move {
        let session = request.extensions().get::<Session>().cloned();
        let class = request.extensions().get::<RequestClass>().copied();
        let hidden = request.headers().get("authorization").map(HeaderValue::is_sensitive);
        let seen = format!("{:?} {class:?} {hidden:?}", session.as_ref().map(Session::id));
        let mut response = Response::new(seen);
        match (does, &session) {
            (Does::Fails, _) => *response.status_mut() = StatusCode::CONFLICT,
            (Does::ForwardsAnError, _) => {
                let code = HeaderValue::from_static("session_revoked");
                response.headers_mut().insert("session-error", code);
            }
            (Does::ReplacesClaims, Some(session)) => {
                session.replace_claims(&HashMap::from([("role", "x")])).expect("claims of the app");
            }
            (Does::Ends, Some(session)) => {
                let status = if session.sign_out().await.is_ok() { 202 } else { 503 };
                *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            }
            _ => {}
        }
        Ok(response)
    })
}

fn rules() -> PathRules {
    PathRules::new().public("/public").background(subtree("/poll"))
}

fn keys() -> Arc<JwtKeys> {
    Arc::new(JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes"))
}

/// What the client receives; a token as its claims without `jti`, and not how long it shall wait, which is
/// random.
fn seen_by_client<B>(
    response: &Response<B>,
) -> (u16, Vec<(String, String)>, Option<RejectionKind>) {
    let seen_by_client = |(name, value): (&HeaderName, &HeaderValue)| {
        let mut text = value.to_str().expect("UTF-8").to_owned();
        if name == RENEWED {
            let mut claims = claims(&text);
            claims.as_object_mut().expect("an object").remove("jti").expect("a jti");
            text = format!("{claims} {}", value.is_sensitive());
        }
        if name == "retry-after" {
            text.clear();
        }
        (name.to_string(), text)
    };
    let mut headers: Vec<_> = response.headers().iter().map(seen_by_client).collect();
    headers.sort();
    let rejection = response.extensions().get().map(Rejection::kind);
    (response.status().as_u16(), headers, rejection)
}

/// The same requests in sequence, through the fused service and through the single layers.
async fn assert_the_same(behavior: StoreBehavior, optional: bool, after: Duration, cases: &[Case]) {
    let clock = ManualClock::new(BEGIN + after);
    let hub = SlidingSessions::builder(keys(), patient())
        .store(Arc::new(FaultyStore::new(behavior)))
        .cached_tokens(cached_tokens())
        .path_rules(rules())
        .clock(clock.clone())
        .session_expires()
        .build()
        .expect("a legal configuration");
    let layer = if optional { hub.layer().optional() } else { hub.layer() };

    let clock: Arc<dyn Clock> = Arc::new(clock);
    let profiles = Arc::new(Profiles::new(patient()));
    let store: Arc<dyn SessionStore> = Arc::new(FaultyStore::new(behavior));
    let verifier = TokenVerifier::new(keys()).cached_tokens(cached_tokens());
    let authenticate = AuthenticateLayer::new(verifier, Arc::clone(&profiles))
        .store(Arc::clone(&store))
        .clock(Arc::clone(&clock));
    let authenticate = if optional { authenticate.optional() } else { authenticate };
    let layers = ServiceBuilder::new()
        .layer(ExposeHeadersLayer::new(hub.exposed_headers()))
        .layer(ClassifyLayer::new(rules().compile().expect("a legal configuration")))
        .layer(authenticate)
        .layer(ActivityLayer::new(Arc::clone(&profiles), store).clock(Arc::clone(&clock)))
        .layer(RenewLayer::new(keys(), profiles).clock(clock).session_expires());

    let signer = TestStack::new(patient());
    for (number, case) in cases.iter().enumerate() {
        let token = signer.sign_in_as(&number.to_string()).await;
        let request = || case.request(&token, number);
        let Ok(one) = layer.layer(handler(case.does)).oneshot(request()).await;
        let Ok(five) = layers.clone().service(handler(case.does)).oneshot(request()).await;
        let seen = format!("{case:?} {behavior:?} optional {optional} after {after:?}");
        assert_eq!(seen_by_client(&one), seen_by_client(&five), "{seen}");
        assert_eq!(bytes(one).await, bytes(five).await, "{seen}");
    }
}

async fn bytes<B>(response: Response<B>) -> Vec<u8>
where
    B: http_body::Body<Data = bytes::Bytes, Error: std::fmt::Debug>,
{
    let body = http_body_util::BodyExt::collect(response.into_body());
    body.await.expect("a whole body").to_bytes().to_vec()
}

#[tokio::test]
async fn the_fused_service_responds_as_its_layers_do() {
    let plain: &[(&str, &str)] = &[];
    let crossing: &[(&str, &str)] =
        &[("origin", "https://a.example"), ("session-activity", "background")];
    let twice: &[(&str, &str)] = &[("authorization", "Bearer a"), ("origin", "https://a.example")];
    let grpc: &[(&str, &str)] = &[("content-type", "application/grpc")];
    let happenings = [
        (None, false, Method::POST),
        (Some(RequestClass::Public), true, Method::GET),
        (Some(RequestClass::Background), true, Method::POST),
        (None, true, Method::OPTIONS),
    ];
    let mut cases = vec![Case {
        path: "/",
        method: Method::POST,
        bearer: Bearer::None,
        headers: plain,
        assigned: None,
        foreign: false,
        does: Does::Nothing,
    }];
    cases = vary(&cases, &["/", "/public", "/poll/7"], |it, path| it.path = path);
    cases = vary(&cases, &[plain, crossing, twice, grpc], |it, headers| it.headers = headers);
    cases =
        vary(&cases, &[Bearer::None, Bearer::Bad, Bearer::Good], |it, bearer| it.bearer = bearer);
    cases = vary(&cases, &happenings, |it, (assigned, foreign, method)| {
        (it.assigned, it.foreign, it.method) = (assigned, foreign, method);
    });
    let deeds =
        [Does::Nothing, Does::Fails, Does::ForwardsAnError, Does::ReplacesClaims, Does::Ends];
    cases = vary(&cases, &deeds, |it, does| it.does = does);
    assert_eq!(cases.len(), 3 * 4 * 3 * 4 * 5);
    for behavior in [StoreBehavior::Ready, StoreBehavior::Pending, StoreBehavior::Failing] {
        for optional in [false, true] {
            for after in [MINUTE, 31 * MINUTE, HOUR] {
                assert_the_same(behavior, optional, after, &cases).await;
            }
        }
    }
}

/// Every combination of cases and choices.
fn vary<T: Clone>(cases: &[Case], choices: &[T], set: impl Fn(&mut Case, T)) -> Vec<Case> {
    let varied = cases.iter().flat_map(|case| choices.iter().map(move |it| (case, it)));
    varied
        .map(|(case, choice)| {
            let mut case = case.clone();
            set(&mut case, choice.clone());
            case
        })
        .collect()
}

/// A session that the handler of an earlier request has kept.
async fn kept(stack: &TestStack) -> Session {
    let token = stack.sign_in().await;
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let handler = move |request: Request<()>| {
        let session = request.extensions().get::<Session>().cloned();
        *keep.lock().expect("not poisoned") = session;
        std::future::ready(ok())
    };
    stack.send_to(handler, with(&token)).await;
    let session = kept.lock().expect("not poisoned").take();
    session.expect("the request was accepted")
}

#[tokio::test]
async fn a_cutoff_revokes_a_session_kept_from_an_earlier_request() {
    let stack = TestStack::new(patient());
    let session = kept(&stack).await;
    let scope = stack.sessions.user_scope(None, "ada");
    assert_eq!(
        stack.sessions.revoke_all(scope, Exempt::None).await.expect("the session is revoked"),
        1
    );
    let handler = service_fn(async |_: Request<()>| Ok::<_, Infallible>(ok()));
    let service = stack.sessions.layer().optional().layer(handler);
    let request = Request::get("/").extension(session).body(()).expect("a request");
    let Ok(response) = service.oneshot(request).await;
    assert_eq!(rejected(&response), Some(RejectionKind::SessionRevoked));
}

#[tokio::test]
async fn a_cutoff_between_two_stacks_revokes_the_session() {
    let stack =
        TestStack::with(patient(), |builder| builder.path_rules(PathRules::new().public("/x")));
    let token = stack.sign_in().await;
    let handler = service_fn(async |_: Request<()>| Ok::<_, Infallible>(ok()));
    let inner = stack.sessions.layer().layer(handler);
    let sessions = stack.sessions.clone();
    let between = service_fn(move |mut request: Request<()>| {
        let (inner, sessions) = (inner.clone(), sessions.clone());
        async move {
            let scope = sessions.user_scope(None, "ada");
            sessions.revoke_all(scope, Exempt::None).await.expect("the session is revoked");
            *request.uri_mut() = "/x".parse().expect("a URI");
            inner.oneshot(request).await
        }
    });
    let request = by(Method::GET, &token).uri("/admin/x").body(()).expect("a request");
    let Ok(response) = stack.sessions.layer().layer(between).oneshot(request).await;
    assert_eq!(rejected(&response), Some(RejectionKind::SessionRevoked));
}

#[tokio::test]
async fn p17_a_background_request_is_not_renewed_if_an_inner_layer_took_the_claims() {
    let (clock, keys) = (ManualClock::new(BEGIN + 31 * MINUTE), keys());
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let profiles = Arc::new(Profiles::new(patient()));
    let service = ServiceBuilder::new()
        .layer(RenewLayer::new(Arc::clone(&keys), Arc::clone(&profiles)).clock(Arc::clone(&clock)))
        .layer(
            RenewLayer::new(keys, profiles)
                .clock(clock)
                .delivery(TokenDelivery::new().header(HeaderName::from_static("x-inner"))),
        )
        .service(service_fn(async |request: Request<()>| {
            let session =
                request.extensions().get::<Session>().expect("a session in the extensions");
            session.replace_claims(&HashMap::from([("role", "x")])).expect("claims of the app");
            Ok::<_, Infallible>(ok())
        }));
    let session = Session::builder("ada")
        .sid("s")
        .auth_time(BEGIN)
        .claims_json(r#"{"sub":"ada","sid":"s","iat":1800000000,"exp":1800003600,"jti":"x"}"#);
    let request = Request::get("/")
        .header("session-activity", "background")
        .extension(session.build().expect("a complete session"))
        .body(())
        .expect("a request");
    let Ok(response) = service.oneshot(request).await;
    assert!(response.headers().contains_key("x-inner"));
    assert!(!response.headers().contains_key(RENEWED));
}

/// A service that is ready at the second poll; a clone starts anew.
#[derive(Default)]
struct Slow {
    asked: usize,
}

impl Clone for Slow {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<()>> for Slow {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.asked += 1;
        if self.asked < 2 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(self.asked >= 2, "called before it was ready");
        std::future::ready(Ok(ok()))
    }
}

#[tokio::test]
async fn the_ready_service_is_the_one_called() {
    for behavior in [StoreBehavior::Ready, StoreBehavior::Pending] {
        let store = Arc::new(FaultyStore::new(behavior));
        let stack = TestStack::with(patient(), |builder| builder.store(store));
        let token = stack.sign_in().await;
        let mut service = stack.sessions.layer().layer(Slow::default());
        for _ in 0..2 {
            let Ok(ready) = service.ready().await;
            let Ok(response) = ready.call(with(&token)).await;
            assert_eq!(rejected(&response), None, "{behavior:?}");
        }
    }
}

/// An audit sink that keeps the names of events.
struct Names(Arc<Mutex<Vec<String>>>);

impl AuditSink for Names {
    fn record(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()> {
        let names = records.iter().map(|record| record.event.name().to_owned());
        self.0.lock().expect("not poisoned").extend(names);
        MaybeReady::ready(Ok(()))
    }

    fn record_activity(&self, entries: Arc<[ActivityEntry]>) -> MaybeReady<()> {
        let names = entries.iter().map(|_| "request".to_owned());
        self.0.lock().expect("not poisoned").extend(names);
        MaybeReady::ready(Ok(()))
    }
}

#[tokio::test]
async fn the_activity_row_of_a_request_follows_the_events_of_its_handler() {
    for behavior in [StoreBehavior::Ready, StoreBehavior::Pending] {
        let names = Arc::default();
        let sink = Arc::new(Names(Arc::clone(&names)));
        let store = Arc::new(FaultyStore::new(behavior));
        let stack = TestStack::with(patient(), |builder| {
            builder.store(store).audit_sink(sink).activity_log()
        });
        let token = stack.sign_in().await;
        stack.at(31 * MINUTE).get(&token).await;
        let ends = async |request: Request<()>| {
            let session = request.extensions().get::<Session>().expect("authenticated");
            session.sign_out().await.expect("the session is revoked");
            ok()
        };
        stack.send_to(ends, with(&token)).await;
        stack.sessions.audit_queue().expect("an audit queue").flush().await;
        assert_eq!(
            *names.lock().expect("not poisoned"),
            ["session_started", "session_renewed", "request", "session_ended", "request"],
            "{behavior:?}",
        );
    }
}
