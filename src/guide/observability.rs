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
//! | `session_audit` | INFO | audit events, if no other sink is set: `at`, `event`, `detail` |
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
//! | `user_cutoff`, `account_cutoff`, `issuer_cutoff` | `revoke_all` of that scope |
//! | `unknown_session` | the store does not know the session, and `UnknownSessions::Reject` is set |
//!
//! The causes of `invalid_token` are in
//! [`InvalidTokenReason`](crate::rejection::InvalidTokenReason): `signature`, `unknown_key`,
//! `audience` and so on.
//!
//! # Audit events
//!
//! | event | when |
//! |---|---|
//! | `session_started` | a sign-in |
//! | `session_renewed` | a token was renewed, or a refresh token exchanged |
//! | `renewal_denied` | the claims source denied a renewal |
//! | `session_expired` | a request came after the idle or absolute deadline |
//! | `session_ended` | a sign-out, or a revocation by `sid` |
//! | `sessions_revoked_bulk` | a revocation of a scope, with `revoked_count` |
//! | `session_policy_update` | an account's timeouts changed: old, new, effective |
//! | `refresh_reuse_detected` | a refresh token was used twice; its session was revoked |
//! | `token_rejected` | an authentic token was rejected, with the code |
//!
//! Every sink receives every event once: `tracing` (target `session_audit`), the audit log of the
//! lifecycle store, and each sink that you add. A [queue](crate::audit::AuditQueue) of 4,096
//! records is between the request and each sink: no request waits. A record that does not fit, or
//! that a sink fails to keep, is dropped and counted. Records name users and sessions by digests;
//! `audit_plain_subjects()` adds the plain `sub`.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tower_sliding_session::{
//!     JwtKeys, MaybeReady, Policy, SlidingSessions, audit::{AuditRecord, AuditSink},
//! };
//!
//! #[derive(Default)]
//! struct Names(Mutex<Vec<String>>);
//!
//! struct Sink(Arc<Names>);
//!
//! impl AuditSink for Sink {
//!     fn record(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()> {
//!         let mut names = self.0.0.lock().expect("no holder panics");
//!         names.extend(records.iter().map(|record| record.event.name().to_owned()));
//!         MaybeReady::ready(Ok(()))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let names = Arc::new(Names::default());
//! let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::nist_aal2())
//!     .audit_sink(Sink(Arc::clone(&names)))
//!     .build()?;
//! sessions.start("ada").await?;
//!
//! let queue = sessions.audit_queue().expect("there is one");
//! queue.flush().await; // at shutdown: completes when the sink has all events
//! assert_eq!(queue.dropped(), 0); // watch this number: it counts lost rows
//! # Ok(()) }
//! ```
//!
//! # Activity log
//!
//! [`activity_log`](crate::sessions::SlidingSessionsBuilder::activity_log) keeps a row for each
//! request that counts as activity: time, method, route pattern, status, code of a rejection. The
//! path and the query are not in it. Off by default.
