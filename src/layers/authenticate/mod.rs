//! Verifies the presented token and inserts its session.

mod future;

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN},
};
use tower_layer::Layer;
use tower_service::Service;

pub use self::future::ResponseFuture;
use self::future::{Asking, Dismissal};
use crate::{
    audit::{AuditEvent, AuditQueue},
    body::SessionBody,
    clock::{Clock, SystemClock},
    maybe_ready::{REQUEST_TIME_LIMIT, Timed},
    policy::Profiles,
    rejection::{MakeRejection, Protocol, Rejection, RejectionFormat, RejectionKind},
    request_class::{RequestClass, RequestHeaders},
    rules::{self, ExpiryReason, SessionStatus},
    session::{Enforcement, Session},
    store::{SessionStore, StoredSession},
    time::Timestamp,
    token::{TokenVerifier, VerifiedToken},
    transport::{Presented, Transport, mark_sensitive, read},
};

/// Verifies the presented token; a good one puts its [`Session`] into the request's extensions, a
/// bad one is answered with a [`Rejection`].
///
/// This layer knows `exp` and the absolute deadline. Given a [store](Self::store) it asks it where
/// one of them has passed, and only there, so that a session that ended earlier, by revocation or
/// for want of activity, is told so. `Public` requests are not looked at; `OPTIONS` is
/// authenticated like any other method.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use http::{Request, Response, StatusCode};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_sliding_session::{
///     Policy, Profiles, layers::AuthenticateLayer, token::{JwtKeys, TokenVerifier},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let verifier = TokenVerifier::new(Arc::new(JwtKeys::hs256([7; 32])?));
/// let profiles = Profiles::new(Policy::builder().build()?);
/// let service = ServiceBuilder::new()
///     .layer(AuthenticateLayer::new(verifier, profiles))
///     .service(service_fn(async |_: Request<()>| {
///         Ok::<_, std::convert::Infallible>(Response::new(String::new()))
///     }));
/// let response = service.oneshot(Request::get("/").body(())?).await?;
/// assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct AuthenticateLayer {
    settings: Arc<Settings>,
}

#[derive(Clone)]
struct Settings {
    verifier: TokenVerifier,
    enforcement: Arc<Enforcement>,
    transports: Vec<Transport>,
    rejections: Option<Arc<dyn MakeRejection>>,
    audit_queue: Option<AuditQueue>,
    optional: bool,
    allow_preflight: bool,
}

impl AuthenticateLayer {
    /// Requires a bearer token that `verifier` accepts and that lives under `profiles`.
    pub fn new(verifier: TokenVerifier, profiles: impl Into<Arc<Profiles>>) -> Self {
        Self {
            settings: Arc::new(Settings {
                verifier,
                enforcement: Arc::new(Enforcement::new(profiles.into(), Arc::new(SystemClock))),
                transports: vec![Transport::Bearer],
                rejections: None,
                audit_queue: None,
                optional: false,
                allow_preflight: false,
            }),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Where tokens are looked for, in this order; by default the `Authorization` header.
    pub fn transports(self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.with(|settings| settings.transports = transports.into_iter().collect())
    }

    /// The store that is asked why a session is over, where its token has ended.
    pub fn store(self, store: impl SessionStore) -> Self {
        self.with(|settings| {
            let enforcement = Enforcement::clone(&settings.enforcement).with_store(Arc::new(store));
            settings.enforcement = Arc::new(enforcement);
        })
    }

    /// Judges as `enforcement` does.
    pub(crate) fn enforced_by(self, enforcement: Arc<Enforcement>) -> Self {
        self.with(|settings| settings.enforcement = enforcement)
    }

    /// Another clock than the system's.
    pub fn clock(self, clock: impl Clock) -> Self {
        self.with(|settings| Arc::make_mut(&mut settings.enforcement).clock = Arc::new(clock))
    }

    /// Writes the bodies of rejections over plain HTTP.
    pub fn rejections(self, make: impl MakeRejection) -> Self {
        self.with_rejections(Arc::new(make))
    }

    /// As [`rejections`](Self::rejections), with what is shared already.
    pub(crate) fn with_rejections(self, make: Arc<dyn MakeRejection>) -> Self {
        self.with(|settings| settings.rejections = Some(make))
    }

    /// Where it is noted that a token was turned away.
    pub fn audit_queue(self, audit_queue: AuditQueue) -> Self {
        self.with(|settings| settings.audit_queue = Some(audit_queue))
    }

    /// Lets requests without a token pass, without a `Session`; a bad token is still rejected.
    pub fn optional(self) -> Self {
        self.with(|settings| settings.optional = true)
    }

    /// Answers CORS preflights itself, with 204, and passes nothing of them inward. Off by
    /// default: a `CorsLayer` outside answers them before they get here. What allows the origin
    /// (`Access-Control-Allow-Origin` and the like) is added outside, too.
    pub fn allow_preflight(self) -> Self {
        self.with(|settings| settings.allow_preflight = true)
    }
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = AuthenticateService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthenticateService { inner, layer: self.clone() }
    }
}

impl fmt::Debug for AuthenticateLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateLayer")
            .field("transports", &self.settings.transports)
            .field("optional", &self.settings.optional)
            .finish_non_exhaustive()
    }
}

