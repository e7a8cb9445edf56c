//! Traits of the public types: compile-time checks.

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_sliding_session::{
    Clock, Grant, InvalidTimestamp, JwtKeys, ManualClock, MaybeReady, PathRules, Policy, Profiles,
    Rejection, Session, SessionBody, SessionCookie, SlidingSessions, StartError, SystemClock,
    Timestamp,
    layers::{
        ActivityLayer, AuthenticateLayer, ClassifyLayer, ExposeHeadersLayer, RenewLayer,
        RequireRecentAuthLayer,
    },
    lifecycle::AccountPolicyError,
    policy::{DurationError, OutOfBounds, PolicyError, TimeoutOverrides},
    rejection::MakeRejection,
    request_class::Classify,
    sessions::{BuildError, SlidingSessionsLayer, SlidingSessionsService},
    store::Exempt,
    store::{MemoryLimiter, MemoryStore, RenewalLimiter, SessionStore, StoreError},
    token::{ClaimsSource, KeyError, SigningKey, TokenVerifier, VerifiedToken, VerifyingKey},
    transport::SetCookie,
};

const fn shared<T: Send + Sync + 'static>() {}
const fn shared_and_clone<T: Clone + Send + Sync + 'static>() {}
const fn sent<T: Send + 'static>() {}
const fn defaults<T: Default>() {}
const fn debugs<T: std::fmt::Debug>() {}
const fn fails_with<T: std::error::Error + Send + Sync + 'static>() {}

/// A service with a body that is not `Sync`.
#[derive(Clone)]
struct Handler;

/// Neither `Sync` nor `Clone`.
struct Bytes(#[allow(dead_code, reason = "for its traits")] std::cell::Cell<u8>);

impl http_body::Body for Bytes {
    type Data = bytes::Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Infallible>>> {
        std::task::Poll::Ready(None)
    }
}

impl Service<Request<Bytes>> for Handler {
    type Response = Response<Bytes>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Bytes>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        std::future::ready(Ok(Response::new(Bytes(std::cell::Cell::new(0)))))
    }
}

/// Checks that the service of a layer is `Send` and `Sync`, and that its futures are `Send`.
const fn composes<L>()
where
    L: Layer<Handler> + Clone + Send + Sync + 'static,
    L::Service: Service<Request<Bytes>, Error = Infallible> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request<Bytes>>>::Future: Send + 'static,
{
}

#[test]
fn layers_and_services_are_send_and_sync_and_futures_are_send() {
    composes::<ClassifyLayer>();
    composes::<AuthenticateLayer>();
    composes::<ActivityLayer>();
    composes::<RenewLayer>();
    composes::<ExposeHeadersLayer>();
    composes::<RequireRecentAuthLayer>();
    composes::<SlidingSessionsLayer>();
    shared_and_clone::<SlidingSessionsService<Handler>>();
}

#[test]
fn handles_are_send_sync_and_clone() {
    shared_and_clone::<Session>();
    shared_and_clone::<SlidingSessions>();
    shared_and_clone::<Policy>();
    shared_and_clone::<Grant>();
    shared_and_clone::<Rejection>();
    shared_and_clone::<SessionCookie>();
    shared_and_clone::<SetCookie>();
    shared_and_clone::<Timestamp>();
    shared_and_clone::<TimeoutOverrides>();
    shared_and_clone::<SigningKey>();
    shared_and_clone::<VerifyingKey>();
    shared_and_clone::<TokenVerifier>();
    shared_and_clone::<ManualClock>();
    shared_and_clone::<SystemClock>();
    shared::<JwtKeys>();
    shared::<Profiles>();
    shared::<PathRules>();
    shared::<VerifiedToken>();
    shared::<MemoryStore>();
    shared::<MemoryLimiter>();
    sent::<MaybeReady<()>>();
    fails_with::<Rejection>();
    fails_with::<StoreError>();
    fails_with::<KeyError>();
    fails_with::<StartError>();
    fails_with::<AccountPolicyError>();
    fails_with::<BuildError>();
    fails_with::<PolicyError>();
    fails_with::<DurationError>();
    fails_with::<OutOfBounds>();
    fails_with::<InvalidTimestamp>();
}

#[test]
fn every_trait_is_dyn_safe() {
    shared::<Arc<dyn SessionStore>>();
    shared::<Arc<dyn RenewalLimiter>>();
    shared::<Arc<dyn ClaimsSource>>();
    shared::<Arc<dyn Classify>>();
    shared::<Arc<dyn MakeRejection>>();
    shared::<Arc<dyn Clock>>();
}

#[test]
fn an_arc_of_a_trait_object_is_an_argument_like_any_other() {
    fn store<T: SessionStore>() {}
    fn limiter<T: RenewalLimiter>() {}
    fn source<T: ClaimsSource>() {}
    fn classify<T: Classify>() {}
    fn rejections<T: MakeRejection>() {}
    fn clock<T: Clock>() {}
    fn profiles(_: impl Into<Arc<Profiles>>) {}
    store::<Arc<dyn SessionStore>>();
    limiter::<Arc<dyn RenewalLimiter>>();
    source::<Arc<dyn ClaimsSource>>();
    classify::<Arc<dyn Classify>>();
    rejections::<Arc<dyn MakeRejection>>();
    clock::<Arc<dyn Clock>>();
    profiles(Policy::long_lived());
    profiles(Profiles::new(Policy::long_lived()));
}

#[test]
fn session_body_requires_nothing_of_the_inner_body() {
    struct Nothing;
    defaults::<SessionBody<Nothing>>();
    debugs::<SessionBody<Nothing>>();
    sent::<SessionBody<Bytes>>();
    // As `BodyExt::boxed` requires.
    shared::<SessionBody<bytes::Bytes>>();
    defaults::<SessionBody<SessionBody<Full<bytes::Bytes>>>>();
}

#[test]
fn an_infallible_service_stays_infallible() {
    fn unfailing<S: Service<Request<()>, Error = Infallible>>(_: S) {}
    let keys = JwtKeys::hs256([7; 32]).expect("a secret of at least 32 bytes");
    let policy = Policy::builder().build().expect("a legal configuration");
    let sessions = SlidingSessions::builder(keys, policy).build().expect("a legal configuration");
    unfailing(sessions.layer().layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    })));
}

#[test]
fn futures_of_the_api_are_send() {
    fn spawned<F: Future + Send>(_: F) {}
    let session = Session::builder("ada")
        .sid("s1")
        .auth_time(Timestamp::from_secs(1))
        .build()
        .expect("a complete session");
    spawned(session.sign_out());
    let keys = JwtKeys::hs256([7; 32]).expect("a secret of at least 32 bytes");
    let policy = Policy::builder().build().expect("a legal configuration");
    let sessions = SlidingSessions::builder(keys, policy).build().expect("a legal configuration");
    spawned(sessions.revoke("s1").into_future());
    let scope = sessions.everything();
    spawned(sessions.revoke_all(scope, Exempt::None).into_future());
    spawned(sessions.start("ada").into_future());
}
