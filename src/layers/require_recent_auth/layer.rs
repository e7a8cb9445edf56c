//! The layer that requires a recent sign-in.

use std::{fmt, sync::Arc, time::Duration};

use tower_layer::Layer;

use super::RequireRecentAuthService;
use crate::{
    clock::{Clock, SystemClock},
    rejection::{MakeRejection, Rejection, RejectionKind},
    rules,
    session::Session,
};

/// Rejects requests whose user signed in `max_age` ago or longer, with the challenge
/// `insufficient_user_authentication` and `max_age` (RFC 9470).
///
/// Rejects a request without a [`Session`] as `missing_token`. Put this layer inside the one that
/// inserts the session, on the routes that need a recent sign-in.
///
/// ```
/// use std::time::Duration;
/// use http::{Request, Response, StatusCode};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_sliding_session::{ManualClock, Session, Timestamp, layers::RequireRecentAuthLayer};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let signed_in = Timestamp::from_secs(1_800_000_000);
/// let max_age = Duration::from_secs(300);
/// let clock = ManualClock::new(signed_in + max_age);
/// let service = ServiceBuilder::new()
///     .layer(RequireRecentAuthLayer::new(max_age).clock(clock))
///     .service(service_fn(async |_: Request<()>| {
///         Ok::<_, std::convert::Infallible>(Response::new(String::new()))
///     }));
/// let session = Session::builder("ada").sid("s1").auth_time(signed_in).build()?;
/// let response = service.oneshot(Request::get("/").extension(session).body(())?).await?;
/// assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct RequireRecentAuthLayer {
    max_age: Duration,
    clock: Arc<dyn Clock>,
    pub(super) rejections: Option<Arc<dyn MakeRejection>>,
}

impl RequireRecentAuthLayer {
    /// Requires a sign-in less than `max_age` ago; rejects at exactly `max_age`.
    pub fn new(max_age: Duration) -> Self {
        Self { max_age, clock: Arc::new(SystemClock), rejections: None }
    }

    /// Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets what makes the responses of rejections over plain HTTP. Default: problem details (RFC
    /// 9457).
    pub fn rejections(mut self, make: impl MakeRejection) -> Self {
        self.rejections = Some(Arc::new(make));
        self
    }

    /// Why a request is rejected, if it is.
    pub(super) fn rejection(&self, session: Option<&Session>) -> Option<Rejection> {
        let Some(session) = session else { return Some(RejectionKind::MissingToken.into()) };
        let now = session.now(&*self.clock);
        let is_recent = rules::signed_in_within(session.session_claims(), self.max_age, now);
        (!is_recent).then(|| Rejection::recent_authentication_required(self.max_age))
    }
}

impl fmt::Debug for RequireRecentAuthLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireRecentAuthLayer")
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RequireRecentAuthLayer {
    type Service = RequireRecentAuthService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireRecentAuthService::new(inner, self.clone())
    }
}
