//! Puts the token's successor on the response.

mod future;
mod pending;
mod shared_cache;

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

pub use self::future::ResponseFuture;
pub(crate) use self::future::{BoxedAwaitingToken, awaiting_token};
use self::{pending::PendingRenewal, shared_cache::is_shared_cacheable};
use crate::{
    audit::{AuditEvent, AuditQueue},
    clock::{Clock, SystemClock},
    policy::Profiles,
    request_class::RequestClass,
    rules::{self},
    session::Session,
    store::{MemoryLimiter, RenewalLimiter},
    time::Timestamp,
    token::{ClaimsSource, JwtKeys, Seen},
    transport::TokenDelivery,
};

const SESSION_EXPIRES: HeaderName = HeaderName::from_static("session-expires");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Renews the session's token: sliding refresh.
///
/// After the handler, where a renewal is due and nothing speaks against it, the token's successor
/// goes onto the response: `iat` now, a new `exp` and `jti`, every other claim as it was, never
/// past the absolute deadline. One mint per session, and one per user, per `renew_min_interval`.
/// A response that failed, that hands out or takes back a token itself, or that shared caches may
/// keep, is left alone; so is every response where renewing goes wrong. A request without a
/// [`Session`] passes untouched.
///
/// ```
/// use std::time::Duration;
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_sliding_session::{
///     ManualClock, Policy, Session, Timestamp, layers::RenewLayer, token::JwtKeys,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let minted = Timestamp::from_secs(1_800_000_000);
/// let clock = ManualClock::new(minted + Duration::from_secs(1801)); // past half its hour
/// let keys = JwtKeys::hs256([7; 32])?;
/// let service = ServiceBuilder::new()
///     .layer(
///         RenewLayer::new(keys, Policy::builder().build()?).clock(clock),
///     )
///     .service(service_fn(async |_: Request<()>| {
///         Ok::<_, std::convert::Infallible>(Response::new(()))
///     }));
/// let session = Session::builder("ada")
///     .sid("s1")
///     .auth_time(minted)
///     .claims_json(r#"{"sub":"ada","sid":"s1","iat":1800000000,"exp":1800003600}"#)
///     .build()?;
/// let response = service.oneshot(Request::get("/").extension(session).body(())?).await?;
/// assert!(response.headers().contains_key("x-refreshed-token"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct RenewLayer {
    settings: Arc<Settings>,
}

#[derive(Clone)]
struct Settings {
    keys: Arc<JwtKeys>,
    profiles: Arc<Profiles>,
    delivery: TokenDelivery,
    limiter: Arc<dyn RenewalLimiter>,
    claims: Option<Arc<dyn ClaimsSource>>,
    clock: Arc<dyn Clock>,
    session_expires: bool,
    audit_queue: Option<AuditQueue>,
}

impl RenewLayer {
    /// Signs with the newest of `keys`, by the rules of `profiles`.
    pub fn new(keys: impl Into<Arc<JwtKeys>>, profiles: impl Into<Arc<Profiles>>) -> Self {
        Self {
            settings: Arc::new(Settings {
                keys: keys.into(),
                profiles: profiles.into(),
                delivery: TokenDelivery::new(),
                limiter: Arc::new(MemoryLimiter::new()),
                claims: None,
                clock: Arc::new(SystemClock),
                session_expires: false,
                audit_queue: None,
            }),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Where successors are written; by default the header `x-refreshed-token`.
    pub fn delivery(self, delivery: TokenDelivery) -> Self {
        self.with(|settings| settings.delivery = delivery)
    }

    /// What grants renewals; by default a table in memory.
    pub fn renewal_limiter(self, limiter: impl RenewalLimiter) -> Self {
        self.with_renewal_limiter(Arc::new(limiter))
    }

    /// As [`renewal_limiter`](Self::renewal_limiter), with a limiter that is shared already.
    pub(crate) fn with_renewal_limiter(self, limiter: Arc<dyn RenewalLimiter>) -> Self {
        self.with(|settings| settings.limiter = limiter)
    }

    /// What tells the app's claims at each renewal; by default they stay as they are.
    pub fn claims_source(self, source: impl ClaimsSource) -> Self {
        self.with_claims_source(Arc::new(source))
    }

    /// As [`claims_source`](Self::claims_source), with a source that is shared already.
    pub(crate) fn with_claims_source(self, source: Arc<dyn ClaimsSource>) -> Self {
        self.with(|settings| settings.claims = Some(source))
    }

    /// Another clock than the system's.
    pub fn clock(self, clock: impl Clock) -> Self {
        self.with_clock(Arc::new(clock))
    }

    /// As [`clock`](Self::clock), with a clock that is shared already.
    pub(crate) fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        self.with(|settings| settings.clock = clock)
    }

    /// Where it is noted that a token was renewed, that a renewal was denied, or that a handler has
    /// ended the session.
    pub fn audit_queue(self, audit_queue: AuditQueue) -> Self {
        self.with(|settings| settings.audit_queue = Some(audit_queue))
    }

    /// Adds `Session-Expires: idle=1140, absolute=86400, renewable` to every response of a session
    /// (a structured dictionary, RFC 9651; seconds from now), for clients that warn.
    pub fn session_expires(self) -> Self {
        self.with(|settings| settings.session_expires = true)
    }
}

impl Settings {
    fn note(&self, event: &AuditEvent, session: &Session) {
        if let Some(audit_queue) = &self.audit_queue {
            audit_queue.note(event, self.clock.now(), &session.token().audit_subject());
        }
    }
}

impl<S> Layer<S> for RenewLayer {
    type Service = RenewService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RenewService { inner, layer: self.clone() }
    }
}

