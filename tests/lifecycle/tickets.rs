//! Tickets: one request of a client that can set no header (P38).

use std::{pin::pin, sync::Arc, time::Duration};

use http::{Method, Request, header::CACHE_CONTROL};
use tower::{Layer, ServiceExt, service_fn};
use tower_sliding_session::{
    JwtKeys, PathRules, Policy, Profiles, RejectionKind, Session, SessionCookie,
    layers::AuthenticateLayer,
    lifecycle::TicketError,
    rejection::{InvalidTokenReason, RejectionCause},
    sessions::SlidingSessionsBuilder,
    store::{Exempt, MemoryStore},
    token::TokenVerifier,
};

use crate::{
    client::{ada, refresh_token, service_of, session},
    empty_stores::Store,
    test_stack::{
        Answer, HOUR, MILLI, MINUTE, TestStack, by, claims, forge, ok, payload, rejected, renewed,
        text, with,
    },
    unreliable_store::{State, UnreliableStore},
};

const INVALID: Option<RejectionKind> = Some(RejectionKind::InvalidToken);
const LIFE: Duration = Duration::from_secs(30);

fn stack(store: &Store) -> TestStack {
    service_of(Policy::long_lived(), store, |builder| {
        let rules = PathRules::new().public("/public");
        builder.tickets().bearer().session_cookie(SessionCookie::new()).path_rules(rules)
    })
}

/// The session of a request with `access_token`.
async fn session_of(stack: &TestStack, access_token: &str) -> Session {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let handler = |request: Request<()>| {
        let sender = sender.clone();
        async move {
            sender.send(session(&request)).await.expect("somebody receives");
            ok()
        }
    };
    assert_eq!(rejected(&stack.send_to(handler, with(access_token)).await), None);
    receiver.recv().await.expect("the handler ran")
}

async fn ticket_for(stack: &TestStack, access_token: &str, path: &str) -> String {
    let session = session_of(stack, access_token).await;
    let ticket = stack.sessions.ticket(&session).path(path).await.expect("it is issued");
    ticket.as_str().to_owned()
}

fn get(uri: impl AsRef<str>) -> Request<()> {
    Request::get(uri.as_ref()).body(()).expect("a request")
}

fn reason(answer: &Answer) -> Option<InvalidTokenReason> {
    match answer.extensions().get::<tower_sliding_session::Rejection>()?.cause()? {
        RejectionCause::InvalidToken(reason) => Some(reason),
        _ => None,
    }
}

pub(crate) async fn p38_a_ticket_is_good_for_one_request(store: Store) {
    let stack = stack(&store);
    let grant = ada(&stack).await;
    let ticket = ticket_for(&stack, grant.access_token(), "/events").await;
    let uri = format!("/events?a=%20&ticket={ticket}&b=+&a=");
    let seen = async |request: Request<()>| {
        let mut response = ok();
        let session = session(&request);
        *response.body_mut() = format!("{} {}", session.subject(), request.uri());
        response
            .headers_mut()
            .insert(CACHE_CONTROL, "public, max-age=60".parse().expect("a value"));
        response.headers_mut().insert("cdn-cache-control", "max-age=60".parse().expect("a value"));
        response
    };
    let first = stack.send_to(seen, get(&uri)).await;
    assert_eq!((rejected(&first), renewed(&first)), (None, None));
    assert_eq!(first.headers()[CACHE_CONTROL], "no-store");
    assert!(!first.headers().contains_key("cdn-cache-control"));
    assert_eq!(text(first).await, "ada /events?a=%20&b=+&a=");
    for _ in 0..2 {
        let again = stack.send(get(&uri)).await;
        assert_eq!(
            (rejected(&again), reason(&again)),
            (INVALID, Some(InvalidTokenReason::TicketUsed))
        );
    }
}

