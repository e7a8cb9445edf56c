//! Browsers without headers: WebSockets, `EventSource`, downloads and `<video>`.
//!
//! A script can set `Authorization` on a `fetch`, and nowhere else. A session cookie comes along by
//! itself; where the token is in a header, there are two other ways.
//!
//! | what the page opens | how it says who it is | class |
//! |---|---|---|
//! | events over `fetch`: [`session-streams.js`](crate::client::browser), `events()` | the header `Authorization` | as any request |
//! | a WebSocket: `socket()` | a subprotocol | as any request |
//! | `EventSource`, a download, `<img>`, `<video>`: `url()` | a ticket in the address | `Background` |
//!
//! Prefer the first: it reads the status and the code of a rejection, brings the token of the moment
//! at each reconnect, and needs no second request.
//!
//! # Events over fetch
//!
//! ```html
//! <script type="module">
//!   import { Session } from '/auth/session.js';
//!   import { events, socket, url } from '/auth/session-streams.js';
//!
//!   const session = new Session({ storage: 'local' });
//!   for await (const { type, data } of events(session, '/events')) console.log(type, data);
//!   // The session has ended, the server answered 204, or the signal aborted.
//! </script>
//! ```
//!
//! The stream is opened again after the server's `retry`, but not before one second, with
//! `Last-Event-ID`. The pause doubles up to a minute, and is short again once a stream has lived five
//! seconds. A 503 and a lost connection end nothing. When the session ends, so does the loop, and the
//! session tells the page why (`ended`).
//!
//! # WebSockets
//!
//! Add [`transport::websocket_protocol`](crate::transport::websocket_protocol) to the stack:
//!
//! ```
//! use tower_sliding_session::{JwtKeys, Policy, SlidingSessions, transport::websocket_protocol};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::builder().build()?)
//!     .bearer()
//!     .transport(websocket_protocol())
//!     .build()?;
//! # drop(sessions);
//! # Ok(()) }
//! ```
//!
//! `socket(session, '/chat', ['v1.chat'])` in the module, or `new WebSocket(url, ['bearer', token,
//! 'v1.chat'])` without it. What browsers make of the answers:
//!
//! | offered | selected by the handler | answered | the browser |
//! |---|---|---|---|
//! | `bearer`, token, `v1.chat` | `v1.chat` | `v1.chat` | opens |
//! | `bearer`, token, `v1.chat` | nothing | `bearer` | opens |
//! | `bearer`, token | nothing | `bearer` | opens |
//! | `base64url.bearer.authorization.k8s.io.<b64>`, `v1.chat` | `v1.chat` | `v1.chat` | opens |
//! | the same | nothing | nothing | fails, 1006 |
//! | `base64url.bearer.authorization.k8s.io.<b64>` alone | | 400 | fails, 1006 |
//!
//! The handler does not see the token, and no response contains it. A page cannot read the status of a
//! refused handshake: `socket()` asks the check route then. Close a WebSocket whose session has ended
//! with 3000 and the code as the reason; [`Session::ended`](crate::Session::ended) says when.
//!
//! # Tickets
//!
//! A ticket is a token for one request, in the query of its address. Accept them with
//! [`tickets`](crate::sessions::SlidingSessionsBuilder::tickets), and issue them to the user of a session:
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # mod with_axum {
//! use axum::{Json, extract::State};
//! use serde::Deserialize;
//! use tower_sliding_session::{
//!     Session, SlidingSessions,
//!     lifecycle::{Ticket, TicketError},
//! };
//!
//! #[derive(Deserialize)]
//! struct For {
//!     path: String,
//! }
//!
//! /// `POST /ticket`
//! async fn ticket(
//!     State(sessions): State<SlidingSessions>,
//!     session: Session,
//!     Json(For { path }): Json<For>,
//! ) -> Result<Ticket, TicketError> {
//!     sessions.ticket(&session).path(path).await
//! }
//! # pub fn route() -> axum::Router<SlidingSessions> {
//! #     axum::Router::new().route("/ticket", axum::routing::post(ticket))
//! # }
//! # }
//! ```
//!
//! ```html
//! <script type="module">
//!   link.href = await url(session, '/report.pdf'); // asks `ticket`; good for one request
//! </script>
//! ```
//!
//! - It is good for 30 s, once over all nodes, for one method and path. In a log, a history or a
//!   `Referer` it works no more.
//! - The request is background: a page that polls with tickets keeps no session alive. Its session is
//!   judged as that of any request, and ends the stream that it has opened.
//! - The handler does not see the parameter, and no cache stores the response. Layers outside see it,
//!   such as a `TraceLayer`.
//! - A refused ticket is `invalid_token`; no cookie or header is tried in its place.
//! - A `<video>` and a resumed download send a second request for another part, which a ticket does not
//!   cover: load such files with `fetch`, or use the session cookie.
//! - A native `EventSource` comes back with the ticket that it has used, and is dead then. Close it on
//!   `error` and on the event `session-ended`, and make a new one with a new ticket.
//!
//! A store that forgets, such as the memory store after a restart, refuses the tickets that it has
//! forgotten.
