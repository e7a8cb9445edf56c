//! The settings of the authentication layer.

use std::sync::Arc;

use crate::{
    rejection::MakeRejection, session::Enforcement, store::LifecycleStore, token::TokenVerifier,
    transport::Transports,
};

#[derive(Clone)]
pub(crate) struct AuthenticateSettings {
    pub(super) verifier: TokenVerifier,
    pub(super) enforcement: Arc<Enforcement>,
    pub(super) transports: Transports,
    pub(super) rejections: Option<Arc<dyn MakeRejection>>,
    pub(super) optional: bool,
    pub(super) allow_preflight: bool,
    /// Where tickets are kept, if they are accepted.
    pub(super) tickets: Option<Arc<dyn LifecycleStore>>,
}