pub(crate) async fn p38_a_ticket_is_for_its_method_and_path(store: Store) {
    let stack = stack(&store);
    let grant = ada(&stack).await;
    let ticket = ticket_for(&stack, grant.access_token(), "/events").await;
    for (method, path) in [
        (Method::GET, "/event"),
        (Method::GET, "/events/"),
        (Method::GET, "/Events"),
        (Method::GET, "/%65vents"),
        (Method::GET, "/"),
        (Method::HEAD, "/events"),
        (Method::POST, "/events"),
        (Method::OPTIONS, "/events"),
    ] {
        let request = Request::builder().method(&method).uri(format!("{path}?ticket={ticket}"));
        let answer = stack.send(request.body(()).expect("a request")).await;
        let expected = Some(InvalidTokenReason::TicketForOtherRequest);
        assert_eq!((rejected(&answer), reason(&answer)), (INVALID, expected), "{method} {path}");
    }
    // None of them has used it up.
    assert_eq!(rejected(&stack.send(get(format!("/events?ticket={ticket}"))).await), None);

    let session = session_of(&stack, grant.access_token()).await;
    let put = stack.sessions.ticket(&session).method(Method::PUT).path("/a%20b").await;
    let put = put.expect("it is issued");
    let request = Request::put(format!("/a%20b?ticket={}", put.as_str())).body(());
    assert_eq!(rejected(&stack.send(request.expect("a request")).await), None);
}

pub(crate) async fn p38_a_ticket_is_good_for_30_seconds(store: Store) {
    for (wait, expected) in [(LIFE - MILLI, None), (LIFE, INVALID), (MINUTE, INVALID)] {
        let stack = stack(&store);
        let grant = ada(&stack).await;
        stack.clock.advance(Duration::from_millis(7_654));
        let ticket = ticket_for(&stack, grant.access_token(), "/events").await;
        stack.clock.advance(wait);
        let answer = stack.send(get(format!("/events?ticket={ticket}"))).await;
        assert_eq!(rejected(&answer), expected, "{wait:?}");
    }
}

/// The request is background: it moves no deadline and renews nothing.
pub(crate) async fn p17_a_request_with_a_ticket_is_no_activity(store: Store) {
    let stack = stack(&store);
    let grant = ada(&stack).await;
    stack.at(8 * MINUTE);
    let session = session_of(&stack, grant.access_token()).await;
    let before = stack.sessions.session(session.id()).await.expect("the store answers");
    let ticket = stack.sessions.ticket(&session).path("/").await.expect("it is issued");
    stack.at(8 * MINUTE + LIFE - MILLI);
    let renews = async |request: Request<()>| {
        let session = request.extensions().get::<Session>().expect("authenticated").clone();
        session.replace_claims(&serde_json::json!({ "role": "admin" })).expect("they are allowed");
        ok()
    };
    let answer = stack.send_to(renews, get(format!("/?ticket={}", ticket.as_str()))).await;
    assert_eq!((rejected(&answer), renewed(&answer)), (None, None));
    let after = stack.sessions.session(session.id()).await.expect("the store answers");
    let last_seen = |record: Option<_>| {
        record.map(|record: tower_sliding_session::store::SessionRecord| record.last_seen)
    };
    assert_eq!(last_seen(after), last_seen(before));
}

