//! gRPC.
//!
//! The stack goes around a tonic server as one layer. A token is the metadata `authorization:
//! Bearer ..`; its successor comes in the initial metadata `x-refreshed-token`, on calls of every
//! kind.
//!
//! ```
//! use tonic::transport::Server;
//! use tower_sliding_session::{JwtKeys, PathRules, Policy, SlidingSessions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (_, health) = tonic_health::server::health_reporter();
//! let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::nist_aal2())
//!     // A gRPC method is a path: /package.Service/Method.
//!     .path_rules(PathRules::new().public("/grpc.health.v1.Health/{*method}"))
//!     .build()?;
//! let server = Server::builder().layer(sessions.layer()).add_service(health);
//! # drop(server);
//! # Ok(()) }
//! ```
//!
//! # In a method
//!
//! The request's extensions hold the [`Session`](crate::Session):
//!
//! ```
//! use tonic::{Request, Status};
//! use tower_sliding_session::Session;
//!
//! fn caller<T>(request: &Request<T>) -> Result<&str, Status> {
//!     let session = request.extensions().get::<Session>();
//!     session.map(Session::subject).ok_or_else(|| Status::unauthenticated("no session"))
//! }
//! # assert!(caller(&Request::new(())).is_err());
//! ```
//!
//! A method that returns `Err(Status)` is not renewed if tonic answers with headers alone, for
//! these carry a `grpc-status` other than 0.
//!
//! # Rejections
//!
//! The `content-type` of the request decides the form of a rejection. For `application/grpc` and
//! `application/grpc-web` it is HTTP 200 with headers alone:
//!
//! | code | `grpc-status` | tonic |
//! |---|---|---|
//! | `store_unavailable` | 14 | `Code::Unavailable` |
//! | every other | 16 | `Code::Unauthenticated` |
//!
//! A unary call in the Connect protocol (`Connect-Protocol-Version: 1`, or a `GET` with `connect=v1`) gets
//! its JSON error, `{"code":"unauthenticated","message":".."}`, with the status of the HTTP form; a call
//! that streams (`application/connect+proto`, `+json`) gets 200 and the envelope that ends the stream.
//! The code is in the header `session-error`, and in the metadata of that envelope.
//!
//! `grpc-message` is a sentence for people; the metadata `session-error` is the
//! [code](crate::RejectionKind::code), for a client to act on as in
//! [its contract](super::client).
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_sliding_session::{JwtKeys, Policy, SlidingSessions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions =
//!     SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::nist_aal2()).build()?;
//! let service = ServiceBuilder::new().layer(sessions.layer()).service(service_fn(
//!     async |_: Request<()>| Ok::<_, std::convert::Infallible>(Response::new(String::new())),
//! ));
//! let call = Request::post("/pkg.Service/Method").header("content-type", "application/grpc");
//! let response = service.oneshot(call.body(())?).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//! assert_eq!(response.headers()["grpc-status"], "16");
//! assert_eq!(response.headers()["session-error"], "missing_token");
//! # Ok(()) }
//! ```
//!
//! A tonic client reads both from the status:
//!
//! ```
//! fn session_error(status: &tonic::Status) -> Option<&str> {
//!     status.metadata().get("session-error")?.to_str().ok()
//! }
//! # assert_eq!(session_error(&tonic::Status::ok("")), None);
//! ```
//!
//! # Streams
//!
//! A call that is still open when its session ends, ends with the same status and metadata in its
//! trailers: see [long-lived connections](super::long_lived_connections).
//!
//! # A client that keeps the newest token
//!
//! ```
//! use std::sync::Mutex;
//! use tonic::{Response, metadata::MetadataMap};
//!
//! struct Token(Mutex<String>);
//!
//! impl Token {
//!     fn sign(&self, metadata: &mut MetadataMap) -> Result<(), Box<dyn std::error::Error>> {
//!         let token = self.0.lock().expect("no holder panics");
//!         metadata.insert("authorization", format!("Bearer {token}").parse()?);
//!         Ok(())
//!     }
//!
//!     fn keep<T>(&self, response: &Response<T>) {
//!         let renewed = response.metadata().get("x-refreshed-token");
//!         if let Some(Ok(token)) = renewed.map(|token| token.to_str()) {
//!             *self.0.lock().expect("no holder panics") = token.to_owned();
//!         }
//!     }
//! }
//! # let token = Token(Mutex::new("a".to_owned()));
//! # let mut response = Response::new(());
//! # response.metadata_mut().insert("x-refreshed-token", "b".parse().unwrap());
//! # token.keep(&response);
//! # let mut metadata = MetadataMap::new();
//! # token.sign(&mut metadata).unwrap();
//! # assert_eq!(metadata.get("authorization").unwrap(), "Bearer b");
//! ```
