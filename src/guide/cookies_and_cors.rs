//! Cookies and CORS.
//!
//! # A session cookie
//!
//! [`session_cookie`](crate::sessions::SlidingSessionsBuilder::session_cookie) reads the token from
//! a cookie and writes its successor to the same cookie, never to a header. The default is
//! `__Host-session; Path=/; Secure; HttpOnly; SameSite=Lax`. Scripts cannot read it, and it is sent
//! over HTTPS only; on a developer's machine use
//! [`dangerous_insecure`](crate::SessionCookie::dangerous_insecure).
//!
//! Sign-in and sign-out set the cookie themselves. Both routes are public: neither a missing nor a
//! stale cookie keeps a user from signing in or out. A browser sends a cookie whoever has caused the
//! request, so put tower-http's `CsrfLayer` outside the stack:
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # mod with_axum {
//! use axum::{
//!     Router,
//!     extract::{Request, State},
//!     response::{IntoResponse, Redirect},
//!     routing::post,
//! };
//! use tower_http::csrf::CsrfLayer;
//! use tower_sliding_session::{
//!     JwtKeys, PathRules, Policy, Rejection, SessionCookie, SlidingSessions, StartError,
//!     request_class::RequestHead,
//! };
//!
//! type App = State<(SlidingSessions, SessionCookie)>;
//!
//! async fn login(State((sessions, cookie)): App) -> Result<impl IntoResponse, StartError> {
//!     // Check a password or a passkey here.
//!     let grant = sessions.start("ada").await?;
//!     Ok((grant.set_cookie(&cookie), Redirect::to("/")))
//! }
//!
//! async fn logout(
//!     State((sessions, _)): App,
//!     request: Request,
//! ) -> Result<impl IntoResponse, Rejection> {
//!     let cleared = sessions.sign_out_request(RequestHead::new(&request)).await?;
//!     Ok((cleared, Redirect::to("/")))
//! }
//!
//! # pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cookie = SessionCookie::new();
//! let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::nist_aal2())
//!     .session_cookie(cookie.clone())
//!     .path_rules(PathRules::new().public("/login").public("/logout"))
//!     .build()?;
//! let app = Router::new()
//!     .route("/login", post(login))
//!     .route("/logout", post(logout))
//!     .layer(sessions.layer())
//!     .layer(CsrfLayer::new()) // the last one is the outermost
//!     .with_state((sessions, cookie));
//!
//! use tower::ServiceExt;
//! let request = http::Request::post("/login").body(axum::body::Body::empty())?;
//! let response = app.oneshot(request).await?;
//! assert!(response.headers()["set-cookie"].to_str()?.starts_with("__Host-session="));
//! # Ok(()) } }
//! # #[cfg(feature = "axum")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() { with_axum::main().await.unwrap() }
//! # #[cfg(not(feature = "axum"))]
//! # fn main() {}
//! ```
//!
//! Call `.bearer()` as well if apps send the token in the `Authorization` header: the first
//! transport, in the order of the calls, that finds a token decides, and the successor goes out the
//! same way.
//!
//! Scripts do not see the token. They learn the session's id and its deadlines from the ready-made
//! route `GET /session`: see [`client`](super::client).
//!
//! # Stale cookies
//!
//! A browser sends a cookie until it expires, whatever became of its session. Where a token is
//! required, a refused cookie is rejected like any other token. Under
//! [`optional`](crate::sessions::SlidingSessionsBuilder::optional) it counts as absent: the page is
//! served without a `Session`. A rejection clears no cookie, because a late one would delete the
//! cookie that a parallel renewal, sign-in or step-up has just set; the exception is a top-level
//! navigation (`Sec-Fetch-Mode: navigate`) whose session is idle, at its absolute end or signed out.
//!
//! After a change of the cookie's name, path or domain, pass the old one to
//! [`former`](crate::SessionCookie::former): it is still accepted, and cleared when the new one is
//! set. A cookie whose old path nobody knows any more cannot be cleared. It is skipped beside a good
//! one of the same subject, and after its token has expired.
//!
//! # A redirect to the sign-in page
//!
//! A rejection is a 401 with problem details, which scripts read. For a browser that navigates
//! [`rejections`](crate::sessions::SlidingSessionsBuilder::rejections) takes a function of the
//! rejection and of the head of the request, whose response replaces it: a redirect, or a page. The
//! code in `Session-Error`, `no-store` and the cookies stay those of the stack, and a 503 stays a 503:
//! an outage signs nobody out. The example `cookies` has one.
//!
//! # CORS
//!
//! A script of another origin reads only the response headers that the server exposes (Fetch
//! standard, CORS protocol). The stack adds its own names to `Access-Control-Expose-Headers`; a
//! `CorsLayer` outside replaces that header if it sets one. So pass it
//! [`exposed_headers`](crate::SlidingSessions::exposed_headers), and
//! [`request_headers`](crate::SlidingSessions::request_headers), which a preflight must allow. The `CorsLayer` is outside the
//! stack for two reasons: it answers preflights, which carry no token, and it adds
//! `Access-Control-Allow-Origin` to rejections, without which a browser hides them from the script.
//!
//! ```
//! use http::{HeaderValue, Method, Request, Response, StatusCode};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_http::cors::CorsLayer;
//! use tower_sliding_session::{JwtKeys, Policy, SlidingSessions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions =
//!     SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::nist_aal2()).build()?;
//! let cors = CorsLayer::new()
//!     .allow_origin(HeaderValue::from_static("https://app.example"))
//!     .allow_methods([Method::GET, Method::POST])
//!     .allow_headers(sessions.request_headers())
//!     .expose_headers(sessions.exposed_headers());
//! let service = ServiceBuilder::new().layer(cors).layer(sessions.layer()).service(service_fn(
//!     async |_: Request<()>| Ok::<_, std::convert::Infallible>(Response::new(String::new())),
//! ));
//!
//! let request = Request::get("/").header("origin", "https://app.example").body(())?;
//! let response = service.oneshot(request).await?; // without a token
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
//! let exposed = response.headers()["access-control-expose-headers"].to_str()?;
//! assert!(exposed.contains("x-refreshed-token"));
//! # Ok(()) }
//! ```
//!
//! With cookies across origins set `allow_credentials(true)` on the `CorsLayer`; `*` is not a
//! wildcard then, neither for origins nor for exposed headers.
