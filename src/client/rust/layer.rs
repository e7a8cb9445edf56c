//! The layer of a client.

use std::{fmt, sync::Arc};

use tower_layer::Layer;

use super::{service::SessionClientService, state::ClientState};

/// Presents the token of a [`SessionClient`](super::SessionClient) with each request, keeps the
/// renewed one of a response, and refreshes an expired one.
///
/// - A request with an `Authorization` of its own passes untouched.
/// - A renewed token is taken from the headers or the trailers of a response, if it is of the same
///   `sid` and was minted later.
/// - `token_expired`: the refresh token is exchanged once for all requests that wait, and they are
///   sent again. A rejection of a token that is no longer the current one is repeated with the
///   current one. At most two repetitions, with any method: this crate rejects before the handler.
/// - A request is repeated if no more than 64 KiB of its body were sent. The body is not copied: its
///   chunks are kept by reference count, and what the transport has not read goes on.
/// - Only a response with `Session-Error` signs out, and only if its token is the current one. A
///   handler that passes on the response of another service of this crate removes that header, unless
///   it has passed on the client's token too.
///
/// The wrapped service is called with [`ClientBody`](super::ClientBody). A tonic channel needs
/// `MapRequestBodyLayer::new(tonic::body::Body::new)` of tower-http between.
#[derive(Clone)]
pub struct SessionClientLayer {
    state: Arc<ClientState>,
}

impl SessionClientLayer {
    pub(super) const fn new(state: Arc<ClientState>) -> Self {
        Self { state }
    }
}

impl<S> Layer<S> for SessionClientLayer {
    type Service = SessionClientService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionClientService::new(inner, Arc::clone(&self.state))
    }
}

impl fmt::Debug for SessionClientLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionClientLayer(..)")
    }
}
