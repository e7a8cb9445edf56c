//! The settings of a client.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize},
    },
};

use http::{HeaderName, Uri};

use super::{
    event::ClientEvent,
    refresh::Refresh,
    session_client::SessionClient,
    single_flight::SingleFlight,
    state::{ClientState, IsOurs, OnEvent},
    token_store::{MemoryTokenStore, TokenStore},
};
use crate::transport::TokenDelivery;

/// Builds a [`SessionClient`].
#[must_use]
pub struct SessionClientBuilder {
    store: Arc<dyn TokenStore>,
    refresh: Option<Arc<dyn Refresh>>,
    on_event: Option<Box<OnEvent>>,
    is_ours: Option<Box<IsOurs>>,
    renewed_token_header: HeaderName,
}

impl SessionClient {
    /// Returns a builder of a client.
    pub fn builder() -> SessionClientBuilder {
        SessionClientBuilder {
            store: Arc::new(MemoryTokenStore::new()),
            refresh: None,
            on_event: None,
            is_ours: None,
            renewed_token_header: TokenDelivery::new().header_name().clone(),
        }
    }
}

impl SessionClientBuilder {
    /// Sets how the refresh token is exchanged. By default it is not: the session ends for this
    /// client when its access token expires.
    pub fn refresh(mut self, refresh: impl Refresh) -> Self {
        self.refresh = Some(Arc::new(refresh));
        self
    }

    /// Sets where the tokens are kept. A [`MemoryTokenStore`] by default.
    pub fn store(mut self, store: impl TokenStore) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// Sets what is told of renewals, sign-outs, step-ups and the time that is left. It is called where a response arrives
    /// and must not block: it sends the event on.
    pub fn on_event(mut self, on_event: impl Fn(ClientEvent) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Box::new(on_event));
        self
    }

    /// Sets for which addresses the token is meant: every other request passes untouched. By default
    /// every request that the wrapped service is called with carries the token, which is right for a
    /// tonic channel and wrong for an HTTP client that calls other servers too.
    ///
    /// ```
    /// use tower_sliding_session::client::SessionClient;
    ///
    /// let session = SessionClient::builder()
    ///     .only_for(|uri| uri.scheme_str() == Some("https") && uri.host() == Some("api.example"))
    ///     .build();
    /// # drop(session);
    /// ```
    pub fn only_for(mut self, is_ours: impl Fn(&Uri) -> bool + Send + Sync + 'static) -> Self {
        self.is_ours = Some(Box::new(is_ours));
        self
    }

    /// Sets the response header that carries a renewed token. `x-refreshed-token` by default, as on
    /// the server.
    pub fn renewed_token_header(mut self, name: HeaderName) -> Self {
        self.renewed_token_header = name;
        self
    }

    /// Builds the client.
    #[must_use]
    pub fn build(self) -> SessionClient {
        SessionClient::new(ClientState {
            store: self.store,
            refresh: self.refresh,
            on_event: self.on_event,
            is_ours: self.is_ours,
            renewed_token_header: self.renewed_token_header,
            single_flight: SingleFlight::new(),
            awaited: AtomicUsize::new(0),
            last_sent: AtomicU64::new(0),
            last_told: AtomicU64::new(0),
        })
    }
}

impl fmt::Debug for SessionClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionClientBuilder")
            .field("renewed_token_header", &self.renewed_token_header)
            .finish_non_exhaustive()
    }
}
