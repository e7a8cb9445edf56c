//! The layer of what a client sends on a stream.

use std::{fmt, sync::Arc};

use tower_layer::Layer;

use super::{StreamActivityService, settings::StreamActivitySettings};

/// Counts each message of the client on a stream as activity of its session, and ends the request body
/// with the session.
///
/// Add it inside [`SlidingSessions::layer`](crate::SlidingSessions::layer), or inside
/// [`ActivityLayer`](super::super::ActivityLayer). Without it a stream is one activity, at its
/// request, and a call that only the client streams goes on after its session has ended: it has no
/// response yet that could end.
///
/// A data frame of the request body that is not empty is a message. Only a request of class `User`
/// records activity, at most one each second and sixtieth of the idle timeout. What the protocol sends by itself,
/// such as HTTP/2's `PING`, is no data. The frames of a WebSocket are in no body: its handler calls
/// [`Session::touch`](crate::Session::touch).
///
/// At the end of the session the body yields an error; whatever the handler makes of it, the response
/// is the rejection, unless it has begun. Over HTTP it has the problem details.
///
/// The request body changes its type to [`ActivityBody`](super::ActivityBody): a service that is generic over the
/// request's body takes it, as axum's `Router` and tonic's server do.
///
/// ```
/// use tonic::transport::Server;
/// use tower_sliding_session::{
///     JwtKeys, Policy, SlidingSessions, layers::StreamActivityLayer,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sessions =
///     SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::nist_aal2()).build()?;
/// let (_, health) = tonic_health::server::health_reporter();
/// let server = Server::builder()
///     .layer(sessions.layer())
///     .layer(StreamActivityLayer::new())
///     .add_service(health);
/// # drop(server);
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct StreamActivityLayer {
    settings: StreamActivitySettings,
}

impl StreamActivityLayer {
    /// Counts every message.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts only data frames of which `counts` is true: not the pings of an application's own, which
    /// it sends while nobody is there. A frame is what the transport has read: of a small gRPC message
    /// usually the whole one, after the five bytes of its header.
    pub fn counts_if<F>(mut self, counts: F) -> Self
    where
        F: Fn(&[u8]) -> bool + Send + Sync + 'static,
    {
        self.settings.counts_if = Some(Arc::new(counts));
        self
    }
}

impl<S> Layer<S> for StreamActivityLayer {
    type Service = StreamActivityService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        StreamActivityService::new(inner, self.settings.clone())
    }
}

impl fmt::Debug for StreamActivityLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamActivityLayer")
            .field("counts_if", &self.settings.counts_if.is_some())
            .finish()
    }
}
