//! Which responses carry a renewed token.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tower_sliding_session::{
    Policy, Session, sessions::SlidingSessionsBuilder, transport::TokenInBody,
};

use crate::test_stack::{
    Answer, BEGIN, HOUR, MILLI, MINUTE, RENEWED, TestStack, by, claims, ok, patient, renewed,
    signed, with,
};

const HALF: Duration = Duration::from_secs(1800);

/// A stack whose token is due for renewal.
async fn due() -> (TestStack, String) {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    stack.at(HALF + MILLI);
    (stack, token)
}

fn answer(status: u16, headers: &[(&'static str, &'static str)]) -> Response<String> {
    let mut response = ok();
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        response.headers_mut().append(name, HeaderValue::from_static(value));
    }
    response
}

#[tokio::test]
async fn a_token_is_renewed_strictly_below_the_threshold() {
    for (after, expected) in [(HALF - MILLI, false), (HALF, false), (HALF + MILLI, true)] {
        let stack = TestStack::new(patient());
        let token = stack.sign_in().await;
        assert_eq!(renewed(&stack.at(after).get(&token).await).is_some(), expected, "{after:?}");
    }
}

#[tokio::test]
async fn a_successor_that_would_not_expire_later_is_not_minted() {
    let policy =
        patient().to_builder().renew_threshold(1.0).build().expect("a legal configuration");
    let stack = TestStack::new(policy);
    let token = stack.sign_in().await;
    assert!(renewed(&stack.get(&token).await).is_none());
    assert!(renewed(&stack.at(Duration::from_millis(999)).get(&token).await).is_none());
    assert!(renewed(&stack.at(Duration::from_secs(1)).get(&token).await).is_some());
}

#[tokio::test]
async fn always_renews_at_once() {
    let stack = TestStack::new(
        patient().to_builder().renew_always().build().expect("a legal configuration"),
    );
    let token = stack.sign_in().await;
    assert!(renewed(&stack.get(&token).await).is_some());
}

#[tokio::test]
async fn a_policy_without_renewal_renews_nothing() {
    let stack =
        TestStack::new(patient().to_builder().renew(false).build().expect("a legal configuration"));
    let token = stack.sign_in().await;
    assert!(renewed(&stack.at(HOUR - MILLI).get(&token).await).is_none());
}

#[tokio::test]
async fn a_renewed_response_is_no_store() {
    let (stack, token) = due().await;
    let response = stack.get_from(answer(200, &[("cache-control", "private")]), &token).await;
    assert!(response.headers()[RENEWED].is_sensitive());
    let cache_control: Vec<_> = response.headers().get_all("cache-control").iter().collect();
    assert_eq!(cache_control, ["no-store"]);
    assert!(!response.headers().contains_key("set-cookie"));
}

async fn renews(response: Response<String>) -> bool {
    let (stack, token) = due().await;
    renewed(&stack.get_from(response, &token).await).is_some()
}

#[tokio::test]
async fn only_a_successful_response_is_renewed() {
    for status in [200, 201, 204, 206, 226] {
        assert!(renews(answer(status, &[])).await, "{status}");
    }
    for status in [101, 304, 399, 400, 401, 403, 404, 409, 429, 499, 500, 503, 599] {
        assert!(!renews(answer(status, &[])).await, "{status}");
    }
}

#[tokio::test]
async fn an_unknown_status_class_is_not_renewed() {
    for status in [600, 999] {
        assert!(!renews(answer(status, &[])).await, "{status}");
    }
}

#[tokio::test]
async fn a_grpc_error_is_not_renewed() {
    assert!(renews(answer(200, &[("grpc-status", "0")])).await);
    for status in ["1", "7", "16", "00", ""] {
        let headers = match status {
            "1" => [("grpc-status", "1")],
            "7" => [("grpc-status", "7")],
            "16" => [("grpc-status", "16")],
            "00" => [("grpc-status", "00")],
            _ => [("grpc-status", "")],
        };
        assert!(!renews(answer(200, &headers)).await, "{status:?}");
    }
}

#[tokio::test]
async fn p09_no_token_on_a_304_or_a_response_for_shared_caches() {
    assert!(!renews(answer(304, &[])).await);
    for header in [
        ("cache-control", "public"),
        ("cache-control", "max-age=60, s-maxage=60"),
        ("cache-control", "must-revalidate"),
        ("cdn-cache-control", "max-age=1"),
        ("cloudflare-cdn-cache-control", "max-age=1"),
        ("surrogate-control", "max-age=1"),
        ("edge-control", "max-age=1"),
        ("x-accel-expires", "60"),
        ("x-litespeed-cache-control", "public,max-age=1"),
    ] {
        let (stack, token) = due().await;
        let response = stack.get_from(answer(200, &[header]), &token).await;
        assert!(renewed(&response).is_none(), "{header:?}");
        assert_eq!(response.headers()[header.0], header.1, "unchanged");
    }
    let two_lines = [("cache-control", "no-transform"), ("cache-control", "public")];
    assert!(!renews(answer(200, &two_lines)).await);
}

