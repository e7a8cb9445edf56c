//! The ready-made routes (feature `axum`).

mod activity;
mod body;
mod caller;
mod failure;
mod list_request;
mod refresh;
mod reply;
mod revoke_sessions;
mod security;
mod sessions;

use axum::{
    Router,
    extract::State,
    routing::{delete, get, post},
};

use self::{failure::Problem, reply::Reply};
use crate::sessions::{ClientConfig, SlidingSessions};

/// The ready-made routes.
impl SlidingSessions {
    /// Routes for what most apps need; nest them inside the stack, and tell the builder where
    /// ([`router_at`](crate::sessions::SlidingSessionsBuilder::router_at)), which makes `refresh`
    /// and `config` public.
    ///
    /// | route | asks | answers |
    /// |---|---|---|
    /// | `POST /refresh` | `{"refresh_token"}` | a [`Grant`](crate::Grant); with the header `Session-Activity: background` it is no activity |
    /// | `GET /config` | | a [`ClientConfig`] |
    /// | `GET /sessions` | `limit`, `cursor`, `scope` | live sessions, the latest sign-in first |
    /// | `DELETE /sessions/{sid}` | | 204, or 404 |
    /// | `POST /revoke-sessions` | `{"scope"}`: `all` (or nothing) or `others` | `{"revoked_count"}` |
    /// | `GET /security` | | the account's timeouts in minutes, their bounds, its active users |
    /// | `PATCH /security` | `idle_timeout_minutes`, `absolute_timeout_minutes`; null for the default | the same |
    /// | `GET /activity` | `category` (`activity` or `security`), `limit`, `cursor`, `scope` | rows, the latest first |
    ///
    /// A user sees and ends the sessions of its own. Who
    /// [owns](crate::sessions::SlidingSessionsBuilder::account_owner) the account may say
    /// `scope=account` in lists, end any session of it, and revoke them all, or all but those of
    /// itself (`others`); `security` is the owner's alone. Where there is no account,
    /// `revoke-sessions` is about the user's own sessions, and `others` spares the presented one.
    ///
    /// No answer may be stored. Errors are problem details (RFC 9457) with a stable `code`:
    /// a [`RejectionKind`](crate::RejectionKind), or `forbidden`, `session_not_found`,
    /// `method_not_allowed`, `malformed_body`, `body_too_large`, `unsupported_media_type`,
    /// `invalid_parameter`, `invalid_settings`, of which the last two list what is wrong in
    /// `errors`. All but `config` need a
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
    /// # app().expect("it builds");
    /// ```
    pub fn router<S>(&self) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        Router::new()
            .route("/refresh", post(refresh::refresh))
            .route("/config", get(config))
            .route("/sessions", get(sessions::list))
            .route("/sessions/{sid}", delete(sessions::end))
            .route("/revoke-sessions", post(revoke_sessions::revoke))
            .route("/security", get(security::show).patch(security::change))
            .route("/activity", get(activity::list))
            .method_not_allowed_fallback(async || Problem::METHOD_NOT_ALLOWED)
            .with_state(self.clone())
    }
}

async fn config(State(sessions): State<SlidingSessions>) -> Reply<ClientConfig> {
    Reply(sessions.client_config())
}