pub(crate) async fn p38_the_session_of_a_ticket_is_judged_as_ever(store: Store) {
    let stack = stack(&store);
    for end in [0, 1, 2] {
        let grant = ada(&stack).await;
        let ticket = ticket_for(&stack, grant.access_token(), "/events").await;
        let session = session_of(&stack, grant.access_token()).await;
        match end {
            0 => session.sign_out().await.expect("it is signed out"),
            1 => stack.sessions.revoke(session.id()).await.expect("it is revoked"),
            _ => {
                let scope = stack.sessions.user_scope(Some("acme"), "ada");
                stack.sessions.revoke_all(scope, Exempt::None).await.expect("it is revoked");
            }
        }
        let answer = stack.send(get(format!("/events?ticket={ticket}"))).await;
        assert_eq!(rejected(&answer), Some(RejectionKind::SessionRevoked), "{end}");
    }
    // At the idle deadline, which lies before the end of the ticket.
    let policy = Policy::builder().idle_timeout(20 * MINUTE).token_lifetime(20 * MINUTE);
    let policy = policy.build().expect("a legal configuration");
    let stack = service_of(policy, &store, SlidingSessionsBuilder::tickets);
    let grant = ada(&stack).await;
    stack.clock.advance(20 * MINUTE - LIFE);
    let background = by(Method::GET, grant.access_token()).header("session-activity", "background");
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let handler = |request: Request<()>| {
        let sender = sender.clone();
        async move {
            sender.send(session(&request)).await.expect("somebody receives");
            ok()
        }
    };
    stack.send_to(handler, background.body(()).expect("a request")).await;
    let session = receiver.recv().await.expect("the handler ran");
    let ticket = stack.sessions.ticket(&session).path("/events").await.expect("it is issued");
    assert_eq!(ticket.expires_in(), LIFE);
    stack.clock.advance(LIFE - MILLI);
    assert_eq!(
        rejected(&stack.send(get(format!("/events?ticket={}", ticket.as_str()))).await),
        None
    );
    let ticket = stack.sessions.ticket(&session).path("/events").await.expect("it is issued");
    assert_eq!(ticket.expires_in(), MILLI);
    stack.clock.advance(MILLI);
    let answer = stack.send(get(format!("/events?ticket={}", ticket.as_str()))).await;
    assert_eq!(rejected(&answer), INVALID);
}

pub(crate) async fn p38_no_token_is_accepted_as_another(store: Store) {
    let stack = stack(&store);
    let grant = ada(&stack).await;
    let ticket = ticket_for(&stack, grant.access_token(), "/").await;
    // A ticket as a bearer token, a cookie or a refresh token; an access or refresh token as a ticket.
    assert_eq!(rejected(&stack.get(&ticket).await), INVALID);
    let cookie = Request::get("/").header("cookie", format!("__Host-session={ticket}"));
    assert_eq!(rejected(&stack.send(cookie.body(()).expect("a request")).await), INVALID);
    let refused = stack.sessions.refresh(&ticket).await.expect_err("it is a ticket");
    assert_eq!(refused.kind(), RejectionKind::InvalidRefreshToken);
    for token in [grant.access_token(), refresh_token(&grant)] {
        let answer = stack.send(get(format!("/?ticket={token}"))).await;
        assert_eq!((rejected(&answer), reason(&answer)), (INVALID, Some(InvalidTokenReason::Type)));
    }
    // The claims of a ticket under another `typ`, and those of an access token under its own.
    let header = |typ: &str| format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#);
    let secret = crate::test_stack::SECRET;
    let as_access = forge(&header("JWT"), &payload(&ticket), &secret);
    assert_eq!(rejected(&stack.get(&as_access).await), INVALID);
    let as_ticket = forge(&header("tk+jwt"), &payload(grant.access_token()), &secret);
    assert_eq!(rejected(&stack.send(get(format!("/?ticket={as_ticket}"))).await), INVALID);
    let other_key = forge(&header("tk+jwt"), &payload(&ticket), &[8; 32]);
    assert_eq!(rejected(&stack.send(get(format!("/?ticket={other_key}"))).await), INVALID);
    // A service that does not check `typ` finds no session in it.
    let claims = claims(&ticket);
    assert!(claims.get("sub").is_none() && claims.get("sid").is_none(), "{claims}");
    assert_eq!(rejected(&stack.send(get(format!("/?ticket={ticket}"))).await), None);
}