#[tokio::test]
async fn what_frameworks_send_for_private_pages_does_not_stop_renewals() {
    for value in [
        "private, no-cache, no-store, max-age=0, must-revalidate",
        "no-cache, no-store, max-age=0, must-revalidate",
        "no-store, no-cache, must-revalidate",
        "private, max-age=0, must-revalidate",
    ] {
        assert!(renews(answer(200, &[("cache-control", value)])).await, "{value}");
    }
    assert!(renews(answer(200, &[("surrogate-control", "no-store")])).await);
    assert!(renews(answer(200, &[("x-accel-expires", "0")])).await);
}

#[tokio::test]
async fn p09_no_session_expires_where_a_cache_would_repeat_it() {
    let stack = TestStack::with(patient(), SlidingSessionsBuilder::session_expires);
    let token = stack.sign_in().await;
    for (status, headers, expected) in [
        (200, &[][..], true),
        (404, &[], true),
        (200, &[("cache-control", "private")], true),
        (304, &[], false),
        (200, &[("cache-control", "public, max-age=60")], false),
        (200, &[("x-accel-expires", "60")], false),
    ] {
        let response = stack.get_from(answer(status, headers), &token).await;
        let is_present = response.headers().contains_key("session-expires");
        assert_eq!(is_present, expected, "{status} {headers:?}");
    }
}

#[tokio::test]
async fn p33_a_redirect_carries_no_token_that_came_in_a_header() {
    for status in [300, 301, 302, 303, 307, 308] {
        assert!(!renews(answer(status, &[])).await, "{status}");
    }
}

#[tokio::test]
async fn p03_a_response_with_a_grant_in_its_body_is_not_changed() {
    let (stack, token) = due().await;
    let mut response = ok();
    response.extensions_mut().insert(TokenInBody);
    let response = stack.get_from(response, &token).await;
    assert!(renewed(&response).is_none());
    assert!(!response.headers().contains_key("cache-control"));
}

#[tokio::test]
async fn p33_a_token_that_expired_while_the_handler_ran_is_renewed() {
    for handler_time in [MILLI, MILLI * 2, 5 * MINUTE] {
        let stack = TestStack::new(patient());
        let token = stack.sign_in().await;
        let arrival = HOUR - MILLI;
        let response = slow(stack.at(arrival), &token, handler_time).await;
        let successor = renewed(&response).expect("the renewal is due");
        let expected = BEGIN + arrival + handler_time + HOUR;
        assert_eq!(claims(&successor)["exp"], expected.as_secs(), "{handler_time:?}");
    }
}

#[tokio::test]
async fn p33_conditions_are_removed_in_the_last_half_of_the_renewal_window() {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    for (after, removed) in
        [(HALF - MILLI, false), (45 * MINUTE, false), (45 * MINUTE + MILLI, true)]
    {
        let handler = async |request: Request<()>| {
            let mut response = ok();
            let is_conditional = request.headers().contains_key("if-none-match")
                || request.headers().contains_key("if-modified-since");
            if is_conditional {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
            }
            response
        };
        for method in [Method::GET, Method::HEAD] {
            let request = by(method, &token)
                .header("if-none-match", "\"tag\"")
                .header("if-modified-since", "Wed, 21 Oct 2015 07:28:00 GMT")
                .body(())
                .expect("a request");
            let response = stack.at(after).send_to(handler, request).await;
            assert_eq!(response.status() == StatusCode::OK, removed, "{after:?}");
        }
    }
}

#[tokio::test]
async fn p03_a_response_with_a_token_of_its_own_is_not_changed() {
    let (stack, token) = due().await;
    let response = stack.get_from(answer(200, &[(RENEWED, "of.the.handler")]), &token).await;
    assert_eq!(response.headers().get_all(RENEWED).iter().collect::<Vec<_>>(), ["of.the.handler"]);
    assert!(!response.headers().contains_key("cache-control"));
}

#[tokio::test]
async fn p03_another_cookie_does_not_prevent_renewal() {
    assert!(renews(answer(200, &[("set-cookie", "__Host-session=x; Path=/")])).await);
}

#[tokio::test]
async fn p17_only_a_request_of_class_user_renews() {
    let requests = [
        (by(Method::GET, ""), true),
        (by(Method::HEAD, ""), true),
        (by(Method::POST, ""), true),
        (by(Method::OPTIONS, ""), false),
        (by(Method::GET, "").header("session-activity", "background"), false),
        (by(Method::GET, "").header("session-activity", "user"), true),
    ];
    for (request, expected) in requests {
        let (stack, token) = due().await;
        let mut request = request.body(()).expect("a request");
        let bearer = with(&token).headers()["authorization"].clone();
        request.headers_mut().insert("authorization", bearer);
        let shown = format!("{} {:?}", request.method(), request.headers().get("session-activity"));
        assert_eq!(renewed(&stack.send(request).await).is_some(), expected, "{shown}");
    }
}

