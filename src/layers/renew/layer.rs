//! The layer that renews tokens.

use std::{fmt, sync::Arc};

use tower_layer::Layer;

use super::{RenewService, settings::RenewSettings};
use crate::{
    audit::AuditQueue,
    clock::{Clock, SystemClock},
    policy::Profiles,
    store::{MemoryLimiter, RenewalLimiter},
    token::{ClaimsSource, JwtKeys},
    transport::TokenDelivery,
};

/// Renews the token of the session: sliding refresh.
///
/// After the handler, if a renewal is due, the response carries the successor of the token: `iat`
/// now, a new `exp` and `jti`, every other claim unchanged. `exp` never exceeds the absolute
/// deadline. One mint per session and one per user in each `renew_min_interval`; a session may be
/// renewed again once half of what is left of its token has passed. Not renewed: a
/// response that failed, that sets or clears a token itself, or that a shared cache may keep. A
/// failure of the renewal does not change the response. A request without a [`Session`](crate::Session) passes
/// unchanged.
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
    pub(crate) settings: Arc<RenewSettings>,
}

impl RenewLayer {
    /// Signs successors with the newest of `keys`, by the policies `profiles`.
    pub fn new(keys: impl Into<Arc<JwtKeys>>, profiles: impl Into<Arc<Profiles>>) -> Self {
        let limiter: Arc<dyn RenewalLimiter> = Arc::new(MemoryLimiter::new());
        Self {
            settings: Arc::new(RenewSettings {
                keys: keys.into(),
                profiles: profiles.into(),
                delivery: TokenDelivery::new(),
                limiter: Arc::clone(&limiter),
                node_limiter: limiter,
                claims: None,
                clock: Arc::new(SystemClock),
                session_expires: false,
                audit_queue: None,
            }),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut RenewSettings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Where successors are written. Default: the header `x-refreshed-token`.
    pub fn delivery(self, delivery: TokenDelivery) -> Self {
        self.with(|settings| settings.delivery = delivery)
    }

    /// The limiter of renewals. Default: a [`MemoryLimiter`].
    pub fn renewal_limiter(self, limiter: impl RenewalLimiter) -> Self {
        self.with_renewal_limiter(Arc::new(limiter))
    }

    /// As [`renewal_limiter`](Self::renewal_limiter), with a limiter that is shared already.
    pub(crate) fn with_renewal_limiter(self, limiter: Arc<dyn RenewalLimiter>) -> Self {
        self.with(|settings| settings.limiter = limiter)
    }

    /// The source of the app's claims at each renewal. Default: the claims stay unchanged.
    pub fn claims_source(self, source: impl ClaimsSource) -> Self {
        self.with_claims_source(Arc::new(source))
    }

    /// As [`claims_source`](Self::claims_source), with a source that is shared already.
    pub(crate) fn with_claims_source(self, source: Arc<dyn ClaimsSource>) -> Self {
        self.with(|settings| settings.claims = Some(source))
    }

    /// Default: [`SystemClock`].
    pub fn clock(self, clock: impl Clock) -> Self {
        self.with_clock(Arc::new(clock))
    }

    /// As [`clock`](Self::clock), with a clock that is shared already.
    pub(crate) fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        self.with(|settings| settings.clock = clock)
    }

    /// Records an audit event for each renewal, and for each that the claims source denies. Default:
    /// none.
    pub fn audit_queue(self, audit_queue: AuditQueue) -> Self {
        self.with(|settings| settings.audit_queue = Some(audit_queue))
    }

    /// Adds `Session-Expires: idle=1140, absolute=86400, renewable` to every response of a session: a
    /// structured dictionary (RFC 9651) of seconds from now, for clients that warn. Not to a 304, nor
    /// to one that a shared cache may store. Default: off.
    pub fn session_expires(self) -> Self {
        self.with(|settings| settings.session_expires = true)
    }
}

impl<S> Layer<S> for RenewLayer {
    type Service = RenewService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RenewService::new(inner, Arc::clone(&self.settings))
    }
}

impl fmt::Debug for RenewLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenewLayer")
            .field("delivery", &self.settings.delivery)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{Request, Response};
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::{clock::ManualClock, policy::Policy, session::Session, time::Timestamp};

    #[tokio::test]
    async fn p31_without_room_in_any_limiter_a_renewal_waits_for_the_last_half_of_the_window() {
        let minted = Timestamp::from_secs(1_800_000_000);
        for (minutes, expected) in [(31, false), (44, false), (46, true), (59, true)] {
            let keys = JwtKeys::hs256([7; 32]).expect("32 bytes");
            let policy = Policy::builder().build().expect("a legal policy");
            let full: Arc<dyn RenewalLimiter> = Arc::new(MemoryLimiter::with_capacity(0));
            let layer = RenewLayer::new(keys, policy)
                .clock(ManualClock::new(minted + Duration::from_secs(minutes * 60)))
                .with(|settings| {
                    settings.limiter = Arc::clone(&full);
                    settings.node_limiter = full;
                });
            let session = Session::builder("ada")
                .sid("s1")
                .auth_time(minted)
                .claims_json(r#"{"sub":"ada","sid":"s1","iat":1800000000,"exp":1800003600}"#)
                .build()
                .expect("a session");
            let handler = service_fn(async |_: Request<()>| {
                Ok::<_, std::convert::Infallible>(Response::new(()))
            });
            let request = Request::get("/").extension(session).body(()).expect("a request");
            let Ok(response) = layer.layer(handler).oneshot(request).await;
            let is_renewed = response.headers().contains_key("x-refreshed-token");
            assert_eq!(is_renewed, expected, "{minutes} minutes");
        }
    }
}
