//! The life of a session.
//!
//! A session begins at sign-in and has three deadlines. The first one that is reached ends it, or
//! ends its token. An instant at the deadline is late: `now >= deadline` is expired.
//!
//! ```text
//! sign-in        request        request, renewed    request
//! |              |              |                   |
//! |==============================================//=>  absolute: auth_time + 12 h
//! |------------------->
//!                |------------------->
//!                               |------------------->  idle: last activity + 20 min
//! [.......................................]            token: exp
//!                               [.......................................] its successor: exp
//! 0              15             30        40        50                  70  minutes
//! ```
//!
//! The request in minute 50 is rejected: the idle deadline is reached first.
//!
//! | clock | deadline | default | what moves it | code when it has passed |
//! |---|---|---|---|---|
//! | absolute timeout | `auth_time` + timeout | 12 h | nothing | `session_expired_absolute` |
//! | idle timeout | last activity + timeout | 20 min | each activity | `session_expired_idle` |
//! | token lifetime | `exp` of the token | 1 h | a renewal: a new token | `token_expired` |
//!
//! If more than one has passed, the earliest names the reason; if two are equal, the order is
//! absolute, idle, token. A token that has expired does not end the session: a refresh token may
//! be exchanged for a new one, if the service issues them.
//!
//! The picture in code. [`ManualClock`](crate::ManualClock) takes the place of the system's clock:
//!
//! ```
//! use std::time::Duration;
//! use http::{Request, Response};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use tower_sliding_session::{
//!     JwtKeys, ManualClock, Policy, Rejection, SlidingSessions, Timestamp,
//! };
//!
//! const MINUTE: Duration = Duration::from_secs(60);
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::builder()
//!     .idle_timeout(20 * MINUTE)
//!     .absolute_timeout(12 * 60 * MINUTE)
//!     .token_lifetime(40 * MINUTE)
//!     .build()?;
//! let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
//! let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, policy)
//!     .clock(clock.clone())
//!     .build()?;
//! let mut service = ServiceBuilder::new()
//!     .layer(sessions.layer())
//!     .service(service_fn(async |_: Request<()>| {
//!         Ok::<_, std::convert::Infallible>(Response::new(()))
//!     }));
//! let request = |token: &str| {
//!     Request::get("/").header("authorization", format!("Bearer {token}")).body(())
//! };
//!
//! let first = sessions.start("ada").await?.access_token().to_owned();
//!
//! clock.advance(15 * MINUTE); // minute 15: 25 of 40 minutes are left, no renewal
//! let response = service.ready().await?.call(request(&first)?).await?;
//! assert!(!response.headers().contains_key("x-refreshed-token"));
//!
//! clock.advance(15 * MINUTE); // minute 30: 10 of 40 minutes are left
//! let response = service.ready().await?.call(request(&first)?).await?;
//! let second = response.headers()["x-refreshed-token"].to_str()?.to_owned();
//!
//! clock.advance(20 * MINUTE); // minute 50: 20 minutes without activity
//! let response = service.ready().await?.call(request(&second)?).await?;
//! let rejection = response.extensions().get::<Rejection>().expect("the session has expired");
//! assert_eq!(rejection.code(), "session_expired_idle");
//! # Ok(()) }
//! ```
//!
//! # What is activity
//!
//! A request's [`RequestClass`](crate::RequestClass) decides:
//!
//! | class | authenticated | activity | renews | which requests |
//! |---|---|---|---|---|
//! | `User` | yes | yes | yes | all that nothing else is said of |
//! | `Background` | yes | no | no | a path rule or a `Classify`, `Session-Activity: background`, the method `OPTIONS` |
//! | `Public` | no | no | no | a path rule, or a `Classify` of your own |
//!
//! Of several values of `Session-Activity` the lowest class wins, and others are ignored.
//!
//! A page that sends requests by itself keeps its session alive with them. With
//! `.activity(Activity::Declared)` ([`Activity`](crate::request_class::Activity)) the default is
//! `Background`: only `Session-Activity: user`, or a path rule `user`, makes a request `User`. The browser
//! module sends it with `activity: 'declared'`, while the last input of the user is at most a minute old.
//!
//! A refresh is activity too, unless it carries `Session-Activity: background`; under `Declared` only
//! with `Session-Activity: user`, in a handler of your own with
//! [`Refresh::user`](crate::lifecycle::Refresh::user). A request that
//! comes at the idle deadline or later is rejected and is not activity: a session that has expired
//! does not become active again.
//!
//! # When a token is renewed
//!
//! The successor is put on the response if all of these hold:
//!
//! - The policy renews (the default), and the request is of class `User`.
//! - Less than `renew_threshold` (0.5) of the token's lifetime is left, or the policy is
//!   `renew_always`.
//! - The response is a success: a status below 400, not 304, not 101, and no `grpc-status` other
//!   than 0 among the headers.
//! - It is not a redirect, if the token came in a header: scripts follow redirects without seeing
//!   their headers.
//! - It carries no token of this crate already: in a header, in a cookie, or in the body, which
//!   [`TokenInBody`](crate::transport::TokenInBody) in its extensions says (a
//!   [`Grant`](crate::Grant) as an axum response inserts it).
//! - No shared cache may store it. `Cache-Control: public`, `s-maxage` or `must-revalidate` allow
//!   that (RFC 9111 section 3.5) unless `no-store`, or `private` without field names, is there too;
//!   fields for one kind of cache, such as `CDN-Cache-Control`, count by themselves.
//! - The handler has not signed out, and the session is still active after the handler.
//! - No other renewal of the session, or of the user, was granted within `renew_min_interval`
//!   (60 s). If the token expires within the interval, only the session's own limit applies. That
//!   limit ends when half of what was left of the token has passed: a successor that was lost is
//!   minted again.
//!
//! In the last half of the time in which renewal is due, `If-None-Match` and `If-Modified-Since` are
//! removed from the request, so that the response is not a 304, which cannot carry a token.
//!
//! Whatever fails while renewing, the response is sent without a successor. The successor has a new
//! `iat`, `exp` and `jti`; every other claim is copied byte for byte. `exp` is never after the
//! absolute deadline. [`replace_claims`](crate::Session::replace_claims) in a handler mints at once,
//! whatever the threshold and the interval say. To replace the app's claims at each renewal set a
//! [`ClaimsSource`](crate::token::ClaimsSource): without one a role stays in the token for as long
//! as the session is renewed. [Roles that change](super::roles_that_change) says how a change reaches
//! the next request.
//!
//! # Which session is which
//!
//! `start(..).label(&json)` keeps at most 512 bytes of the app's own JSON with a session, such as the
//! device and place that the user recognises it by. It is listed with the session, in
//! [`SessionRecord::label`](crate::store::SessionRecord::label) and by the route `GET /sessions`; a
//! refresh and a step-up keep it. It is personal data, and therefore in no token, log or audit record.
//!
//! `max_sessions(n, on_limit)` limits the sessions of a subject. A further sign-in ends the one with the
//! earliest sign-in ([`Oldest`](crate::store::OnSessionLimit::Oldest)), the one whose user was away the
//! longest (`LeastActive`), or is refused with a 409 (`Refuse`). Sessions that have expired or ended do
//! not count, a step-up replaces one. Concurrent sign-ins, on any node, leave no more than `n`.
//!
//! # What else ends a session
//!
//! | call | ends |
//! |---|---|
//! | [`Session::sign_out`](crate::Session::sign_out) in a handler, [`SlidingSessions::sign_out`](crate::SlidingSessions::sign_out) | this session |
//! | [`SlidingSessions::revoke`](crate::SlidingSessions::revoke) | the session with a `sid` |
//! | [`SlidingSessions::revoke_all`](crate::SlidingSessions::revoke_all) | all sessions of a user, of a subject in all accounts, of an account or of the issuer |
//! | [`SlidingSessions::reauthenticate`](crate::SlidingSessions::reauthenticate) | the old session, replaced by one with a new `sid` |
//! | a sign-in beyond `max_sessions` | the oldest or the least active session of the subject |
//! | a refresh token that is used twice | its session (RFC 9700 section 4.14.2) |
//! | a shorter policy | sessions that are older or longer idle than it allows, at their next request |
//!
//! All but the last answer `session_revoked` from then on. A longer policy revives no session.
