//! The inner response, with the token's successor where one is due.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use super::{Renewal, mint::Minted};

pin_project! {
    /// The response future of [`RenewService`](super::RenewService).
    pub struct ResponseFuture<F, B> {
        #[pin]
        inner: F,
        renewal: Option<Renewal>,
        // Renewals are rare: a box spares every other request their state.
        minting: Option<Box<Minting<B>>>,
    }
}

/// A response that waits for its token.
struct Minting<B> {
    response: Option<Response<B>>,
    minted: Pin<Box<dyn Future<Output = Option<Minted>> + Send>>,
}

impl<F, B> ResponseFuture<F, B> {
    pub(super) fn new(inner: F, renewal: Option<Renewal>) -> Self {
        Self { inner, renewal, minting: None }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.minting.is_none() {
            let mut polled = this.inner.poll(cx);
            let (Poll::Ready(Ok(response)), Some(renewal)) = (&mut polled, &*this.renewal) else {
                return polled;
            };
            let Some(errand) = renewal.errand(response) else {
                renewal.announce(response);
                return polled;
            };
            let minted = Box::pin(errand.run());
            let response = Some(ready!(polled)?);
            *this.minting = Some(Box::new(Minting { response, minted }));
        }
        let minting = this.minting.as_mut().expect("it was set above");
        let minted = ready!(minting.minted.as_mut().poll(cx));
        let mut response = minting.response.take().expect("polled after completion");
        if let Some(renewal) = this.renewal {
            if let Some(Minted { token, life }) = minted {
                let carrier = renewal.session.carrier();
                let delivery = &renewal.settings.delivery;
                delivery.write(response.headers_mut(), carrier, &token, life);
            }
            renewal.announce(&mut response);
        }
        Poll::Ready(Ok(response))
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture(..)")
    }
}
