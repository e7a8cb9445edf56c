//! The Redis limiter: limits renewals over all nodes.

use std::{fmt, sync::Arc, time::Duration};

use redis::Value;

use super::{
    connection::Connection, endpoint::Endpoint, failure::Failure, keys::Keys, script::Script,
};
use crate::{
    maybe_ready::{MaybeReady, StoreError},
    store::{RenewalDecision, RenewalLimiter, RenewalRequest},
    time::Timestamp,
};

static ACQUIRE: Script = Script::new(include_str!("scripts/acquire.lua"));
static RELEASE: Script = Script::new(include_str!("scripts/release.lua"));

/// Redis refuses to keep a key much longer.
const LONGEST_INTERVAL: Duration = Duration::from_secs(365 * 24 * 3600);

/// No limit per user.
const UNLIMITED: i64 = 0;

/// What `acquire.lua` answers.
const DENIED: i64 = 0;
const GRANTED: i64 = 1;

/// Limits renewals over all nodes that share one Redis or Valkey: one renewal per session, and one per
/// user, per interval.
///
/// Only a request whose token is due for renewal asks it: one round trip. It needs Redis 7.0 or Valkey
/// 7.2. A grant is one key for the session and one for the user, of about 200 bytes each, which expire a
/// second after the interval.
///
/// A server that fails, or does not answer in time, delays no renewal for longer than that: each
/// node then limits the renewals of a session by itself. While the server is lost, no request waits for
/// it; the connection is replaced within a quarter of a second after the server is back. A renewal is
/// granted by the clock of the node that asks, so nodes whose clocks are apart grant the next one
/// earlier or later by as much.
///
/// ```no_run
/// use tower_sliding_session::{JwtKeys, Policy, SlidingSessions, store::RedisLimiter};
///
/// # async fn build() -> Result<(), Box<dyn std::error::Error>> {
/// let limiter = RedisLimiter::connect("redis://redis.internal:6379").await?;
/// let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::long_lived())
///     .renewal_limiter(limiter)
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisLimiter {
    pub(super) connection: Connection,
    keys: Arc<Keys>,
}

impl RedisLimiter {
    /// Connects to `redis://user:password@host:port/database`, or over TLS with `rediss://`. Panics
    /// outside of a Tokio runtime.
    ///
    /// With `rediss://` rustls needs the process to have chosen its cryptography: if it has not, this
    /// chooses ring.
    ///
    /// # Errors
    /// If the address is malformed, the server cannot be reached or denies access, is a replica, or is
    /// older than Redis 7.0.
    pub async fn connect(address: &str) -> Result<Self, StoreError> {
        Self::at(address).connect().await
    }

    /// Creates a builder for the limiter at `address`.
    pub fn at(address: impl Into<String>) -> RedisLimiterBuilder {
        RedisLimiterBuilder::new([address], false)
    }

    /// Creates a builder for a limiter on a cluster, of which some nodes have these addresses. What
    /// belongs to one user is on one node; while that is lost and no replica has taken its place, only
    /// the renewals of its users are limited by each node of the app.
    pub fn at_cluster(
        addresses: impl IntoIterator<Item = impl Into<String>>,
    ) -> RedisLimiterBuilder {
        RedisLimiterBuilder::new(addresses, true)
    }

    /// The keys of the grant, of which the user's is the last.
    fn keys_of(&self, request: RenewalRequest) -> [String; 2] {
        let RenewalRequest { user, session, .. } = request;
        [self.keys.session_grant(user, session), self.keys.user_grant(user)]
    }
}

impl RenewalLimiter for RedisLimiter {
    fn acquire(&self, request: RenewalRequest) -> MaybeReady<RenewalDecision> {
        let (limiter, keys) = (self.clone(), self.keys_of(request));
        let until = |interval: Duration| millis(request.now + interval.min(LONGEST_INTERVAL));
        let user_until = if request.limits_user { until(request.min_interval) } else { UNLIMITED };
        let args = [id(request), millis(request.now), until(request.session_interval), user_until];
        MaybeReady::new(async move {
            let args = args.iter().map(|arg| arg.to_string().into_bytes()).collect();
            match limiter.connection.run_in_time(&ACQUIRE, &keys, args).await? {
                Value::Int(GRANTED) => Ok(RenewalDecision::Granted),
                Value::Int(DENIED) => Ok(RenewalDecision::Denied),
                _ => Err(Failure::unexpected_answer().into()),
            }
        })
    }

    fn release(&self, request: RenewalRequest, until: Timestamp) -> MaybeReady<()> {
        let (limiter, keys) = (self.clone(), self.keys_of(request));
        let args = [id(request), millis(request.now), millis(until)];
        MaybeReady::new(async move {
            limiter.connection.run(&RELEASE, &keys, &args).await?;
            Ok(())
        })
    }
}

/// Lua's numbers are exact up to 2^53; the id is only compared as text.
fn id(request: RenewalRequest) -> i64 {
    request.id.cast_signed()
}

fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Debug for RedisLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimiter")
            .field("is_connected", &self.connection.is_connected())
            .finish_non_exhaustive()
    }
}

/// Builds a [`RedisLimiter`]; created by [`RedisLimiter::at`].
#[must_use]
pub struct RedisLimiterBuilder(Endpoint);

impl RedisLimiterBuilder {
    fn new(addresses: impl IntoIterator<Item = impl Into<String>>, is_cluster: bool) -> Self {
        Self(Endpoint::new(addresses, is_cluster, false))
    }

    /// Sets what every key begins with; `tss` by default. All nodes of one app use the same, and no
    /// other app: at least one of `a-z`, `A-Z`, `0-9`, `_`, `-`, `.` and `:`, at most 64.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.0.namespace = namespace.into();
        self
    }

    /// Sets how long the server may take to answer a command; 240 ms by default. A
    /// request waits for at most 250 ms in any case.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.0.settings.time_limit = limit;
        self
    }

    /// Sets the certificate, in PEM, that the certificates of the servers are signed with; by default
    /// those of the system. It counts for `rediss://`.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.0.settings.root_certificate = Some(pem.into());
        self
    }

    /// Connects; panics outside of a Tokio runtime.
    ///
    /// # Errors
    /// As [`RedisLimiter::connect`], and if the namespace has other characters or another length.
    pub async fn connect(self) -> Result<RedisLimiter, StoreError> {
        let (connection, keys) = self.0.connect().await?;
        Ok(RedisLimiter { connection, keys: Arc::new(keys) })
    }
}

/// Hides the address, which may contain a password.
impl fmt::Debug for RedisLimiterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimiterBuilder")
            .field("namespace", &self.0.namespace)
            .finish_non_exhaustive()
    }
}
