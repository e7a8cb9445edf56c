//! P10: the exact output of every hand-written `Debug`.

use std::{
    convert::Infallible,
    fmt::Debug,
    future::ready,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response};
use serde_json::json;
use tower::{Layer, Service, service_fn};
use tower_sliding_session::{
    JwtKeys, ManualClock, MaybeReady, Policy, Profiles, RequestClass, Session, SessionBody,
    SlidingSessions, Timestamp,
    identity::StoreKey,
    layers::{
        ActivityLayer, AuthenticateLayer, ClassifyLayer, ExposeHeadersLayer, RenewLayer,
        RequireRecentAuthLayer,
    },
    request_class::RequestHead,
    store::MemoryStore,
    token::{
        AdoptedSession, Algorithm, ClaimsUpdate, LegacyTokens, SigningKey, TokenVerifier,
        VerifyingKey,
    },
};

use crate::test_stack::{BEGIN, SECRET, signed};

const TIMES: &str = "auth_time: Timestamp(1800000000000ms), iat: Timestamp(1800000000000ms), \
                     exp: Timestamp(1800003600000ms), seen: None, ..";

fn handler() -> impl Service<Request<()>, Response = Response<()>, Error = Infallible> + Clone {
    service_fn(|_| ready(Ok(Response::new(()))))
}

/// The `Debug` output of the response future of a request through `layer`.
fn on_its_way<L, S>(layer: &L, to: fn() -> S) -> String
where
    L: Layer<S>,
    L::Service: Service<Request<()>, Future: Debug>,
{
    format!("{:?}", layer.layer(to()).call(Request::new(())))
}

fn policy() -> Policy {
    Policy::builder().build().expect("a legal configuration")
}

fn profiles() -> Profiles {
    Profiles::new(policy())
}

