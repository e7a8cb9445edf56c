//! Idle and absolute timeouts, and revocation.

mod future;

use std::{
    borrow::Cow,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

pub use self::future::ResponseFuture;
use crate::{
    body::SessionBody,
    clock::{Clock, SystemClock},
    rejection::{Dialect, MakeRejection, Rejection, RejectionKind, Speech},
    request_class::RequestClass,
    rules::{self, Limits, Policy, Profiles, Standing, Timestamp},
    session::{Judge, Session},
    store::{
        Peeked, REQUEST_TIME_LIMIT, SessionStore, StoreError, StoreFuture, Timed, Touch, Touched,
    },
};

/// Checks that the session lives and records the activity, before the handler runs.
///
/// Checked first, recorded second, in one atomic step of the store: a request that comes too late
/// is no activity. `Background` requests are checked and not recorded. A request without a
/// [`Session`] passes untouched.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use http::{Request, Response, StatusCode};
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
/// use tower_sliding_session::{
///     Clock, ManualClock, Policy, Session, Timestamp,
///     layers::ActivityLayer, rules::Profiles, store::MemoryStore,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
/// let policy = Policy::builder().idle_timeout(Duration::from_secs(20 * 60)).build()?;
/// let mut service = ServiceBuilder::new()
///     .layer(
///         ActivityLayer::new(Profiles::new(policy), Arc::new(MemoryStore::new()))
///             .clock(Arc::new(clock.clone())),
///     )
///     .service(service_fn(async |_: Request<()>| {
///         Ok::<_, std::convert::Infallible>(Response::new(String::new()))
///     }));
///
/// let signed_in = clock.now();
/// let mut request = || -> Result<_, Box<dyn std::error::Error>> {
///     let session = Session::builder("ada").sid("s1").auth_time(signed_in).build()?;
///     Ok(Request::get("/").extension(session).body(())?)
/// };
/// clock.advance(Duration::from_secs(20 * 60 - 1));
/// let response = service.ready().await?.call(request()?).await?;
/// assert_eq!(response.status(), StatusCode::OK);
/// clock.advance(Duration::from_secs(20 * 60)); // twenty minutes without activity
/// let response = service.ready().await?.call(request()?).await?;
/// assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct ActivityLayer {
    settings: Arc<Settings>,
}

#[derive(Clone)]
struct Settings {
    judge: Arc<Judge>,
    store: Arc<dyn SessionStore>,
    on_failure: OnStoreFailure,
    unknown: UnknownSessions,
    rejections: Option<Arc<dyn MakeRejection>>,
}

/// What becomes of requests while the store does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStoreFailure {
    /// They are answered `store_unavailable`, a 503: nobody is signed out. The default.
    #[default]
    Reject,
    /// The token is trusted until its `exp`, and not renewed.
    TrustToken,
}

/// What becomes of sessions that the store does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownSessions {
    /// They are judged by their token and, if alive, known from then on: another issuer's
    /// sessions, or those from before a restart. The default.
    #[default]
    Adopt,
    /// They are answered `session_revoked`: for stores that must know every session.
    Reject,
}

impl ActivityLayer {
    /// Judges sessions by `profiles`, and remembers them in `store`.
    pub fn new(profiles: impl Into<Arc<Profiles>>, store: Arc<dyn SessionStore>) -> Self {
        Self {
            settings: Arc::new(Settings {
                judge: Arc::new(Judge {
                    profiles: profiles.into(),
                    store: Some(Arc::clone(&store)),
                    clock: Arc::new(SystemClock),
                }),
                store,
                on_failure: OnStoreFailure::Reject,
                unknown: UnknownSessions::Adopt,
                rejections: None,
            }),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Another clock than the system's.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        self.with(|settings| Arc::make_mut(&mut settings.judge).clock = clock)
    }

    /// What becomes of requests while the store does not answer, or not within 250 ms.
    pub fn on_store_failure(self, on_failure: OnStoreFailure) -> Self {
        self.with(|settings| settings.on_failure = on_failure)
    }

    /// What becomes of sessions that the store does not know.
    pub fn unknown_sessions(self, unknown: UnknownSessions) -> Self {
        self.with(|settings| settings.unknown = unknown)
    }

    /// Writes the bodies of rejections over plain HTTP.
    pub fn rejections(self, make: Arc<dyn MakeRejection>) -> Self {
        self.with(|settings| settings.rejections = Some(make))
    }
}

impl<S> Layer<S> for ActivityLayer {
    type Service = ActivityService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ActivityService { inner, settings: Arc::clone(&self.settings) }
    }
}

impl fmt::Debug for ActivityLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityLayer")
            .field("on_failure", &self.settings.on_failure)
            .field("unknown", &self.settings.unknown)
            .finish_non_exhaustive()
    }
}

/// The service of [`ActivityLayer`].
#[derive(Clone)]
pub struct ActivityService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> fmt::Debug for ActivityService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActivityService(..)")
    }
}

/// What the store is asked: to record an activity, or only what it knows.
enum Question {
    Touch(StoreFuture<Touched>),
    Peek(StoreFuture<Peeked>),
}

