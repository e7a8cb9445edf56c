//! `Activity::Declared`: only what a client or a path rule declares is activity.

use std::convert::Infallible;

use http::{Method, Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_sliding_session::{
    PathRules, Policy, RejectionKind, RequestClass, Session,
    layers::ClassifyLayer,
    request_class::{Activity, Classify, Methods, RequestHead},
    sessions::SlidingSessionsBuilder,
};

use crate::test_stack::{MINUTE, TestStack, by, rejected, renewed, with};

const BACKGROUND: Option<RequestClass> = Some(RequestClass::Background);
const PUBLIC: Option<RequestClass> = Some(RequestClass::Public);
/// What the extensions say of a `User` request.
const USER: Option<RequestClass> = None;

fn rules() -> PathRules {
    PathRules::new().user("/write").background("/poll").public("/open")
}

/// Header lines, path, method, and the class of the request.
type Case = (&'static [&'static str], &'static str, Method, Option<RequestClass>);

const CASES: [Case; 24] = [
    (&[], "/", Method::GET, BACKGROUND),
    (&[], "/", Method::POST, BACKGROUND),
    (&["user"], "/", Method::GET, USER),
    (&["user"], "/", Method::POST, USER),
    (&[" USER\t"], "/", Method::POST, USER),
    (&["background"], "/", Method::GET, BACKGROUND),
    (&["user", "background"], "/", Method::GET, BACKGROUND),
    (&["background", "user"], "/", Method::GET, BACKGROUND),
    (&["user, background"], "/", Method::GET, BACKGROUND),
    (&["user", "user"], "/", Method::GET, USER),
    (&["user, public"], "/", Method::GET, USER),
    (&["public"], "/", Method::GET, BACKGROUND),
    (&["users"], "/", Method::GET, BACKGROUND),
    (&[""], "/", Method::GET, BACKGROUND),
    (&["user"], "/", Method::OPTIONS, BACKGROUND),
    (&[], "/write", Method::GET, USER),
    (&["public"], "/write", Method::GET, USER),
    (&["background"], "/write", Method::GET, BACKGROUND),
    (&["user", "background"], "/write", Method::POST, BACKGROUND),
    (&[], "/write", Method::OPTIONS, BACKGROUND),
    (&["user"], "/poll", Method::GET, BACKGROUND),
    (&["user"], "/open", Method::GET, PUBLIC),
    (&[], "/open", Method::POST, PUBLIC),
    // No rule matches a path that another reader decodes.
    (&[], "/%77rite", Method::GET, BACKGROUND),
];

fn request((lines, path, method, _): &Case, token: &str) -> Request<()> {
    let mut request = by(method.clone(), token).uri(*path);
    for line in *lines {
        request = request.header("session-activity", *line);
    }
    request.body(()).expect("a request")
}

fn stack(set: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder) -> TestStack {
    let policy = Policy::builder().renew_always().build().expect("a legal configuration");
    TestStack::with(policy, |it| set(it.activity(Activity::Declared)))
}

#[tokio::test]
async fn p17_only_a_declaration_or_a_path_rule_makes_a_request_of_the_stack_count() {
    for case in CASES {
        let stack = stack(|it| it.path_rules(rules()));
        let token = stack.sign_in().await;
        stack.at(2 * MINUTE);
        let handler = async |request: Request<()>| {
            let session = request.extensions().get::<Session>();
            Response::new(session.map_or("public", |_| "session").to_owned())
        };
        let response = stack.send_to(handler, request(&case, &token)).await;
        assert_eq!(rejected(&response), None, "{case:?}");
        let is_renewed = renewed(&response).is_some();
        assert_eq!(is_renewed, case.3 == USER, "{case:?}");
        let body = crate::test_stack::text(response).await;
        assert_eq!(body, if case.3 == PUBLIC { "public" } else { "session" }, "{case:?}");
        let sid = crate::test_stack::claims(&token)["sid"].as_str().expect("a sid").to_owned();
        let record = stack.sessions.session(&sid).await.expect("the store answers");
        let seen = record.expect("the session is active").last_seen;
        let moved = seen != crate::test_stack::BEGIN;
        assert_eq!(moved, case.3 == USER, "{case:?}");
    }
}

/// The class that the layer puts into the extensions.
async fn class_of(layer: ClassifyLayer, request: Request<()>) -> Option<RequestClass> {
    let service = layer.layer(service_fn(async |request: Request<()>| {
        Ok::<_, Infallible>(request.extensions().get::<RequestClass>().copied())
    }));
    let Ok(class) = service.oneshot(request).await;
    class
}

#[tokio::test]
async fn p17_the_layer_alone_classifies_alike() {
    for case in CASES {
        let layer = ClassifyLayer::new(rules().compile().expect("legal rules"));
        let layer = layer.activity(Activity::Declared);
        let class = class_of(layer, request(&case, "t")).await;
        // The layers inside lower `User` for `OPTIONS` and for the header.
        let is_lowered = case.2 == Method::OPTIONS || case.0.iter().any(|it| it.contains("back"));
        assert!(class == case.3 || (class == USER && is_lowered), "{case:?}: {class:?}");
    }
}

#[tokio::test]
async fn p17_a_class_of_a_closure_or_of_an_outer_layer_stands() {
    let get = |activity: &str| by(Method::GET, "t").header("session-activity", activity);
    let closure = |class: RequestClass| {
        ClassifyLayer::new(move |_: RequestHead<'_>| class).activity(Activity::Declared)
    };
    for (class, declared, expected) in [
        (RequestClass::User, "", BACKGROUND),
        (RequestClass::User, "user", USER),
        (RequestClass::Background, "user", BACKGROUND),
        (RequestClass::Public, "user", PUBLIC),
    ] {
        let request = get(declared).body(()).expect("a request");
        assert_eq!(class_of(closure(class), request).await, expected, "{class:?} {declared}");
    }
    for outer in [RequestClass::User, RequestClass::Background, RequestClass::Public] {
        let request = get("").extension(outer).body(()).expect("a request");
        let class = class_of(closure(RequestClass::User), request).await;
        assert_eq!(class, Some(outer), "an outer layer has assigned it");
        for (path, expected) in [("/open", PUBLIC), ("/poll", BACKGROUND)] {
            let layer = ClassifyLayer::new(rules().compile().expect("legal rules"));
            let request = get("").uri(path).extension(outer).body(()).expect("a request");
            let class = class_of(layer.activity(Activity::Declared), request).await;
            assert_eq!(class, expected, "a rule names another: {outer:?} {path}");
        }
    }
    let both = rules().compile().expect("legal rules").otherwise(Methods::reads_are_background());
    let layer = ClassifyLayer::new(both).activity(Activity::Declared);
    for (method, path, expected) in [
        (Method::GET, "/write", BACKGROUND),
        (Method::POST, "/write", USER),
        (Method::POST, "/", BACKGROUND),
        (Method::GET, "/open", PUBLIC),
    ] {
        let request = by(method.clone(), "t").uri(path).body(()).expect("a request");
        assert_eq!(class_of(layer.clone(), request).await, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn p17_a_tab_that_nobody_uses_for_a_day_ends_at_the_idle_timeout() {
    for (activity, ends_after) in [(Activity::Requests, None), (Activity::Declared, Some(20))] {
        let policy =
            Policy::builder().idle_timeout(20 * MINUTE).absolute_timeout(2 * 1440 * MINUTE);
        let policy = policy.token_lifetime(2 * 1440 * MINUTE).build().expect("a legal policy");
        let stack = TestStack::with(policy, |it| it.activity(activity));
        let token = stack.sign_in().await;
        let mut ended = None;
        for minute in 1..=1440 {
            let response = stack.at(minute * MINUTE).get(&token).await;
            if let Some(kind) = rejected(&response) {
                assert_eq!(kind, RejectionKind::SessionExpiredIdle);
                ended = Some(minute);
                break;
            }
        }
        assert_eq!(ended, ends_after, "{activity:?}");
    }
    // A user who works goes on.
    let stack = stack(|it| it);
    let token = stack.sign_in().await;
    for minute in 1..30 {
        let mut request = with(&token);
        request.headers_mut().insert("session-activity", "user".parse().expect("a value"));
        assert_eq!(rejected(&stack.at(minute * MINUTE).send(request).await), None);
    }
}
