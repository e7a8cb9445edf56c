//! Browsers, with and without the modules of this crate.
//!
//! # The server
//!
//! [`router`](crate::SlidingSessions::router) serves two modules, `session.js` and
//! `session-warning.js`, and the two routes that they call: `refresh` and `session`. Sign-in and
//! sign-out are the app's:
//!
//! ```
//! # #[cfg(feature = "axum-router")]
//! # mod with_axum {
//! use axum::{
//!     Router,
//!     extract::{Request, State},
//!     http::StatusCode,
//!     routing::post,
//! };
//! use tower_sliding_session::{
//!     Grant, JwtKeys, PathRules, Policy, Rejection, SlidingSessions, StartError,
//!     request_class::RequestHead, transport::SetCookie,
//! };
//!
//! async fn login(State(sessions): State<SlidingSessions>) -> Result<Grant, StartError> {
//!     // Check a password or a passkey here.
//!     sessions.start("ada").await
//! }
//!
//! async fn logout(
//!     State(sessions): State<SlidingSessions>,
//!     request: Request,
//! ) -> Result<(SetCookie, StatusCode), Rejection> {
//!     let cleared = sessions.sign_out_request(RequestHead::new(&request)).await?;
//!     Ok((cleared, StatusCode::NO_CONTENT))
//! }
//!
//! # pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::long_lived())
//!     .refresh_tokens()
//!     .session_expires()
//!     .path_rules(PathRules::new().public("/login").public("/logout"))
//!     .router_at("/auth")
//!     .build()?;
//! let app = Router::new()
//!     .route("/login", post(login))
//!     .route("/logout", post(logout))
//!     .nest("/auth", sessions.router())
//!     .layer(sessions.layer())
//!     .with_state(sessions);
//!
//! use tower::ServiceExt;
//! let request = http::Request::get("/auth/session.js").body(axum::body::Body::empty())?;
//! let response = app.oneshot(request).await?;
//! assert_eq!(response.headers()["content-type"], "text/javascript; charset=utf-8");
//! # Ok(()) } }
//! # #[cfg(feature = "axum-router")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() { with_axum::main().await.unwrap() }
//! # #[cfg(not(feature = "axum-router"))]
//! # fn main() {}
//! ```
//!
//! Servers without axum send the constants of [`client::browser`](crate::client::browser).
//!
//! # A page with the modules
//!
//! ```html
//! <session-warning></session-warning>
//! <script type="module">
//!   import { Session } from '/auth/session.js';
//!   import '/auth/session-warning.js'; // leave it out if you show warnings yourself
//!
//!   const session = new Session({ storage: 'local', signIn: '/sign-in' });
//!   document.querySelector('session-warning').session = session;
//!
//!   session.addEventListener('ended', ({ detail }) => console.log(detail.reason));
//!   if (await session.ready) showDocuments(await session.fetch('/documents'));
//!
//!   async function signIn(form) {
//!     const response = await fetch('/login', { method: 'POST', body: new FormData(form) });
//!     if (response.ok) await session.start(await response.json());
//!   }
//! </script>
//! ```
//!
//! `session.fetch` is `fetch` with the session: it sends the token to addresses below `base`, takes in
//! renewed ones, refreshes an expired one, once for all calls of all tabs, and sends the request again.
//! Requests that no user has caused are sent with `{ activity: 'background' }`.
//!
//! | what happens | what the module does |
//! |---|---|
//! | 401 with a code of the table in [`client`](super::client), to the current token | event `ended`, in every tab; then the page `signIn` with `?reason=` and `&next=` |
//! | 401 to a token that was replaced meanwhile | repeats the request |
//! | another 401, 5xx, 429, no network | hands it to the caller; the session goes on |
//! | a refresh that fails with 5xx or 429 | hands that response to the caller, not the 401 |
//! | a deadline passes on the page's clocks, or a clock jumps | asks `GET /auth/session`; only the answer ends a session |
//! | a deadline comes near | asks, then event `warning`; `warningend` if any tab has moved the deadline |
//! | `recent_authentication_required` | event `stepup`; `detail.respondWith(..)` answers the call |
//! | the page was asleep, or in the back/forward cache | looks at both clocks, asks the other tabs and the server |
//!
//! The address `next` comes from the page, and whoever makes a link can choose it: a sign-in page goes
//! there only if it is a path of its own site. `reasonFrom()` returns known codes only.
//!
//! `session-streams.js` opens streams of events, WebSockets and downloads: see
//! [`without_headers`](super::without_headers).
//!
//! ## Where the token is
//!
//! | `storage` | the token is | a reload | scripts of the page |
//! |---|---|---|---|
//! | `memory` | in the page; another tab hands it over | keeps the session while another tab is open | can use it |
//! | `local` | in `localStorage` | keeps the session | can use and copy it |
//! | `cookie` | in the [session cookie](super::cookies_and_cors) | keeps the session | cannot read it |
//!
//! In cookie mode the sign-in route sets the cookie, and answers with the times of the grant but
//! without its tokens; or `session.start()` asks the server. There is no refresh token: the cookie is
//! renewed while the user is active.
//!
//! ## The warning
//!
//! `<session-warning>` is a modal dialog (`role="alertdialog"`) in the light DOM, without a style of its
//! own. It offers "Stay signed in" before the idle timeout, which is activity, and "Sign in again" before
//! the absolute one, which nothing moves. It opens five minutes before the end; in shorter sessions
//! after three quarters of the timeout, but at least 20 s before (WCAG 2.2.1) if the timeout is 30 s or
//! more. Its content can be replaced: see `session-warning.d.ts`.
//!
//! ## A page that is only open
//!
//! It sends no request, so it learns of a revocation only from its next one. With
//! `checkEvery: 4` a visible page asks every four seconds, if no response has told meanwhile. These
//! requests are no activity: they keep no session alive.
//!
//! A page from the back/forward cache may show the data of a session that has ended meanwhile, until
//! the server has answered. Hide it on `pageshow` with `persisted`, and show it after
//! `await session.check()`.
//!
//! # A page without the modules
//!
//! What it must do, in this order of importance:
//!
//! 1. Send the token in `Authorization`, to its own server only.
//! 2. Take in `x-refreshed-token`: of tokens with the same `sid` the later `iat` wins, whatever the
//!    order of the responses. Of the same second the greater `claims_at` wins, then the later `exp`, then
//!    the token in the response to a request with the other.
//! 3. Delete the token after a 401 whose `Session-Error` is one of the codes, and if the rejected token
//!    is the one that it holds; never after another status.
//! 4. Refresh in one tab at a time ([Web Locks](https://www.w3.org/TR/web-locks/)), with a time limit
//!    under the server's `reuse_grace`: a frozen tab may hold the lock.
//! 5. Ask `GET /auth/session` before it tells its user that the session has expired: clocks are wrong,
//!    and another tab may have been active.
//!
//! The smallest page that does 1 to 3, for one tab:
//!
//! ```js
//! let token = null;
//!
//! async function call(path, init = {}) {
//!   const sent = token;
//!   const headers = { ...init.headers, Authorization: `Bearer ${sent}` };
//!   const response = await fetch(path, { ...init, headers });
//!   const renewed = response.headers.get('x-refreshed-token');
//!   if (renewed && token && issuedAt(renewed) >= issuedAt(token)) token = renewed;
//!   const isOver = response.status === 401 && response.headers.has('session-error');
//!   if (isOver && sent === token) token = null;
//!   return response;
//! }
//!
//! function issuedAt(token) {
//!   return JSON.parse(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))).iat;
//! }
//! ```
//!
//! From another origin it reads the two headers only if the server exposes them, and sends
//! `Authorization` only if the server allows it: see [`cookies_and_cors`](super::cookies_and_cors).