/// The service of [`AuthenticateLayer`].
#[derive(Clone)]
pub struct AuthenticateService<S> {
    inner: S,
    layer: AuthenticateLayer,
}

impl<S> fmt::Debug for AuthenticateService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthenticateService(..)")
    }
}

/// Why a request is not let in.
enum Refusal {
    Rejected(Rejection),
    /// Its session is over; the store is being asked why.
    Asking(Question),
}

/// A store that is being asked why a session is over.
struct Question {
    answer: Timed<StoredSession>,
    ended: Ended,
}

/// A session that its token alone knows to be over.
struct Ended {
    token: Arc<VerifiedToken>,
    limit: ExpiryReason,
    now: Timestamp,
}

impl Settings {
    /// The session whose token the request presents, if it presents one.
    #[inline(always)]
    fn authenticate(
        &self,
        headers: &HeaderMap,
        noted: &RequestHeaders<'_>,
    ) -> Result<Option<Session>, Refusal> {
        let (token, origin) = match read(&self.transports, noted.authorization, headers) {
            Presented::Nothing if self.optional => return Ok(None),
            Presented::Nothing => {
                return Err(Refusal::Rejected(RejectionKind::MissingToken.into()));
            }
            Presented::Unreadable => {
                return Err(self.reject(
                    RejectionKind::InvalidToken,
                    None,
                    self.enforcement.clock.now(),
                ));
            }
            Presented::Token(token, origin) => (token, origin),
        };
        let now = self.enforcement.clock.now();
        let Ok(token) = self.verifier.verify(token, now) else {
            return Err(self.reject(RejectionKind::InvalidToken, None, now));
        };
        if self.enforcement.is_revoked(&token) {
            return Err(self.reject(RejectionKind::SessionRevoked, Some(&token), now));
        }
        match rules::status(token.claims(), None, &self.enforcement.policy(&token), now) {
            SessionStatus::Invalid => {
                Err(self.reject(RejectionKind::InvalidToken, Some(&token), now))
            }
            SessionStatus::Expired(limit) => Err(self.why(Ended { token, limit, now })),
            SessionStatus::Active { .. } => {
                let session = Session::new(token, origin, Some(Arc::clone(&self.enforcement)));
                session.set_now(now);
                Ok(Some(session))
            }
        }
    }

    fn reject(
        &self,
        kind: RejectionKind,
        token: Option<&VerifiedToken>,
        now: Timestamp,
    ) -> Refusal {
        self.note(kind, token, now, now);
        Refusal::Rejected(kind.into())
    }

    fn note(
        &self,
        kind: RejectionKind,
        token: Option<&VerifiedToken>,
        last_activity: Timestamp,
        now: Timestamp,
    ) {
        let Some(audit_queue) = &self.audit_queue else { return };
        let Some(token) = token else {
            // What nobody has signed is about nobody: whoever sends it must not fill the log.
            tracing::debug!(code = kind.code(), "a token was rejected");
            return;
        };
        if let Some(event) = AuditEvent::from_rejection(kind, now.since(last_activity)) {
            audit_queue.note(&event, now, &token.audit_subject());
        }
    }