impl fmt::Debug for RenewLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenewLayer")
            .field("delivery", &self.settings.delivery)
            .finish_non_exhaustive()
    }
}

/// The service of [`RenewLayer`].
#[derive(Clone)]
pub struct RenewService<S> {
    inner: S,
    layer: RenewLayer,
}

impl<S> fmt::Debug for RenewService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RenewService(..)")
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for RenewService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let session = request.extensions().get::<Session>().cloned();
        let renewal = session.map(|session| self.layer.renewal(session, &request));
        ResponseFuture::new(self.inner.call(request), renewal)
    }
}

impl RenewLayer {
    /// What the response to `request` may be renewed by.
    #[inline(always)]
    pub(crate) fn renewal<B>(&self, session: Session, request: &Request<B>) -> Renewal {
        Renewal { class: session.class(request), session, settings: Arc::clone(&self.settings) }
    }
}

/// What a response may be renewed by: the session of its request.
pub(crate) struct Renewal {
    session: Session,
    class: RequestClass,
    settings: Arc<Settings>,
}

impl Renewal {
    /// Finishes `response`, or says which token is to be minted for it first.
    #[inline(always)]
    pub(crate) fn finish<B>(&self, response: &mut Response<B>) -> Option<PendingRenewal> {
        let pending = if !self.session.may_renew() {
            if self.session.was_ended() {
                self.settings.note(&AuditEvent::SessionEnded, &self.session);
            }
            None
        } else if self.class == RequestClass::User || self.session.has_replaced_claims() {
            self.pending(response)
        } else {
            None
        };
        if pending.is_none() {
            self.announce(response);
        }
        pending
    }

    /// The token to mint for `response`, if one is due.
    fn pending<B>(&self, response: &Response<B>) -> Option<PendingRenewal> {
        let (session, settings) = (&self.session, &self.settings);
        let replaced = session.take_replaced_claims();
        let claims = session.session_claims();
        let policy = session.policy(&settings.profiles);
        let now = settings.clock.now();
        let times = match &replaced {
            Some(_) => rules::successor_times(claims, &policy, now),
            None if self.class == RequestClass::User => rules::renewal_times(claims, &policy, now)?,
            // A renewal further in has taken them.
            None => return None,
        };
        // Asked last: most responses belong to tokens that are not due.
        if !self.is_renewable(response) {
            return None;
        }
        Some(PendingRenewal {
            session: session.clone(),
            settings: Arc::clone(settings),
            now,
            times,
            seen: self.seen(),
            replaced,
        })
    }

    /// A mint under `User` is an activity; under any other class the last one was earlier.
    fn seen(&self) -> Seen {
        match self.class {
            RequestClass::User => Seen::AtMint,
            _ => Seen::Earlier(self.session.last_activity()),
        }
    }

    fn is_renewable<B>(&self, response: &Response<B>) -> bool {
        let (status, delivery) = (response.status(), &self.settings.delivery);
        let succeeded = status.as_u16() < 400
            && status != StatusCode::NOT_MODIFIED
            && status != StatusCode::SWITCHING_PROTOCOLS;
        let forbids = |(name, value): (&HeaderName, &HeaderValue)| {
            let failed = *name == GRPC_STATUS && value != "0";
            failed || delivery.is_used_by(name, value) || is_shared_cacheable(name, value)
        };
        succeeded
            && delivery.reaches(self.session.origin())
            && !response.headers().iter().any(forbids)
    }

    /// `Session-Expires`, if it is asked for.
    #[inline]
    fn announce<B>(&self, response: &mut Response<B>) {
        if self.settings.session_expires && self.session.may_renew() {
            self.announce_deadlines(response);
        }
    }

    fn announce_deadlines<B>(&self, response: &mut Response<B>) {
        let claims = self.session.session_claims();
        let policy = self.session.policy(&self.settings.profiles);
        let deadlines = rules::Deadlines::new(claims, Some(self.session.last_activity()), &policy);
        let now = self.settings.clock.now();
        let left = |until: Timestamp| until.since(now).as_secs();
        let idle = left(deadlines.idle.unwrap_or(deadlines.absolute));
        let renewable = if policy.renews() { ", renewable" } else { "" };
        let announced = format!("idle={idle}, absolute={}{renewable}", left(deadlines.absolute));
        if let Ok(value) = HeaderValue::try_from(announced) {
            response.headers_mut().insert(SESSION_EXPIRES, value);
        }
    }
}