pub(crate) async fn p38_a_refused_ticket_falls_back_to_nothing(store: Store) {
    let stack = stack(&store);
    let grant = ada(&stack).await;
    let token = grant.access_token();
    let ticket = ticket_for(&stack, token, "/").await;
    let too_long = "a".repeat(9000);
    for query in [
        "ticket".to_owned(),
        "ticket=".to_owned(),
        "ticket=a.b.c".to_owned(),
        format!("ticket={too_long}"),
        format!("ticket={ticket}x"),
        format!("ticket={}", ticket.replace('.', "%2E")),
        format!("ticket={ticket}&ticket={ticket}"),
        format!("ticket={ticket}&a&ticket="),
    ] {
        let request = Request::get(format!("/?{query}"))
            .header("authorization", format!("Bearer {token}"))
            .header("cookie", format!("__Host-session={token}"));
        let answer = stack.send(request.body(()).expect("a request")).await;
        assert_eq!(rejected(&answer), INVALID, "{}", &query[..query.len().min(40)]);
    }
    // Another name is no ticket: the header counts.
    let request = by(Method::GET, token).uri(format!("/?%74icket={ticket}")).body(());
    assert_eq!(rejected(&stack.send(request.expect("a request")).await), None);
    // The first transport is the ticket, whatever else authenticates the request.
    let grace = stack.sessions.start("grace").await.expect("the session starts");
    let request = by(Method::GET, grace.access_token()).uri(format!("/?ticket={ticket}")).body(());
    let seen = async |request: Request<()>| {
        let mut response = ok();
        session(&request).subject().clone_into(response.body_mut());
        response
    };
    let answer = stack.send_to(seen, request.expect("a request")).await;
    assert_eq!(text(answer).await, "ada");
}

pub(crate) async fn p38_a_public_path_is_not_looked_at(store: Store) {
    let stack = stack(&store);
    let ticket = ticket_for(&stack, ada(&stack).await.access_token(), "/public").await;
    let seen = async |request: Request<()>| {
        let mut response = ok();
        assert!(request.extensions().get::<Session>().is_none());
        *response.body_mut() = request.uri().to_string();
        response
    };
    let uri = format!("/public?ticket={ticket}");
    assert_eq!(text(stack.send_to(seen, get(&uri)).await).await, uri);
    let uri = "/public?ticket=a&ticket=b";
    assert_eq!(text(stack.send_to(seen, get(uri)).await).await, uri);
}

pub(crate) async fn p38_of_a_hundred_requests_on_two_nodes_one_is_admitted(store: Store) {
    let nodes = [Arc::new(stack(&store)), Arc::new(stack(&store))];
    let grant = ada(&nodes[0]).await;
    for _ in 0..3 {
        let ticket = ticket_for(&nodes[0], grant.access_token(), "/events").await;
        let requests = (0..100).map(|number: usize| {
            let (node, uri) = (Arc::clone(&nodes[number % 2]), format!("/events?ticket={ticket}"));
            tokio::spawn(async move { rejected(&node.send(get(uri)).await) })
        });
        let mut admitted = 0;
        for answer in requests.collect::<Vec<_>>() {
            match answer.await.expect("the task completes") {
                None => admitted += 1,
                Some(kind) => assert_eq!(kind, RejectionKind::InvalidToken),
            }
        }
        assert_eq!(admitted, 1);
    }
}

pub(crate) async fn p38_a_session_has_32_open_tickets(store: Store) {
    let stack = stack(&store);
    let session = session_of(&stack, ada(&stack).await.access_token()).await;
    let mut tickets = Vec::new();
    for _ in 0..33 {
        let ticket = stack.sessions.ticket(&session).path("/").await.expect("it is issued");
        tickets.push(format!("/?ticket={}", ticket.as_str()));
    }
    for (number, uri) in tickets.iter().enumerate() {
        let expected = if number == 0 { INVALID } else { None };
        assert_eq!(rejected(&stack.send(get(uri)).await), expected, "{number}");
    }
}

pub(crate) async fn a_path_that_is_none_gets_no_ticket(store: Store) {
    let stack = stack(&store);
    let session = session_of(&stack, ada(&stack).await.access_token()).await;
    for path in
        ["", "events", "/events?a", "/events#a", "/a b", "https://a.example/", "*", "/\u{7f}"]
    {
        let refused = stack.sessions.ticket(&session).path(path).await.expect_err(path);
        assert!(matches!(refused, TicketError::Path), "{path}: {refused}");
    }
    let long = format!("/{}", "a".repeat(8000));
    let refused = stack.sessions.ticket(&session).path(long).await.expect_err("too long");
    assert!(matches!(refused, TicketError::TooLong(_)), "{refused}");
    let issued = stack.sessions.ticket(&session).path("//a;b/%C3%A9*").await.expect("a path");
    assert!(!format!("{issued:?}").contains(issued.as_str()));
    let json = serde_json::to_value(&issued).expect("it serializes");
    assert_eq!(json, serde_json::json!({ "ticket": issued.as_str(), "expires_in": 30 }));
}