impl Settings {
    fn policy(&self, session: &Session) -> Cow<'_, Policy> {
        self.judge.policy(session.token())
    }

    /// A session that is over by its token is no activity: it is only asked after, for the reason.
    fn ask(&self, session: &Session, class: RequestClass) -> Question {
        let now = session.now(&*self.judge.clock);
        let claims = session.session_claims();
        let policy = self.policy(session);
        let key = session.token().session_key();
        let alive = session.was_found_alive_by(&self.judge.profiles)
            || matches!(rules::standing(claims, None, &policy, now), Standing::Live { .. });
        if alive && class == RequestClass::User && policy.records_activity() {
            return Question::Touch(self.store.touch(
                key,
                Touch {
                    now,
                    token_activity: claims.proven_activity(now),
                    idle: Limits::of(claims, &policy).idle,
                    known_only: self.unknown == UnknownSessions::Reject,
                },
            ));
        }
        Question::Peek(self.store.peek(key))
    }

    /// Asked after the store has answered: it may have heard of a mark just then.
    fn judge_marks(&self, session: &Session) -> Result<(), Rejection> {
        if self.judge.is_revoked(session.token()) {
            return Err(RejectionKind::SessionRevoked.into());
        }
        Ok(())
    }

    fn judge_touch(
        &self,
        session: &Session,
        touched: Result<Touched, StoreError>,
    ) -> Result<(), Rejection> {
        self.judge_marks(session)?;
        match touched {
            Ok(Touched::Live(before)) => {
                let now = session.now(&*self.judge.clock);
                // The later one, for a clock may have stepped back.
                session.set_last_activity(before.map_or(now, |before| before.max(now)));
                Ok(())
            }
            Ok(Touched::Idle(last_activity)) => self.judge(session, Some(last_activity)),
            Ok(Touched::Unknown | Touched::Ended) => Err(RejectionKind::SessionRevoked.into()),
            Err(error) => self.judge_without_store(session, &error),
        }
    }

    fn judge_peek(
        &self,
        session: &Session,
        peeked: Result<Peeked, StoreError>,
    ) -> Result<(), Rejection> {
        self.judge_marks(session)?;
        match peeked {
            Ok(Peeked::Ended) => Err(RejectionKind::SessionRevoked.into()),
            Ok(Peeked::LastSeen(at)) => self.judge(session, Some(at)),
            Ok(Peeked::Unknown) if self.unknown == UnknownSessions::Reject => {
                Err(RejectionKind::SessionRevoked.into())
            }
            Ok(Peeked::Unknown) => self.judge(session, None),
            Err(error) => self.judge_without_store(session, &error),
        }
    }

    fn judge(&self, session: &Session, stored: Option<Timestamp>) -> Result<(), Rejection> {
        let now = session.now(&*self.judge.clock);
        let claims = session.session_claims();
        let last_activity = rules::last_activity(claims, stored, now);
        match rules::standing(claims, Some(last_activity), &self.policy(session), now) {
            Standing::Live { .. } => {
                session.set_last_activity(last_activity);
                Ok(())
            }
            Standing::Over(limit) => Err(limit.into()),
            Standing::Impossible => Err(RejectionKind::InvalidToken.into()),
        }
    }

    /// An outage signs nobody out: what the token itself says still holds, the rest is by policy.
    fn judge_without_store(&self, session: &Session, error: &StoreError) -> Result<(), Rejection> {
        tracing::warn!(error = error as &dyn std::error::Error, "a session could not be checked");
        let now = session.now(&*self.judge.clock);
        let claims = session.session_claims();
        match (rules::standing(claims, None, &self.policy(session), now), self.on_failure) {
            (Standing::Over(limit), _) => Err(limit.into()),
            (Standing::Impossible, _) => Err(RejectionKind::InvalidToken.into()),
            (Standing::Live { .. }, OnStoreFailure::Reject) => {
                Err(RejectionKind::StoreUnavailable.into())
            }
            (Standing::Live { .. }, OnStoreFailure::TrustToken) => {
                session.forbid_renewal();
                Ok(())
            }
        }
    }

    fn reject<B>(&self, rejection: Rejection, dialect: Dialect) -> Response<SessionBody<B>> {
        rejection.into_response(&Speech { dialect, body: self.rejections.as_deref() })
    }
}

/// A verdict at hand, or the store's answer on its way to one.
enum Verdict {
    Now(Result<(), Rejection>),
    Touching(Timed<Touched>),
    Peeking(Timed<Peeked>),
}

impl Settings {
    fn verdict(&self, session: &Session, class: RequestClass) -> Verdict {
        match self.ask(session, class) {
            Question::Touch(answer) => match answer.try_ready() {
                Ok(touched) => Verdict::Now(self.judge_touch(session, touched)),
                Err(answer) => Verdict::Touching(self.timed(answer)),
            },
            Question::Peek(answer) => match answer.try_ready() {
                Ok(peeked) => Verdict::Now(self.judge_peek(session, peeked)),
                Err(answer) => Verdict::Peeking(self.timed(answer)),
            },
        }
    }

    fn timed<T>(&self, answer: StoreFuture<T>) -> Timed<T> {
        Timed::new(answer, &*self.judge.clock, REQUEST_TIME_LIMIT)
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ActivityService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
{
    type Response = Response<SessionBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, ResBody>;

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let Some(session) = request.extensions().get::<Session>() else {
            return ResponseFuture::inner(self.inner.call(request));
        };
        let class = session.class(&request);
        if class == RequestClass::Public {
            return ResponseFuture::inner(self.inner.call(request));
        }
        session.checked_by(&self.settings.judge);
        match self.settings.verdict(session, class) {
            Verdict::Now(Ok(())) => ResponseFuture::inner(self.inner.call(request)),
            Verdict::Now(Err(rejection)) => {
                let dialect = Dialect::of(request.headers());
                ResponseFuture::answer(self.settings.reject(rejection, dialect))
            }
            pending => {
                let session = session.clone();
                // The service that was polled ready goes along; a fresh clone takes its place.
                let fresh = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, fresh);
                let settings = Arc::clone(&self.settings);
                ResponseFuture::waiting(pending, session, request, ready, settings)
            }
        }
    }
}