    /// Asks the store, if there is one, why a session is over.
    fn why(&self, ended: Ended) -> Refusal {
        let Some(store) = self.enforcement.store() else {
            return Refusal::Rejected(self.name(&ended, None));
        };
        match store.get(ended.token.session_key()).try_ready() {
            Ok(answer) => Refusal::Rejected(self.name(&ended, answer.ok())),
            Err(pending) => {
                let answer = Timed::new(pending, &*self.enforcement.clock, REQUEST_TIME_LIMIT);
                Refusal::Asking(Question { answer, ended })
            }
        }
    }

    /// The reason for a session's end, by what the store answered; without an answer the last
    /// activity is known only where the token says all there is to say about it.
    fn name(&self, ended: &Ended, answer: Option<StoredSession>) -> Rejection {
        let claims = ended.token.claims();
        let policy = self.enforcement.policy(&ended.token);
        let stored = match answer {
            Some(StoredSession::Active(at)) => Some(at),
            _ => None,
        };
        let last_activity = rules::last_activity(claims, stored, ended.now);
        let kind = match answer {
            Some(StoredSession::Ended) => RejectionKind::SessionRevoked,
            None if policy.records_activity() => ended.limit.into(),
            _ => match rules::status(claims, Some(last_activity), &policy, ended.now) {
                SessionStatus::Expired(limit) => {
                    self.enforcement.seal(&ended.token, limit, &policy);
                    limit.into()
                }
                _ => ended.limit.into(),
            },
        };
        self.note(kind, Some(&ended.token), last_activity, ended.now);
        kind.into()
    }

    fn speech(&self, protocol: Protocol) -> RejectionFormat<'_> {
        RejectionFormat { protocol, body: self.rejections.as_deref() }
    }
}

impl AuthenticateLayer {
    /// The session of `request`; none where its class asks for none, or where it presents no token
    /// and need not.
    #[inline(always)]
    pub(crate) fn admit<ReqBody, ResBody>(
        &self,
        request: &Request<ReqBody>,
        class: RequestClass,
        noted: &RequestHeaders<'_>,
    ) -> Result<Option<Session>, Dismissal<ResBody>> {
        if class == RequestClass::Public {
            return Ok(None);
        }
        if self.settings.allow_preflight && is_preflight(request) {
            let mut response = Response::new(SessionBody::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            return Err(Dismissal::Answer(Box::new(response)));
        }
        match self.settings.authenticate(request.headers(), noted) {
            Ok(session) => {
                if let Some(session) = &session {
                    session.set_class(class.lowered(request.method(), || noted.says_background()));
                }
                Ok(session)
            }
            Err(refusal) => Err(self.dismiss(refusal, request.headers())),
        }
    }

    fn dismiss<ResBody>(&self, refusal: Refusal, headers: &HeaderMap) -> Dismissal<ResBody> {
        let protocol = Protocol::from_headers(headers);
        match refusal {
            Refusal::Rejected(rejection) => {
                let speech = self.settings.speech(protocol);
                Dismissal::Answer(Box::new(rejection.into_response(&speech)))
            }
            Refusal::Asking(question) => {
                let settings = Arc::clone(&self.settings);
                Dismissal::Asking(Box::new(Asking { question, protocol, settings }))
            }
        }
    }

    /// Puts `session` into the extensions of `request`, and keeps its token from what logs headers
    /// further in.
    #[inline(always)]
    pub(crate) fn insert<ReqBody>(&self, session: Session, request: &mut Request<ReqBody>) {
        mark_sensitive(&self.settings.transports, request.headers_mut());
        request.extensions_mut().insert(session);
    }
}

fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for AuthenticateService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<SessionBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let class = RequestClass::assigned(&request);
        match self.layer.admit(&request, class, &RequestHeaders::new(request.headers())) {
            Ok(Some(session)) => self.layer.insert(session, &mut request),
            Ok(None) => {}
            Err(dismissal) => return ResponseFuture::dismissed(dismissal),
        }
        ResponseFuture::inner(self.inner.call(request))
    }
}