pub(crate) async fn p23_an_outage_refuses_a_ticket_with_503(store: Store) {
    let unreliable = UnreliableStore::new(Arc::clone(&store));
    let tickets = Arc::clone(&unreliable);
    let own =
        TestStack::with(Policy::long_lived(), |builder| builder.lifecycle_store(tickets).tickets());
    let session = session_of(&own, ada(&own).await.access_token()).await;
    let ticket = own.sessions.ticket(&session).path("/").await.expect("it is issued");
    let uri = format!("/?ticket={}", ticket.as_str());
    unreliable.set_state(State::Failing);
    let refused = own.sessions.ticket(&session).path("/").await.expect_err("an outage");
    assert!(matches!(refused, TicketError::Unavailable(_)), "{refused}");
    for state in [State::Failing, State::NeverAnswering] {
        unreliable.set_state(state);
        let mut request = pin!(own.send(get(&uri)));
        let answer = tokio::select! {
            biased;
            answer = &mut request => answer,
            () = async { own.clock.advance(Duration::from_millis(250)) } => request.await,
        };
        assert_eq!(rejected(&answer), Some(RejectionKind::StoreUnavailable), "{state:?}");
        assert!(answer.headers().contains_key("retry-after"));
    }
    unreliable.set_state(State::Up);
    assert_eq!(rejected(&own.send(get(&uri)).await), None, "no outage has used it up");
}

#[tokio::test]
async fn p38_the_layer_alone_takes_a_ticket() {
    let store = Arc::new(MemoryStore::new());
    let as_store: Store = Arc::clone(&store) as _;
    let stack = stack(&as_store);
    let ticket = ticket_for(&stack, ada(&stack).await.access_token(), "/events").await;
    let keys = Arc::new(JwtKeys::hs256(crate::test_stack::SECRET).expect("a secret"));
    let layer =
        AuthenticateLayer::new(TokenVerifier::new(keys), Profiles::new(Policy::long_lived()))
            .clock(stack.clock.clone())
            .tickets(store);
    for expected in [None, INVALID] {
        let seen = service_fn(async |request: Request<()>| {
            let uri = request.uri().to_string();
            assert_eq!((session(&request).subject(), &*uri), ("ada", "/events?a"));
            Ok::<_, std::convert::Infallible>(ok())
        });
        let Ok(answer) = layer.layer(seen).oneshot(get(format!("/events?ticket={ticket}&a"))).await;
        assert_eq!(rejected(&answer), expected);
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
    }
}

/// No layer after it judges the session.
#[tokio::test]
async fn p38_the_layer_alone_judges_the_session_of_a_ticket() {
    let store = Arc::new(MemoryStore::new());
    let as_store: Store = Arc::clone(&store) as _;
    let stack = stack(&as_store);
    let ticket = ticket_for(&stack, ada(&stack).await.access_token(), "/events").await;
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    stack.sessions.revoke_all(scope, Exempt::None).await.expect("it is revoked");
    let keys = Arc::new(JwtKeys::hs256(crate::test_stack::SECRET).expect("a secret"));
    let layer =
        AuthenticateLayer::new(TokenVerifier::new(keys), Profiles::new(Policy::long_lived()))
            .clock(stack.clock.clone())
            .store(Arc::clone(&store))
            .tickets(store);
    let seen = service_fn(async |_: Request<()>| Ok::<_, std::convert::Infallible>(ok()));
    let Ok(answer) = layer.layer(seen).oneshot(get(format!("/events?ticket={ticket}"))).await;
    assert_eq!(rejected(&answer), Some(RejectionKind::SessionRevoked));
}

