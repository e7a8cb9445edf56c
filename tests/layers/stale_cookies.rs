//! P34: a stale cookie locks no browser out.

use std::{convert::Infallible, sync::Arc};

use http::{HeaderMap, Request, Response, header::SET_COOKIE};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_sliding_session::{
    JwtKeys, PathRules, Policy, Profiles, RejectionKind, Session, SessionCookie,
    layers::{ActivityLayer, AuthenticateLayer, RenewLayer},
    sessions::SlidingSessionsBuilder,
    store::{Exempt, SessionStore},
    token::TokenVerifier,
    transport::TokenDelivery,
};

use crate::test_stack::{
    BEGIN, HOUR, MINUTE, SECRET, TestStack, claims,
    faulty_store::{FaultyStore, StoreBehavior},
    forge, payload, rejected, signed, text, with,
};

pub(crate) const INVALID: Option<RejectionKind> = Some(RejectionKind::InvalidToken);
const NAVIGATES: (&str, &str) = ("sec-fetch-mode", "navigate");

/// Twenty minutes idle, twelve hours in all.
pub(crate) fn policy() -> Policy {
    let policy = Policy::builder().idle_timeout(20 * MINUTE);
    policy.build().expect("a legal configuration")
}

pub(crate) fn request(headers: &[(&str, &str)]) -> Request<()> {
    let request =
        headers.iter().fold(Request::builder(), |it, (name, value)| it.header(*name, *value));
    request.body(()).expect("a request")
}

pub(crate) fn session(token: &str) -> String {
    format!("__Host-session={token}")
}

pub(crate) fn set_cookies(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(SET_COOKIE).iter();
    values.map(|value| value.to_str().expect("ASCII").to_owned()).collect()
}

/// A handler that says whether there is a session.
async fn says_who(request: Request<()>) -> Response<String> {
    let session = request.extensions().get::<Session>();
    Response::new(session.map_or("nobody", Session::subject).to_owned())
}

pub(crate) fn stack(
    set: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder,
) -> TestStack {
    TestStack::with(policy(), |builder| {
        set(builder.bearer().session_cookie(SessionCookie::new()))
            .path_rules(PathRules::new().public("/login").public("/logout"))
    })
}

pub(crate) async fn who(stack: &TestStack, request: Request<()>) -> Result<String, RejectionKind> {
    let response = stack.send_to(says_who, request).await;
    match rejected(&response) {
        Some(kind) => Err(kind),
        None => Ok(text(response).await),
    }
}

/// Cookies that are refused, each with what is wrong with it, `HOUR + 1 min` after the sign-in.
pub(crate) async fn refused_cookies(stack: &TestStack) -> Vec<(&'static str, String)> {
    let idle = stack.sign_in().await;
    let expired = signed(&format!(
        r#"{{"sub":"ada","sid":"s","auth_time":{0},"iat":{0},"exp":{1}}}"#,
        BEGIN.as_secs(),
        BEGIN.as_secs() + 60
    ));
    let absolute = signed(&format!(
        r#"{{"sub":"ada","sid":"t","auth_time":{},"iat":{},"exp":{}}}"#,
        BEGIN.as_secs() - 13 * 3600,
        BEGIN.as_secs(),
        BEGIN.as_secs() + 7200
    ));
    stack.at(HOUR + MINUTE);
    let revoked = stack.sign_in().await;
    let sid = claims(&revoked)["sid"].as_str().expect("a sid").to_owned();
    stack.sessions.revoke(&sid).await.expect("it is revoked");
    let cut_off = stack.sign_in_as("eve").await;
    let eve = stack.sessions.user_scope(None, "eve");
    stack.sessions.revoke_all(eve, Exempt::None).await.expect("they are revoked");
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let (ada, bob) = (stack.sign_in_as("ada").await, stack.sign_in_as("bob").await);
    vec![
        ("empty", String::new()),
        ("no token", "x".to_owned()),
        ("malformed", "a.b.c".to_owned()),
        ("forged", forge(header, &payload(&idle), &[9; 32])),
        ("too long", format!("a.{}.c", "b".repeat(9000))),
        ("expired", expired),
        ("idle", idle),
        ("absolute", absolute),
        ("revoked", revoked),
        ("cut off", cut_off),
        ("two subjects", format!("{ada}; __Host-session={bob}")),
    ]
}

