//! Ready-made routes (feature `axum-router`).

mod activity;
mod body;
mod browser_module;
mod caller;
mod failure;
mod list_request;
mod log_category;
mod pending_bodies;
mod refresh;
mod refresh_request;
mod revoke_sessions;
mod routes;
mod security;
mod session;
mod sessions;
mod token_error;

use axum::{
    Router,
    extract::State,
    routing::{MethodRouter, delete, get, post},
};
use http::HeaderMap;

use self::{browser_module::BrowserModule, routes::Routes};
use crate::{
    client::browser::{SESSION, SESSION_STREAMS, SESSION_WARNING},
    extract::{Json, Problem},
    sessions::{ClientConfig, SlidingSessions},
};

/// Ready-made routes.
impl SlidingSessions {
    /// Returns routes for refresh, lists of sessions, revocation and account policies, and the modules
    /// for browsers.
    ///
    /// Nest them inside the stack, and pass the path to
    /// [`router_at`](crate::sessions::SlidingSessionsBuilder::router_at): it makes `refresh`,
    /// `config` and the modules public, and `session` no activity.
    ///
    /// | route | request | response |
    /// |---|---|---|
    /// | `POST /refresh` | `{"refresh_token"}`, or a form (RFC 6749 section 6) | a [`Grant`](crate::Grant), and the errors of RFC 6749 section 5.2 to a form; with the header `Session-Activity: background` it does not count as activity |
    /// | `GET /session` | | `session_id`, and when token and session expire, as in a [`Grant`](crate::Grant); 401 with its code if the session has ended |
    /// | `GET /config` | | a [`ClientConfig`] |
    /// | `GET /sessions` | `limit`, `cursor`, `scope` | active sessions with their labels, the latest sign-in first |
    /// | `DELETE /sessions/{sid}` | | 204, or 404 |
    /// | `POST /revoke-sessions` | `{"scope"}`: `all` (the default), `others`, `mine` or `my_others` | `{"revoked_count"}` |
    /// | `GET /security` | | the account's timeouts in minutes, their bounds, its active users |
    /// | `PATCH /security` | `idle_timeout_minutes`, `absolute_timeout_minutes`; null for the default | as `GET /security` |
    /// | `GET /session.js`, `GET /session-streams.js`, `GET /session-warning.js` | | the modules of [`client::browser`](crate::client::browser), with an `ETag` and `Cache-Control: no-cache` |
    /// | `GET /activity` | `category` (`activity` or `security`), `limit`, `cursor`, `scope` | rows of the log, the latest first |
    ///
    /// `session` is how a client asks whether its session goes on: it neither counts as activity nor
    /// renews the token. With the header `Session-Activity: user` it does both: the user has asked to
    /// stay signed in. Of a client whose token is in a cookie it is the only source of the session's id
    /// and deadlines. `expires_in` is of the token that the request presented.
    ///
    /// A user sees and ends the user's own sessions: one, all (`mine`), all but the presented one
    /// (`my_others`), also those that the store does not know. An
    /// [owner](crate::sessions::SlidingSessionsBuilder::account_owner) of the account may also list
    /// with `scope=account`, end any session of the account, and revoke all sessions of the account
    /// (`all`) or all but the owner's own (`others`). `security` is for owners only. Without an
    /// account, `all` is `mine` and `others` is `my_others`.
    ///
    /// Every other response has `Cache-Control: no-store`. Errors are problem details (RFC 9457) with a
    /// stable `code`: a [`RejectionKind`](crate::RejectionKind), or `forbidden`,
    /// `session_not_found`, `method_not_allowed`, `malformed_body`, `body_too_large`,
    /// `request_timeout`, `unsupported_media_type`, `invalid_parameter`, `invalid_settings`. The last
    /// two list the invalid values in `errors`.
    ///
    /// A body has at most 16 KiB and 10 s to arrive, else the response is 408. A user may have 8
    /// bodies on their way, clients without a session 1,024 together: one more displaces the oldest.
    ///
    /// All routes but `config`, `session` and the modules need a
    /// [lifecycle store](crate::sessions::SlidingSessionsBuilder::lifecycle_store).
    ///
    /// ```
    /// use axum::Router;
    /// use tower_sliding_session::{JwtKeys, Policy, SlidingSessions};
    ///
    /// # fn app() -> Result<Router, Box<dyn std::error::Error>> {
    /// let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::long_lived())
    ///     .refresh_tokens()
    ///     .router_at("/auth")
    ///     .build()?;
    /// let app = Router::new().nest("/auth", sessions.router()).layer(sessions.layer());
    /// # Ok(app) }
    /// # app().expect("the settings are valid");
    /// ```
    pub fn router<S>(&self) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        Router::new()
            .route("/refresh", post(refresh::refresh))
            .route("/session", get(session::show))
            .route("/config", get(config))
            .route("/sessions", get(sessions::list))
            .route("/sessions/{sid}", delete(sessions::revoke))
            .route("/revoke-sessions", post(revoke_sessions::revoke))
            .route("/security", get(security::show).patch(security::change))
            .route("/activity", get(activity::list))
            .route("/session.js", browser_module(SESSION))
            .route("/session-streams.js", browser_module(SESSION_STREAMS))
            .route("/session-warning.js", browser_module(SESSION_WARNING))
            .method_not_allowed_fallback(async || Problem::METHOD_NOT_ALLOWED)
            .with_state(Routes::new(self.clone()))
    }
}

async fn config(State(sessions): State<SlidingSessions>) -> Json<ClientConfig> {
    Json(sessions.client_config())
}

fn browser_module<S>(text: &'static str) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let module = BrowserModule::new(text);
    get(async move |headers: HeaderMap| module.respond(&headers))
}