fn keys() -> Arc<JwtKeys> {
    Arc::new(JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes"))
}

fn hub() -> SlidingSessions {
    let keys = keys();
    let builder = SlidingSessions::builder(keys, policy()).clock(ManualClock::new(BEGIN));
    builder.build().expect("a legal configuration")
}

#[test]
fn p10_layers_show_their_settings_and_services_nothing() {
    let activity = ActivityLayer::new(profiles(), Arc::new(MemoryStore::new()));
    assert_eq!(format!("{activity:?}"), "ActivityLayer { on_failure: Reject, unknown: Adopt, .. }");
    assert_eq!(format!("{:?}", activity.layer(handler())), "ActivityService(..)");

    let authenticate = AuthenticateLayer::new(TokenVerifier::new(keys()), profiles());
    assert_eq!(
        format!("{authenticate:?}"),
        "AuthenticateLayer { transports: [Bearer], optional: false, .. }"
    );
    assert_eq!(format!("{:?}", authenticate.layer(handler())), "AuthenticateService(..)");

    let classify = ClassifyLayer::new(|_: RequestHead<'_>| RequestClass::User);
    assert_eq!(format!("{classify:?}"), "ClassifyLayer(..)");
    assert_eq!(format!("{:?}", classify.layer(handler())), "ClassifyService(..)");

    let renew = RenewLayer::new(keys(), profiles());
    assert_eq!(
        format!("{renew:?}"),
        r#"RenewLayer { delivery: TokenDelivery { header: "x-refreshed-token", cookie: None, mirror: None }, .. }"#
    );
    assert_eq!(format!("{:?}", renew.layer(handler())), "RenewService(..)");

    let recent = RequireRecentAuthLayer::new(Duration::from_secs(300));
    assert_eq!(format!("{recent:?}"), "RequireRecentAuthLayer { max_age: 300s, .. }");
}

#[test]
fn p10_response_futures_show_nothing() {
    let store = Arc::new(MemoryStore::new());
    let authenticate = AuthenticateLayer::new(TokenVerifier::new(keys()), profiles());
    let shown = [
        on_its_way(&ActivityLayer::new(profiles(), store), handler),
        on_its_way(&authenticate, handler),
        on_its_way(&ExposeHeadersLayer::new([]), handler),
        on_its_way(&RenewLayer::new(keys(), profiles()), handler),
        on_its_way(&RequireRecentAuthLayer::new(Duration::ZERO), handler),
    ];
    assert_eq!(shown, ["ResponseFuture(..)"; 5]);
    assert_eq!(format!("{:?}", SessionBody::<()>::default()), "SessionBody(..)");
}

#[tokio::test]
async fn p10_sliding_sessions_show_settings_and_a_grant_shows_times() {
    let builder = SlidingSessions::builder(keys(), policy());
    assert_eq!(format!("{builder:?}"), "SlidingSessionsBuilder(..)");
    let hub = hub();
    assert!(format!("{hub:?}").starts_with("SlidingSessions { profiles: Profiles { normal: "));
    assert_eq!(format!("{:?}", hub.layer().layer(handler())), "SlidingSessionsService(..)");

    let start = hub.start("ada").tenant("acme");
    assert_eq!(format!("{start:?}"), "Start { profile: None, .. }");
    assert_eq!(
        format!("{:?}", start.await.expect("the session starts")),
        "Grant { expires_in: 3600s, idle_expires_at: Timestamp(1800001200000ms), \
         absolute_expires_at: Timestamp(1800043200000ms), .. }"
    );
    assert_eq!(format!("{:?}", ManualClock::new(BEGIN)), "ManualClock(Timestamp(1800000000000ms))");
}

/// The payload of a token issued at `BEGIN`, with `more` members.
fn payload(more: &str) -> String {
    let now = BEGIN.as_secs();
    format!(r#"{{"sub":"ada","auth_time":{now},"iat":{now},"exp":{}{more}}}"#, now + 3600)
}

#[test]
fn p10_tokens_and_sessions_show_times_only() {
    let verified =
        TokenVerifier::new(keys()).verify(signed(&payload(r#","sid":"s1""#)), Timestamp::EPOCH);
    let verified = verified.expect("a valid token");
    assert_eq!(format!("{:?}", verified.claims()), format!("SessionClaims {{ {TIMES} }}"));
    assert_eq!(format!("{verified:?}"), format!("VerifiedToken(SessionClaims {{ {TIMES} }})"));
    let session = || Session::builder("ada").sid("s1").auth_time(BEGIN).claims_json(payload(""));
    assert_eq!(format!("{:?}", session()), "SessionBuilder(..)");
    assert_eq!(
        format!("{:?}", session().build().expect("a complete session")),
        format!("Session(SessionClaims {{ {TIMES} }})")
    );
}

#[test]
fn p10_claims_of_the_app_are_not_shown() {
    assert_eq!(format!("{:?}", LegacyTokens::Reject), "Reject");
    let seen = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&seen);
    let adopt = LegacyTokens::adopt(move |claims| {
        *kept.lock().expect("not poisoned") = format!("{claims:?}");
        let session = AdoptedSession::new("secret").sid("secret").profile("secret");
        assert_eq!(format!("{session:?}"), "AdoptedSession { auth_time: None, .. }");
        Some(session)
    });
    assert_eq!(format!("{adopt:?}"), "Adopt(..)");
    TokenVerifier::new(keys())
        .legacy(adopt)
        .verify(signed(&payload("")), Timestamp::EPOCH)
        .expect("the token is adopted");
    assert_eq!(*seen.lock().expect("not poisoned"), "LegacyClaims(..)");
    let replaced = ClaimsUpdate::replace(&json!({ "role": "admin" })).expect("an object");
    assert_eq!(format!("{replaced:?}"), "Replace(ReplacedClaims(..))");
    let mut request = Request::new(());
    request.headers_mut().insert("cookie", "secret".parse().expect("a value"));
    let head = RequestHead::new(&request);
    assert_eq!(format!("{head:?}"), r#"RequestHead { method: GET, path: "/", .. }"#);
}

#[test]
fn p10_keys_and_stores_show_no_secret() {
    let hmac =
        || SigningKey::hmac(Algorithm::HS256, SECRET).expect("a secret of at least 32 bytes");
    assert_eq!(
        format!("{:?}", hmac()),
        "SigningKey(VerifyingKey { algorithm: HS256, kid: None, .. })"
    );
    let verifying = VerifyingKey::hmac(Algorithm::HS256, SECRET)
        .expect("a secret of at least 32 bytes")
        .kid("a");
    assert_eq!(
        format!("{verifying:?}"),
        r#"VerifyingKey { algorithm: HS256, kid: Some("a"), .. }"#
    );
    assert_eq!(
        format!("{:?}", JwtKeys::new(hmac())),
        "JwtKeys { own: [VerifyingKey { algorithm: HS256, kid: None, .. }], issuers: [] }"
    );
    assert_eq!(format!("{:?}", StoreKey::session(None, "s1")), "StoreKey(..)");
    assert_eq!(format!("{:?}", MaybeReady::ready(Ok(7))), "MaybeReady(ready)");
    assert_eq!(format!("{:?}", MaybeReady::new(async { Ok(7) })), "MaybeReady(boxed)");
}
