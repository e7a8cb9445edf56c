//! P34: a sign-out by what a request presents, on a `Public` route.

use std::{convert::Infallible, sync::Arc};

use http::{Method, Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_sliding_session::{
    PathRules, Rejection, RejectionKind, SessionCookie, request_class::RequestHead,
    sessions::SlidingSessionsBuilder,
};

use crate::{
    stale_cookies::{INVALID, policy, refused_cookies, session, set_cookies, stack},
    test_stack::{
        HOUR, TestStack, by,
        faulty_store::{FaultyStore, StoreBehavior},
        ok, rejected,
    },
};

/// Sends a request to sign out to a handler of a `Public` route.
async fn sign_out(stack: &TestStack, headers: &[(&str, &str)]) -> (Option<Rejection>, Vec<String>) {
    let sessions = stack.sessions.clone();
    let handler = move |request: Request<()>| {
        let sessions = sessions.clone();
        async move {
            let mut response = ok();
            match sessions.sign_out_request(RequestHead::new(&request)).await {
                Ok(cleared) => cleared.write_to(response.headers_mut()),
                Err(rejection) => {
                    response = Response::new(String::new());
                    *response.status_mut() = rejection.kind().status();
                    response.extensions_mut().insert(rejection);
                }
            }
            response
        }
    };
    let mut request = by(Method::POST, "").uri("/logout").body(()).expect("a request");
    request.headers_mut().remove("authorization");
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().expect("a name");
        request.headers_mut().append(name, value.parse().expect("a value"));
    }
    let layer = stack.sessions.layer();
    let service = layer.layer(service_fn(move |request| {
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    }));
    let Ok(response) = service.oneshot(request).await;
    (response.extensions().get().copied(), set_cookies(response.headers()))
}

#[tokio::test]
async fn p34_a_sign_out_succeeds_with_an_expired_or_refused_cookie_and_clears_it() {
    let stack = stack(SlidingSessionsBuilder::refresh_tokens);
    for (what, cookie) in refused_cookies(&stack).await {
        let cleared = sign_out(&stack, &[("cookie", &session(&cookie))]).await;
        let expected = vec![SessionCookie::new().clear().to_str().expect("ASCII").to_owned()];
        assert_eq!(cleared, (None, expected), "{what}");
    }
    // An expired access token signs its session out: its refresh token is refused as revoked.
    let grant = stack.sessions.start("ada").await.expect("the session starts");
    stack.clock.advance(HOUR);
    let cookie = session(grant.access_token());
    assert_eq!(sign_out(&stack, &[("cookie", &cookie)]).await.1.len(), 1);
    let refused = stack.sessions.refresh(grant.refresh_token().expect("it is on")).await;
    assert_eq!(refused.expect_err("revoked").kind(), RejectionKind::InvalidRefreshToken);
}

#[tokio::test]
async fn p34_a_sign_out_revokes_every_session_that_the_request_presents() {
    let stack = stack(|builder| builder);
    let tokens = [stack.sign_in().await, stack.sign_in_as("bob").await, stack.sign_in().await];
    let cookies = format!("{}; {}", session(&tokens[0]), session(&tokens[1]));
    let bearer = format!("Bearer {}", tokens[2]);
    let (refused, cleared) =
        sign_out(&stack, &[("cookie", &cookies), ("authorization", &bearer)]).await;
    assert_eq!((refused, cleared.len()), (None, 1));
    for token in tokens {
        let response = stack.get(&token).await;
        assert_eq!(rejected(&response), Some(RejectionKind::SessionRevoked));
    }
}

#[tokio::test]
async fn p34_a_sign_out_clears_the_cookies_that_the_request_carries_only() {
    let named = |name: &str, path: &str| SessionCookie::named(name, path).expect("a cookie");
    let store = Arc::new(FaultyStore::new(StoreBehavior::Ready));
    let stack = TestStack::with(policy(), |builder| {
        builder
            .bearer()
            .session_cookie(SessionCookie::new().former(named("sid", "/app")))
            .mirror_cookie(named("mirror", "/files"))
            .path_rules(PathRules::new().public("/logout"))
            .store(Arc::clone(&store))
    });
    let token = stack.sign_in().await;
    let cookie = session(&token);
    let cleared_names = |cleared: &[String]| -> Vec<String> {
        cleared.iter().filter_map(|set| Some(set.split_once('=')?.0.to_owned())).collect()
    };
    for (headers, expected) in [
        (vec![], vec![]),
        (vec![("cookie", "theme=dark")], vec![]),
        (vec![("cookie", "mirror=x; sid=y")], vec!["sid", "mirror"]),
        (vec![("cookie", &*cookie), ("cookie", "mirror=x")], vec!["__Host-session", "mirror"]),
    ] {
        let (refused, cleared) = sign_out(&stack, &headers).await;
        assert_eq!(
            (refused, cleared_names(&cleared)),
            (None, expected.into_iter().map(str::to_owned).collect())
        );
    }
    let invalid = sign_out(&stack, &[("authorization", "Bearer a.b.c"), ("cookie", &cookie)]).await;
    assert_eq!((invalid.0.map(|it| it.kind()), invalid.1.len()), (INVALID, 0));
    let token = stack.sign_in().await;
    store.behave(StoreBehavior::Failing);
    let outage = sign_out(&stack, &[("cookie", &session(&token))]).await;
    let unavailable = Some(RejectionKind::StoreUnavailable);
    assert_eq!((outage.0.map(|it| it.kind()), outage.1.len()), (unavailable, 0));
}
