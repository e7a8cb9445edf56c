//! Long-lived connections.
//!
//! A response, a WebSocket or a task that outlives its request would outlive its session too. In this
//! crate it ends with it: at the idle and the absolute deadline, when the session is revoked, and when
//! the timeouts of its account are shortened.
//!
//! # Responses
//!
//! [`SlidingSessions::layer`](crate::SlidingSessions::layer), and
//! [`ActivityLayer`](crate::layers::ActivityLayer) alone, end a response body that is still open:
//!
//! | `content-type` | ends with | the client sees |
//! |---|---|---|
//! | `application/grpc` | trailers: `grpc-status` 16, `grpc-message`, `session-error` | `UNAUTHENTICATED` |
//! | `application/grpc-web`, `-text` | the same as a last frame | the same |
//! | `application/connect+..` | the envelope that ends a stream, with the error and `session-error` | the same |
//! | `text/event-stream` | `event: session-ended`, `data: {"code":"session_revoked"}` | an event, then the end |
//! | anything else | an error | a broken connection or a reset stream: a file that was cut off never looks whole |
//!
//! The code is that of a [rejection](crate::RejectionKind::code). If the store cannot be asked for 30
//! seconds at a deadline, it is `store_unavailable`, over gRPC with the status 14: the session may be
//! active.
//!
//! Trailers and events are written between two messages only. Where the handler waits in the middle of
//! one, where the body has a `content-encoding` or a length, it ends with an error. Compression and a
//! tonic-web layer *outside* the stack are sound; a `CompressionLayer` inside it is an encoding that
//! nothing can be added to.
//!
//! Nothing is to be set up. A body that never waits costs no timer; one that does costs one timer and
//! some 350 bytes.
//!
//! # What moves the deadline
//!
//! Activity of the session, on any node. The `exp` of the token with which the stream began does not
//! matter: the token is renewed elsewhere, and the stream goes on. (Only where no store knows the
//! session, its token ends the stream.) What the *server* sends, and what a protocol sends by itself,
//! is no activity: a feed that nobody looks at ends at the idle timeout, and so does one whose request
//! was [`Background`](crate::RequestClass::Background).
//!
//! What the *client* sends is activity with
//! [`StreamActivityLayer`](crate::layers::StreamActivityLayer), inside the stack:
//!
//! ```
//! use tonic::transport::Server;
//! use tower_sliding_session::{JwtKeys, Policy, SlidingSessions, layers::StreamActivityLayer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions =
//!     SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::nist_aal2()).build()?;
//! let (_, health) = tonic_health::server::health_reporter();
//! let server = Server::builder()
//!     .layer(sessions.layer())
//!     // Pings of the application's own, which it sends while nobody is there, do not count.
//!     .layer(StreamActivityLayer::new().counts_if(|frame: &[u8]| !frame.ends_with(b"ping")))
//!     .add_service(health);
//! # drop(server);
//! # Ok(()) }
//! ```
//!
//! Add it where clients stream, even if nothing they send shall count: a call that only the client
//! streams has no response yet, so without the layer it goes on until the handler answers. With it the
//! request body ends with an error, and the call is rejected whatever the handler makes of that.
//!
//! # WebSockets
//!
//! After the handshake no layer sees a frame. The handler waits for
//! [`Session::ended`](crate::Session::ended), closes with the code 3000 and the code of the reason, and
//! calls [`Session::touch`](crate::Session::touch) for what counts as activity:
//!
//! ```
//! use axum::{
//!     Router,
//!     extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
//!     routing::any,
//! };
//! use tower_sliding_session::Session;
//!
//! async fn talk(mut socket: WebSocket, session: Session) {
//!     let mut ended = session.ended();
//!     let reason = loop {
//!         tokio::select! {
//!             reason = &mut ended => break reason,
//!             message = socket.recv() => {
//!                 let Some(Ok(message)) = message else { return };
//!                 // An error says why the session has ended: `ended` says it next.
//!                 if session.touch().await.is_ok() && socket.send(message).await.is_err() {
//!                     return;
//!                 }
//!             }
//!         }
//!     };
//!     let frame = CloseFrame { code: 3000, reason: reason.code().into() };
//!     let _ = socket.send(Message::Close(Some(frame))).await;
//! }
//!
//! let routes: Router = Router::new().route(
//!     "/socket",
//!     any(async |upgrade: WebSocketUpgrade, session: Session| {
//!         upgrade.on_upgrade(async |socket| talk(socket, session).await)
//!     }),
//! );
//! # drop(routes);
//! ```
//!
//! With plain hyper it is the same future beside `hyper::upgrade::on`. A page reads the code in the
//! `close` event: on 3000 it shows the sign-in, on anything else it reconnects.
//!
//! # Tasks, and warnings
//!
//! A task that works for a user waits for `session.ended()` beside its work. One that needs more reads
//! [`Session::watch`](crate::Session::watch): `Renewed` with the claims of a token that this node has
//! minted, `Ending` a minute before the end, `Ended`.
//!
//! ```
//! use tower_sliding_session::{Session, SessionEvent};
//!
//! async fn follow(session: Session, mut tell: impl FnMut(String)) {
//!     let mut watch = session.watch();
//!     while let Some(event) = watch.next().await {
//!         match event {
//!             SessionEvent::Ending(within) => tell(format!("You are signed out in {within:?}.")),
//!             SessionEvent::Ended(reason) => tell(reason.title().to_owned()),
//!             _ => {}
//!         }
//!     }
//! }
//! # async fn run(session: Session) { follow(session, |text| println!("{text}")).await }
//! ```
//!
//! # Several nodes
//!
//! A revocation reaches the streams of its own node at once, those of others when they read of it: within
//! the `sync_interval` of a [`SqlStore`](super::several_nodes). Activity is not sent to other nodes: at
//! the deadline that it knows a stream asks the store, which learns of activities elsewhere at most
//! [`activity_delay`](crate::store::SessionStore::activity_delay) later (0.6 s), so it waits for that long,
//! and ends within a second of its deadline.
//!
//! # What you may notice
//!
//! - tower-http's `TraceLayer::new_for_grpc` logs an error for each stream that ends so. Tell it that
//!   it is none: `GrpcErrorsAsFailures::new().with_success(GrpcCode::Unauthenticated)`.
//! - `EventSource` reconnects after the end and is answered 401, at which it stops. Let the page close
//!   it at `session-ended`.
//! - A client that does not read is told when it reads: the server cannot overtake what it has sent.