#[tokio::test]
async fn p04_a_sign_out_in_the_handler_prevents_renewal() {
    let (stack, token) = due().await;
    let logout = async |request: http::Request<()>| {
        request
            .extensions()
            .get::<Session>()
            .expect("authenticated")
            .sign_out()
            .await
            .expect("the session is revoked");
        ok()
    };
    assert!(renewed(&stack.send_to(logout, with(&token)).await).is_none());
}

#[tokio::test]
async fn p04_a_revocation_while_the_handler_runs_prevents_renewal() {
    let (stack, token) = due().await;
    let sid = claims(&token)["sid"].as_str().expect("a name").to_owned();
    let sessions = stack.sessions.clone();
    let handler = move |_| {
        let (sessions, sid) = (sessions.clone(), sid.clone());
        async move {
            sessions.revoke(&sid).await.expect("the session is revoked");
            ok()
        }
    };
    assert!(renewed(&stack.send_to(handler, with(&token)).await).is_none());
}

/// Sends a `GET` whose handler takes `time`.
async fn slow(stack: &TestStack, token: &str, time: Duration) -> Answer {
    let clock = stack.clock.clone();
    let handler = move |_| {
        clock.advance(time);
        std::future::ready(ok())
    };
    stack.send_to(handler, with(token)).await
}

#[tokio::test]
async fn renewal_is_decided_after_the_handler() {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    let response = slow(stack.at(HALF), &token, MILLI).await;
    assert!(renewed(&response).is_some());
}

#[tokio::test]
async fn p01_a_chain_of_renewals_ends_at_the_absolute_deadline() {
    let policy = patient().to_builder().renew_always().build().expect("a legal configuration");
    let stack = TestStack::new(policy);
    let mut token = stack.sign_in().await;
    let last = (BEGIN + 12 * HOUR).as_secs();
    for minutes in 1..12 * 60 {
        let response = stack.at(minutes * MINUTE).get(&token).await;
        assert_eq!(response.status(), StatusCode::OK, "minute {minutes}");
        let Some(successor) = renewed(&response) else {
            assert!(minutes > 11 * 60, "minute {minutes}");
            continue;
        };
        assert!(claims(&successor)["exp"].as_u64() <= Some(last));
        assert_eq!(claims(&successor)["auth_time"], BEGIN.as_secs());
        token = successor;
    }
    assert_eq!(claims(&token)["exp"], last);
    assert_eq!(stack.at(12 * HOUR - MILLI).get(&token).await.status(), StatusCode::OK);
    assert_eq!(stack.at(12 * HOUR).get(&token).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn p01_a_token_that_ends_at_the_absolute_deadline_is_not_renewed() {
    let stack = TestStack::new(patient());
    let absolute = BEGIN + 12 * HOUR;
    for (exp, expected) in [(absolute.as_secs() - 1, true), (absolute.as_secs(), false)] {
        let token = signed(&format!(
            r#"{{"sub":"ada","sid":"s{exp}","auth_time":{},"iat":{},"exp":{exp}}}"#,
            BEGIN.as_secs(),
            absolute.as_secs() - 3600,
        ));
        let response = stack.at(12 * HOUR - Duration::from_secs(10)).get(&token).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(renewed(&response).is_some(), expected, "{exp}");
    }
}

#[tokio::test]
async fn p20_the_threshold_applies_to_the_shortened_lifetime() {
    let short = Policy::builder()
        .idle_timeout(12 * HOUR)
        .token_lifetime(10 * MINUTE)
        .build()
        .expect("a legal configuration");
    for (after, expected) in [(5 * MINUTE, false), (5 * MINUTE + MILLI, true)] {
        let stack = TestStack::new(short.clone());
        let token = signed(&format!(
            r#"{{"sub":"ada","sid":"s","auth_time":{0},"iat":{0},"exp":{1}}}"#,
            BEGIN.as_secs(),
            BEGIN.as_secs() + 3600,
        ));
        assert_eq!(renewed(&stack.at(after).get(&token).await).is_some(), expected, "{after:?}");
    }
}

#[tokio::test]
async fn p19_a_profile_is_kept_through_renewal_until_it_is_removed() {
    let week = 168 * HOUR;
    let remember_me = Policy::builder()
        .idle_timeout(week)
        .token_lifetime(week)
        .absolute_timeout(4 * week)
        .build()
        .expect("a legal configuration");
    let listed = TestStack::with(patient(), |builder| builder.profile("remember_me", remember_me));
    let grant =
        listed.sessions.start("ada").profile("remember_me").await.expect("the session starts");
    let after = week / 2 + MILLI;
    let successor =
        renewed(&listed.at(after).get(grant.access_token()).await).expect("renewal is due");
    assert_eq!(claims(&successor)["exp"], (BEGIN + after + week).as_secs());
    assert_eq!(claims(&successor)["session_profile"], "remember_me");

    let abolished = TestStack::new(patient());
    let response = abolished.at(HALF + MILLI).get(grant.access_token()).await;
    let successor = renewed(&response).expect("renewal is due under the normal profile");
    assert_eq!(claims(&successor)["exp"], (BEGIN + HALF + HOUR).as_secs());
    let response = abolished.at(12 * HOUR).get(grant.access_token()).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}
