//! The session of a client.

use std::{fmt, sync::Arc};

use super::{
    layer::SessionClientLayer, state::ClientState, token_store::TokenChange, tokens::Tokens,
};

/// The session of a client: its tokens, and the [layer](Self::layer) that presents and renews them.
/// Cheap to clone; all clones have one session.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tower::ServiceBuilder;
/// use tower_sliding_session::{
///     RejectionKind,
///     client::{ClientBody, ClientEvent, RefreshRoute, SessionClient, Tokens},
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let refresh = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
/// let refresh = RefreshRoute::new(refresh, "http://127.0.0.1:3000/auth/refresh".parse()?);
/// let session = SessionClient::builder()
///     .refresh(refresh)
///     .on_event(|event| match event {
///         ClientEvent::SignedOut(RejectionKind::SessionExpiredIdle) => println!("You were away."),
///         ClientEvent::SignedOut(_) => println!("Sign in again."),
///         _ => {}
///     })
///     .build();
/// let service = ServiceBuilder::new()
///     .layer(session.layer())
///     .service(Client::builder(TokioExecutor::new()).build_http::<ClientBody<Full<Bytes>>>());
///
/// session.sign_in(Tokens::new("the.access.token")?.with_refresh_token("the.refresh.token"));
/// # drop(service);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SessionClient {
    state: Arc<ClientState>,
}

impl SessionClient {
    pub(super) fn new(state: ClientState) -> Self {
        Self { state: Arc::new(state) }
    }

    /// Returns the layer for the client that the application calls.
    #[must_use]
    pub fn layer(&self) -> SessionClientLayer {
        SessionClientLayer::new(Arc::clone(&self.state))
    }

    /// Keeps the tokens of a sign-in, in place of those of another session.
    pub fn sign_in(&self, tokens: impl Into<Tokens>) {
        let tokens = tokens.into();
        self.state.store.update(&mut |_| TokenChange::Set(tokens.clone()));
    }

    /// Deletes the tokens, whether or not the server answers. Call the server's sign-out as well:
    /// until it knows, the session is active. What a response or a refresh on its way brings later is
    /// not kept.
    pub fn sign_out(&self) {
        self.state.store.update(&mut |_| TokenChange::Clear);
    }

    /// Returns the tokens; `None` while nobody is signed in.
    #[must_use]
    pub fn tokens(&self) -> Option<Tokens> {
        self.state.store.get()
    }
}

impl fmt::Debug for SessionClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionClient")
            .field("is_signed_in", &self.tokens().is_some())
            .finish_non_exhaustive()
    }
}
