//! Observability.
//!
//! # Logs
//!
//! The crate logs through [`tracing`](https://docs.rs/tracing). No event contains a token, a key, a
//! `sub` or a `sid`.
//!
//! | target | level | what |
//! |---|---|---|
//! | `tower_sliding_session` | WARN | at start: settings that may surprise; later: a store, a claims source or a key that failed |
//! | `tower_sliding_session` | DEBUG | `request rejected`, with `code` and `cause`; `token renewed`; `not renewed: ..` with the reason, for a token that was due |
//! | `tower_sliding_session` | TRACE | `request authenticated` |
//! | `session_audit` | INFO | audit events: `at`, `event`, `detail` |
//! | `session_audit` | DEBUG | renewals and the activity log, which are many |
//!
//! Put your tracing layer outside the stack: its span then covers rejections too.
//!
//! # Why a request was rejected
//!
//! The client sees a code. The cause is in the debug event, and in the
//! [`Rejection`](crate::Rejection) in the response's extensions, for metrics and for your own log:
//!
//! ```
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_sliding_session::{
//!     JwtKeys, Policy, Rejection, SlidingSessions, rejection::RejectionCause, store::Exempt,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions =
//!     SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::nist_aal2()).build()?;
//! let service = sessions.layer().layer(service_fn(async |_: Request<()>| {
//!     Ok::<_, std::convert::Infallible>(Response::new(()))
//! }));
//! let bearer = format!("Bearer {}", sessions.start("ada").await?.access_token());
//! sessions.revoke_all(sessions.user_scope(None, "ada"), Exempt::None).await?;
//!
//! let response =
//!     service.oneshot(Request::get("/").header("authorization", bearer).body(())?).await?;
//! let rejection = response.extensions().get::<Rejection>().expect("the session is revoked");
//! assert_eq!(rejection.code(), "session_revoked");
//! assert_eq!(rejection.cause().map(RejectionCause::as_str), Some("user_cutoff"));
//! # Ok(()) }
//! ```
//!
//! | cause of `session_revoked` | what happened |
//! |---|---|
//! | `tombstone` | the session was signed out, revoked by its `sid`, replaced by a step-up, or its refresh token was used twice |
//! | `user_cutoff`, `subject_cutoff`, `account_cutoff`, `issuer_cutoff` | `revoke_all` of that scope |
//! | `unknown_session` | the store does not know the session, and `UnknownSessions::Reject` is set |
//!
//! `store_unavailable` has the cause `activity_unwritten` where the store has answered, and other nodes may
//! [not have written](super::several_nodes#what-an-outage-does) the activity of an outage yet.
//!
//! The causes of `invalid_token` are in
//! [`InvalidTokenReason`](crate::rejection::InvalidTokenReason): `signature`, `unknown_key`,
//! `audience` and so on.
//!
//! # Metrics
//!
//! With feature `metrics` the crate records counters, gauges and histograms through the facade
//! [`metrics`](https://docs.rs/metrics): renewals, rejections and refreshes by outcome, how long the store
//! takes, cache hits, open streams, dropped audit records. Their names, labels and units are in the
//! module `metrics` of this crate. Install the recorder of your exporter before you build the sessions.
//!
//! Watch the rate of `sliding_session_rejections_total{code="store_unavailable"}`, and that of
//! `sliding_session_renewals_total{outcome="failed"}`: both are 0 while everything works.
//!
//! # Audit events
//!
//! | event | when |
//! |---|---|
//! | `session_started` | a sign-in |
//! | `session_renewed` | a token was renewed, or a refresh token exchanged |
//! | `renewal_denied` | the claims source denied a renewal |
//! | `session_expired` | a request came after the idle or absolute deadline |
//! | `session_ended` | a sign-out, a revocation by `sid`, a step-up: with its `cause` |
//! | `sessions_revoked_bulk` | a revocation of a scope, with `revoked_count` |
//! | `claims_changed` | `claims_changed` of a scope |
//! | `session_policy_update` | an account's timeouts changed: old, new, effective |
//! | `refresh_reuse_detected` | a refresh token was used twice; its session was revoked |
//! | `token_rejected` | an authentic token was rejected, with the code |
//!
//! Each event is an [`AuditRecord`](crate::audit::AuditRecord): the time, the typed
//! [`AuditEvent`](crate::audit::AuditEvent), the subject and, if it is somebody else, the actor. Subject
//! and actor are digests; the plain `sub` is an opt-in. `.actor(&session)` on `revoke`, `revoke_all`,
//! `claims_changed` and `change_account_policy` names who did it.
//!
//! Every sink receives every record: `tracing` always, the log of the lifecycle store if it keeps
//! one, and the sinks that you add. Between the request and each sink is a
//! [queue](crate::audit::AuditQueue) of 4,096 records, so no request waits. What finds no room, or
//! what a sink fails to keep, is dropped and counted. Renewals, refusals and activity entries take
//! at most half of it, and a refusal (`token_rejected`, `session_expired`, `renewal_denied`) of one
//! session with the same code is recorded once a minute: one expired token must not fill a log. In the
//! store's log, renewals and refusals displace no other records, and nobody displaces those of
//! another user. A record that belongs to a transaction of the
//! store is written in it, and reaches the other sinks after the commit.
//!
//! A sink that counts renewals:
//!
//! ```
//! use std::sync::{Arc, atomic::{AtomicUsize, Ordering::Relaxed}};
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_sliding_session::{
//!     JwtKeys, MaybeReady, Policy, SlidingSessions, audit::{AuditEvent, AuditRecord, AuditSink},
//! };
//!
//! #[derive(Default)]
//! struct Renewals(AtomicUsize);
//!
//! impl AuditSink for Renewals {
//!     fn record(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()> {
//!         let is_renewal = |record: &&AuditRecord| record.event == AuditEvent::SessionRenewed;
//!         self.0.fetch_add(records.iter().filter(is_renewal).count(), Relaxed);
//!         MaybeReady::ready(Ok(()))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let renewals = Arc::new(Renewals::default());
//! let policy = Policy::builder().renew_always().build()?;
//! let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, policy)
//!     .audit_sink(Arc::clone(&renewals))
//!     .build()?;
//! let service = sessions.layer().layer(service_fn(async |_: Request<()>| {
//!     Ok::<_, std::convert::Infallible>(Response::new(()))
//! }));
//! let bearer = format!("Bearer {}", sessions.start("ada").await?.access_token());
//! service.oneshot(Request::get("/").header("authorization", bearer).body(())?).await?;
//!
//! let queue = sessions.audit_queue().expect("the sessions have a queue");
//! queue.flush().await; // at shutdown: completes when the sinks have all records
//! assert_eq!(renewals.0.load(Relaxed), 1);
//! assert_eq!(queue.dropped(), 0); // watch this number
//! # Ok(()) }
//! ```
//!
//! # Activity log
//!
//! [`activity_log`](crate::sessions::SlidingSessionsBuilder::activity_log) keeps an entry for each
//! request that counts as activity, and for each other one whose method is not `GET` or `HEAD`: a
//! client cannot keep a change out of the log by `Session-Activity: background`. An entry has time,
//! class, method, route pattern, status (0 without a response), code of a rejection. The path and the query are not in it, and the pattern only if
//! [`route_pattern`](crate::sessions::SlidingSessionsBuilder::route_pattern) says it. Off by default.
