//! A request that waits for the keys of its token's issuer.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Request;

use super::{admission::Dismissal, settings::AuthenticateSettings};
use crate::{
    maybe_ready::Timed,
    request_class::{RequestClass, RequestHeaders},
    session::Session,
};

/// A request that waits for the keys of its token's issuer.
pub(crate) struct AwaitingKeys<S, ReqBody> {
    pub(crate) keys: Box<Timed<()>>,
    pub(crate) request: Request<ReqBody>,
    pub(crate) class: RequestClass,
    /// The service that was polled ready.
    pub(crate) service: S,
    pub(crate) settings: Arc<AuthenticateSettings>,
}

impl<S, ReqBody> AwaitingKeys<S, ReqBody> {
    /// Authenticates the request again, once the keys are known or could not be fetched.
    pub(super) fn poll_admitted<ResBody>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Session>, Dismissal<ResBody>>> {
        let fetched = ready!(Pin::new(&mut *self.keys).poll(cx));
        let Self { request, class, settings, .. } = self;
        let headers = RequestHeaders::new(request.headers());
        Poll::Ready(settings.admit_after_fetch(request, *class, &headers, fetched.into()))
    }
}
