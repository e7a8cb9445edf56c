//! A request that waits before it is admitted.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Request;

use super::{
    dismissal::{Awaited, Dismissal},
    settings::AuthenticateSettings,
};
use crate::{
    request_class::{RequestClass, RequestHeaders},
    session::Session,
};

/// A request that waits before it is admitted.
pub(crate) struct Waiting<S, ReqBody> {
    pub(crate) awaited: Box<Awaited>,
    pub(crate) request: Request<ReqBody>,
    pub(crate) class: RequestClass,
    /// The service that was polled ready.
    pub(crate) service: S,
    pub(crate) settings: Arc<AuthenticateSettings>,
}

impl<S, ReqBody> Waiting<S, ReqBody> {
    /// Authenticates the request again, once the keys are known or could not be fetched; or with its
    /// ticket.
    pub(super) fn poll_admitted<ResBody>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Session>, Dismissal<ResBody>>> {
        let Self { awaited, request, class, settings, .. } = self;
        Poll::Ready(match &mut **awaited {
            Awaited::Keys(keys) => {
                let fetched = ready!(Pin::new(keys).poll(cx));
                let headers = RequestHeaders::new(request.headers());
                settings.admit_after_fetch(request, *class, &headers, fetched.into())
            }
            Awaited::Ticket(was_open, session) => {
                let was_open = ready!(Pin::new(was_open).poll(cx));
                settings.admit_with_ticket(was_open, session.clone(), request)
            }
        })
    }
}