#[tokio::test]
async fn p34_where_no_token_is_required_a_refused_cookie_counts_as_absent() {
    for behavior in [StoreBehavior::Ready, StoreBehavior::Pending] {
        let store = Arc::new(FaultyStore::new(behavior));
        let with_faulty_store = Arc::clone(&store);
        for stack in [
            stack(SlidingSessionsBuilder::optional),
            stack(|builder| builder.optional().activity_log()),
        ] {
            for (what, cookie) in refused_cookies(&stack).await {
                let stale = session(&cookie);
                assert_eq!(
                    who(&stack, request(&[("cookie", &stale)])).await.as_deref(),
                    Ok("nobody"),
                    "{what}"
                );
                // A navigation, and a request that counts as no activity.
                for header in [NAVIGATES, ("session-activity", "background")] {
                    let request = request(&[("cookie", &stale), header]);
                    assert_eq!(who(&stack, request).await.as_deref(), Ok("nobody"), "{what}");
                }
            }
        }
        let (policy, sessions) = (policy(), TestStack::new(policy()));
        let optional = single_layers(&sessions, with_faulty_store, policy);
        for (what, cookie) in refused_cookies(&sessions).await {
            if matches!(what, "idle" | "revoked" | "cut off") {
                continue; // The other store does not know of them.
            }
            let response =
                optional.clone().oneshot(request(&[("cookie", &session(&cookie))])).await;
            assert_eq!(response.expect("infallible").1, "nobody", "{what}");
        }
        assert_eq!(store.touches() + store.gets(), 0, "no store is asked about a refused token");
    }
}

