//! Metrics, through the facade of the crate [`metrics`](https://docs.rs/metrics) (feature `metrics`).
//!
//! Install a recorder, such as `metrics-exporter-prometheus`, **before** the layers or
//! [`SlidingSessions`](crate::SlidingSessions) are built: what every request counts is looked up in the
//! recorder once, by the first of them. Without a recorder nothing is recorded.
//!
//! | name | kind, unit | labels | counts |
//! |---|---|---|---|
//! | [`RENEWALS`] | counter | `outcome` | responses whose token was due: `renewed`; `shared`, for the successor that another response has brought; `limited` by the renewal limiter; `withheld`, for a response that may carry no token; `denied` by the claims source; `ended`, for a session that has ended meanwhile; `failed` |
//! | [`REJECTIONS`] | counter | `code`, `cause` | responses in place of the handler's, by the [code](crate::RejectionKind::code) that the client sees, and the [cause](crate::rejection::RejectionCause::as_str) that it does not (`none` for most codes) |
//! | [`REFRESHES`] | counter | `outcome` | exchanges of a refresh token: `first`, `repeated` with the same successors, `reused`, `refused`, `unavailable` |
//! | [`STORE_DURATION`] | histogram, seconds | `operation`, `outcome` | answers of the session store, and of the renewal limiter, that something has waited for, by method: `ok`, `error`, or `abandoned` where a time limit has passed or the request was cancelled. What the node knows itself is not among them |
//! | [`STORE_BREAKER_OPEN`] | gauge, 0 or 1 | `store` | whether a store that has failed is not asked |
//! | [`CACHE_LOOKUPS`] | counter | `cache`, `result` | `token`: whether a token was verified before; `session`: whether a request was answered from what the node knows of a shared store. `hit` or `miss` |
//! | [`OPEN_STREAMS`] | gauge, streams | | response bodies, sockets and tasks that wait for the end of their session; a [`watch`](crate::Session::watch) counts as two |
//! | [`AUDIT_DROPPED`] | counter, records | | audit records and activity entries that a sink did not receive or keep |
//! | [`LIVE_SESSIONS`] | gauge, sessions | | sessions that this node keeps in memory: with the memory store all of them, with another one those that it has served lately. One that has expired counts until its place is taken |
//!
//! A request of an active session takes 14 to 26 instructions more with the feature, and 36 with the
//! recorder of Prometheus (`cargo bench --bench instructions`).
//!
//! Each label has a bounded number of values, none of which comes from a client, a user or an account.
//!
//! ```
//! # #[cfg(feature = "metrics")] {
//! // Before anything is built:
//! // metrics_exporter_prometheus::PrometheusBuilder::new().install()?;
//! use tower_sliding_session::metrics;
//! assert_eq!(metrics::RENEWALS, "sliding_session_renewals_total");
//! # }
//! ```

#[cfg(feature = "metrics")]
use std::sync::OnceLock;