/// A ticket is not longer than any other token, whoever signed it.
#[tokio::test]
async fn p15_a_ticket_that_is_too_long_is_not_verified() {
    let store: Store = Arc::new(MemoryStore::new());
    let stack = stack(&store);
    let grant = ada(&stack).await;
    let ticket = ticket_for(&stack, grant.access_token(), "/events").await;
    for (padding, expected) in
        [(1, InvalidTokenReason::TicketUsed), (8_000, InvalidTokenReason::TooLong)]
    {
        let payload =
            payload(&ticket).replacen('{', &format!("{{\"x\":{:?},", "a".repeat(padding)), 1);
        let payload = payload.replace("\"jti\":\"", "\"jti\":\"other");
        let header = r#"{"alg":"HS256","typ":"tk+jwt"}"#;
        let padded = forge(header, &payload, &crate::test_stack::SECRET);
        let answer = stack.send(get(format!("/events?ticket={padded}"))).await;
        assert_eq!((rejected(&answer), reason(&answer)), (INVALID, Some(expected)));
    }
}

#[tokio::test]
async fn p38_a_store_that_forgets_refuses_its_tickets() {
    let store: Store = Arc::new(MemoryStore::new());
    let before = stack(&store);
    let ticket = ticket_for(&before, ada(&before).await.access_token(), "/events").await;
    let restarted: Store = Arc::new(MemoryStore::new());
    let answer = stack(&restarted).send(get(format!("/events?ticket={ticket}"))).await;
    assert_eq!(
        (rejected(&answer), reason(&answer)),
        (INVALID, Some(InvalidTokenReason::TicketUsed))
    );
}

#[tokio::test]
async fn without_the_setting_a_parameter_ticket_is_the_handlers() {
    let store: Store = Arc::new(MemoryStore::new());
    let without = service_of(Policy::long_lived(), &store, |builder| builder);
    let grant = ada(&without).await;
    let session = session_of(&without, grant.access_token()).await;
    let refused = without.sessions.ticket(&session).path("/").await.expect_err("they are off");
    assert!(matches!(refused, TicketError::NotAccepted), "{refused}");
    let uri = async |request: Request<()>| {
        let mut response = ok();
        *response.body_mut() = request.uri().to_string();
        response
    };
    let request = by(Method::GET, grant.access_token()).uri("/?ticket=7").body(());
    let answer = without.send_to(uri, request.expect("a request")).await;
    assert_eq!(text(answer).await, "/?ticket=7");
}

#[tokio::test]
async fn p35_a_session_that_the_app_has_built_gets_no_ticket() {
    let store: Store = Arc::new(MemoryStore::new());
    let stack = stack(&store);
    let built = Session::builder("ada").sid("s").auth_time(crate::test_stack::BEGIN).build();
    let refused = stack.sessions.ticket(&built.expect("complete")).path("/").await;
    assert!(matches!(refused, Err(TicketError::OtherIssuer)));
}

/// The access token expires before 30 s have passed: so does its ticket.
#[tokio::test]
async fn p38_a_ticket_ends_with_its_access_token() {
    let store: Store = Arc::new(MemoryStore::new());
    let policy = Policy::sliding(HOUR, 12 * HOUR).expect("a legal configuration");
    let stack =
        TestStack::with(policy, |builder| builder.tickets().lifecycle_store(Arc::clone(&store)));
    let token = stack.sign_in().await;
    stack.clock.advance(HOUR - Duration::from_secs(10));
    let session = session_of(&stack, &token).await;
    let ticket = stack.sessions.ticket(&session).path("/").await.expect("it is issued");
    assert_eq!(ticket.expires_in(), Duration::from_secs(10));
    stack.clock.advance(Duration::from_secs(10));
    let answer = stack.send(get(format!("/?ticket={}", ticket.as_str()))).await;
    assert_eq!(rejected(&answer), INVALID);
}