/// The single layers, optional, as a service that returns headers and body.
fn single_layers(
    stack: &TestStack,
    store: Arc<FaultyStore>,
    policy: Policy,
) -> impl Service<Request<()>, Response = (HeaderMap, String), Error = Infallible, Future: Send> + Clone
{
    let keys = Arc::new(JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes"));
    let clock = Arc::new(stack.clock.clone());
    let profiles = Arc::new(Profiles::new(policy));
    let store: Arc<dyn SessionStore> = store;
    let layers = ServiceBuilder::new()
        .layer(
            AuthenticateLayer::new(TokenVerifier::new(Arc::clone(&keys)), Arc::clone(&profiles))
                .transports(SessionCookie::new())
                .store(Arc::clone(&store))
                .clock(Arc::clone(&clock))
                .optional(),
        )
        .layer(ActivityLayer::new(Arc::clone(&profiles), store).clock(Arc::clone(&clock)))
        .layer(
            RenewLayer::new(keys, profiles)
                .delivery(TokenDelivery::new().cookie(SessionCookie::new()))
                .clock(clock),
        );
    let service = layers
        .service(service_fn(|request| async { Ok::<_, Infallible>(says_who(request).await) }));
    service_fn(move |request: Request<()>| {
        let service = service.clone();
        async move {
            let Ok(response) = service.oneshot(request).await;
            let headers = response.headers().clone();
            let body = http_body_util::BodyExt::collect(response.into_body()).await;
            let body = body.expect("a whole body").to_bytes();
            Ok((headers, String::from_utf8(body.to_vec()).expect("UTF-8")))
        }
    })
}

#[tokio::test]
async fn p34_single_layers_pass_a_cookie_whose_session_has_ended() {
    for behavior in [StoreBehavior::Ready, StoreBehavior::Pending] {
        let store = Arc::new(FaultyStore::new(behavior));
        let sessions = TestStack::new(policy());
        let service = single_layers(&sessions, Arc::clone(&store), policy());
        let token = sessions.sign_in().await;
        let send = async || {
            let response = service.clone().oneshot(request(&[("cookie", &session(&token))])).await;
            response.expect("infallible").1
        };
        assert_eq!(send().await, "ada");
        sessions.at(20 * MINUTE);
        assert_eq!(send().await, "nobody", "idle");
        store.behave(StoreBehavior::Failing);
        assert!(send().await.contains("store_unavailable"), "an outage is no refusal");
    }
}

#[tokio::test]
async fn p34_a_refused_header_is_rejected_although_no_token_is_required() {
    let stack = stack(SlidingSessionsBuilder::optional);
    let token = stack.sign_in().await;
    for (headers, expected) in [
        (vec![("authorization", "Bearer a.b.c")], INVALID),
        (vec![("authorization", "Bearer a"), ("authorization", "Bearer a")], INVALID),
        (vec![("authorization", "Bearer")], INVALID),
        (vec![("authorization", "Bearer a.b.c"), ("cookie", "__Host-session=a.b.c")], INVALID),
        (vec![], None),
    ] {
        assert_eq!(who(&stack, request(&headers)).await.err(), expected, "{headers:?}");
    }
    stack.at(20 * MINUTE);
    let idle = who(&stack, with(&token)).await;
    assert_eq!(idle, Err(RejectionKind::SessionExpiredIdle));
}

#[tokio::test]
async fn p34_a_good_header_is_found_behind_a_refused_cookie() {
    let stack = TestStack::with(policy(), |builder| {
        let builder = builder.session_cookie(SessionCookie::new()).bearer();
        builder.token_header(http::HeaderName::from_static("x-token")).optional()
    });
    let token = stack.sign_in().await;
    let bearer = format!("Bearer {token}");
    for (headers, expected) in [
        (vec![("cookie", "__Host-session=a.b.c"), ("authorization", &*bearer)], Ok("ada")),
        (vec![("cookie", "__Host-session="), ("x-token", &token)], Ok("ada")),
        (
            vec![("cookie", "__Host-session=a.b.c"), ("authorization", "Bearer a.b.c")],
            Err(RejectionKind::InvalidToken),
        ),
    ] {
        let seen = who(&stack, request(&headers)).await;
        assert_eq!(seen.as_deref().map_err(|kind| *kind), expected, "{headers:?}");
    }
}

#[tokio::test]
async fn p34_an_outage_is_no_refusal_of_a_cookie() {
    let store = Arc::new(FaultyStore::new(StoreBehavior::Ready));
    let stack = TestStack::with(policy(), |builder| {
        builder.session_cookie(SessionCookie::new()).optional().store(Arc::clone(&store))
    });
    let token = stack.sign_in().await;
    store.behave(StoreBehavior::Failing);
    let seen = who(&stack, request(&[("cookie", &session(&token))])).await;
    assert_eq!(seen, Err(RejectionKind::StoreUnavailable));
}

#[tokio::test]
async fn p34_only_the_answer_to_a_navigation_clears_the_cookie_of_an_ended_session() {
    let stack = stack(|builder| builder);
    let cookies = refused_cookies(&stack).await;
    for (what, cookie) in cookies {
        let cookie = session(&cookie);
        let top_level: &[&[(&str, &str)]] =
            &[&[NAVIGATES], &[NAVIGATES, ("sec-fetch-dest", "document")]];
        let others: &[&[(&str, &str)]] = &[
            &[],
            &[("sec-fetch-mode", "cors")],
            &[("sec-fetch-mode", "navigate"), ("sec-fetch-mode", "cors")],
            &[NAVIGATES, ("sec-fetch-dest", "iframe")],
        ];
        for (list, may_clear) in [(top_level, true), (others, false)] {
            for more in list {
                let headers = [&[("cookie", &*cookie)], *more].concat();
                let response = stack.send(request(&headers)).await;
                assert!(rejected(&response).is_some(), "{what}");
                let has_ended = matches!(what, "idle" | "absolute" | "revoked");
                let expected = if may_clear && has_ended {
                    vec![SessionCookie::new().clear().to_str().expect("ASCII").to_owned()]
                } else {
                    vec![]
                };
                assert_eq!(set_cookies(response.headers()), expected, "{what} {more:?}");
            }
        }
    }
    // A token in a header leaves the cookie alone.
    let token = stack.sign_in().await;
    stack.clock.advance(20 * MINUTE);
    let mut navigation = with(&token);
    navigation.headers_mut().insert(NAVIGATES.0, NAVIGATES.1.parse().expect("a value"));
    assert_eq!(set_cookies(stack.send(navigation).await.headers()), [""; 0]);
}

#[tokio::test]
async fn p34_the_cookie_is_cleared_after_a_wait_for_the_store_too() {
    let store = Arc::new(FaultyStore::new(StoreBehavior::Pending));
    let stack = TestStack::with(policy(), |builder| {
        builder.session_cookie(SessionCookie::new()).store(Arc::clone(&store))
    });
    let token = stack.sign_in().await;
    // Idle by the store, then also expired by the token.
    for after in [20 * MINUTE, HOUR] {
        for (headers, expected) in [(vec![NAVIGATES], 1), (vec![], 0)] {
            stack.at(after);
            let cookie = session(&token);
            let headers = [vec![("cookie", &*cookie)], headers].concat();
            let response = stack.send(request(&headers)).await;
            assert_eq!(rejected(&response), Some(RejectionKind::SessionExpiredIdle), "{after:?}");
            assert_eq!(set_cookies(response.headers()).len(), expected, "{after:?}");
        }
    }
}