#[cfg(feature = "metrics")]
use ::metrics::{
    Counter, Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

/// A renewal that was due, by its outcome.
pub const RENEWALS: &str = "sliding_session_renewals_total";

/// A request that was rejected, by code and cause.
pub const REJECTIONS: &str = "sliding_session_rejections_total";

/// An exchange of a refresh token, by its outcome.
pub const REFRESHES: &str = "sliding_session_refreshes_total";

/// How long the session store took, in seconds, by operation and outcome.
pub const STORE_DURATION: &str = "sliding_session_store_duration_seconds";

/// Whether a store is not asked because it has failed.
pub const STORE_BREAKER_OPEN: &str = "sliding_session_store_breaker_open";

/// A look-up in a cache, by cache and result.
pub const CACHE_LOOKUPS: &str = "sliding_session_cache_lookups_total";

/// How many streams wait for the end of their session.
pub const OPEN_STREAMS: &str = "sliding_session_open_streams";

/// How many audit records and activity entries were dropped.
pub const AUDIT_DROPPED: &str = "sliding_session_audit_dropped_total";

/// How many sessions this node keeps in memory.
pub const LIVE_SESSIONS: &str = "sliding_session_live_sessions";

/// What requests count: looked up in the recorder once.
#[cfg(feature = "metrics")]
struct OfRequests {
    token_hits: Counter,
    token_misses: Counter,
    session_hits: Counter,
    session_misses: Counter,
    open_streams: Gauge,
}

#[cfg(feature = "metrics")]
static OF_REQUESTS: OnceLock<OfRequests> = OnceLock::new();

#[cfg(feature = "metrics")]
impl OfRequests {
    fn new() -> Self {
        let lookups = |cache: &'static str, result: &'static str| counter!(CACHE_LOOKUPS, "cache" => cache, "result" => result);
        Self {
            token_hits: lookups("token", "hit"),
            token_misses: lookups("token", "miss"),
            session_hits: lookups("session", "hit"),
            session_misses: lookups("session", "miss"),
            open_streams: gauge!(OPEN_STREAMS),
        }
    }
}

#[cfg(feature = "metrics")]
fn describe() {
    describe_counter!(RENEWALS, Unit::Count, "Responses whose token was due, by outcome");
    describe_counter!(REJECTIONS, Unit::Count, "Rejected requests, by code and cause");
    describe_counter!(REFRESHES, Unit::Count, "Exchanges of refresh tokens, by outcome");
    describe_histogram!(STORE_DURATION, Unit::Seconds, "Answers of the session store");
    describe_gauge!(STORE_BREAKER_OPEN, Unit::Count, "Whether the store is not asked");
    describe_counter!(CACHE_LOOKUPS, Unit::Count, "Look-ups in the caches of this node");
    describe_gauge!(OPEN_STREAMS, Unit::Count, "Streams that wait for the end of their session");
    describe_counter!(AUDIT_DROPPED, Unit::Count, "Audit records that were dropped");
    describe_gauge!(LIVE_SESSIONS, Unit::Count, "Sessions that this node keeps in memory");
}

/// Defines functions that do nothing without the feature.
macro_rules! recording {
    ($($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),*) $body:block)+) => {
        $(
            $(#[$attribute])*
            #[inline]
            pub(crate) fn $name($($argument: $type),*) {
                #[cfg(feature = "metrics")]
                $body
                #[cfg(not(feature = "metrics"))]
                {
                    $(let _ = $argument;)*
                }
            }
        )+
    };
}

recording! {
    /// Describes every metric to the recorder, and looks up those of requests. A layer calls it as it is
    /// made.
    fn register() {
        OF_REQUESTS.get_or_init(|| {
            describe();
            OfRequests::new()
        });
    }

    fn count_renewal(outcome: &'static str) {
        counter!(RENEWALS, "outcome" => outcome).increment(1);
    }

    fn count_rejection(code: &'static str, cause: Option<&'static str>) {
        counter!(REJECTIONS, "code" => code, "cause" => cause.unwrap_or("none")).increment(1);
    }

    fn count_refresh(outcome: &'static str) {
        counter!(REFRESHES, "outcome" => outcome).increment(1);
    }

    fn record_store_answer(operation: &'static str, outcome: &'static str, seconds: f64) {
        histogram!(STORE_DURATION, "operation" => operation, "outcome" => outcome).record(seconds);
    }

    #[allow(dead_code, reason = "for stores that have one")]
    /// Sets whether the breaker of `store`, such as `redis` or `sql`, is open: as it is made, and at each
    /// change.
    fn set_breaker_open(store: &'static str, is_open: bool) {
        gauge!(STORE_BREAKER_OPEN, "store" => store).set(f64::from(u8::from(is_open)));
    }

    fn count_token_lookup(is_hit: bool) {
        if let Some(OfRequests { token_hits, token_misses, .. }) = OF_REQUESTS.get() {
            if is_hit { token_hits } else { token_misses }.increment(1);
        }
    }

    fn count_session_lookup(is_hit: bool) {
        if let Some(OfRequests { session_hits, session_misses, .. }) = OF_REQUESTS.get() {
            if is_hit { session_hits } else { session_misses }.increment(1);
        }
    }

    fn add_open_stream() {
        if let Some(OfRequests { open_streams, .. }) = OF_REQUESTS.get() {
            open_streams.increment(1);
        }
    }

    fn remove_open_stream() {
        if let Some(OfRequests { open_streams, .. }) = OF_REQUESTS.get() {
            open_streams.decrement(1);
        }
    }

    fn count_audit_dropped(records: usize) {
        counter!(AUDIT_DROPPED).increment(records as u64);
    }

    fn set_live_sessions(sessions: usize) {
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
        gauge!(LIVE_SESSIONS).set(sessions as f64);
    }
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn a_breaker_is_one_or_zero() {
        let recorder = PrometheusBuilder::new().build_recorder();
        for (is_open, shown) in [(false, 0), (true, 1), (false, 0)] {
            ::metrics::with_local_recorder(&recorder, || set_breaker_open("redis", is_open));
            let line = format!("{STORE_BREAKER_OPEN}{{store=\"redis\"}} {shown}\n");
            assert!(recorder.handle().render().contains(&line), "{line}");
        }
    }
}
