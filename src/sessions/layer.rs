//! The whole stack as one layer.

use std::sync::Arc;

use tower_layer::Layer;

use super::SlidingSessionsService;
use crate::layers::{
    ActivityLayer, AuthenticateLayer, ClassifyLayer, ExposeHeadersLayer, RenewLayer,
};

/// The stack of [`SlidingSessions::layer`](super::SlidingSessions::layer): expose headers,
/// classify, authenticate, activity, renew.
#[derive(Clone, Debug)]
#[must_use]
pub struct SlidingSessionsLayer {
    layers: Arc<Layers>,
}

/// The layers of the stack, from the outside in.
#[derive(Clone, Debug)]
pub(super) struct Layers {
    pub(super) expose: ExposeHeadersLayer,
    pub(super) classify: ClassifyLayer,
    pub(super) authenticate: AuthenticateLayer,
    pub(super) activity: ActivityLayer,
    pub(super) renew: RenewLayer,
}

impl SlidingSessionsLayer {
    pub(super) fn new(layers: Layers) -> Self {
        Self { layers: Arc::new(layers) }
    }

    /// Passes requests without a token on, without a `Session`. An invalid token is rejected.
    pub fn optional(mut self) -> Self {
        let layers = Arc::make_mut(&mut self.layers);
        layers.authenticate = layers.authenticate.clone().optional();
        self
    }
}

impl<S> Layer<S> for SlidingSessionsLayer {
    type Service = SlidingSessionsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SlidingSessionsService::new(inner, Arc::clone(&self.layers))
    }
}
