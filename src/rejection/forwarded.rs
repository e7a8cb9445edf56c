//! `Session-Error` in a response that a handler has forwarded from another service.

use http::Response;

use super::Rejection;
use crate::body::SESSION_ERROR;

/// Removes `Session-Error` from `response`, which a handler has made for a session, unless it is a
/// rejection of this crate. A handler that forwards the response of another service would otherwise
/// tell its client that the session here has ended.
#[inline(always)]
pub(crate) fn remove_forwarded_error<B>(response: &mut Response<B>) {
    let headers = response.headers();
    // It costs less than the loop over no headers.
    if !headers.is_empty() && headers.keys().any(|name| *name == SESSION_ERROR) {
        remove_unless_ours(response);
    }
}

#[cold]
fn remove_unless_ours<B>(response: &mut Response<B>) {
    if response.extensions().get::<Rejection>().is_none() {
        response.headers_mut().remove(SESSION_ERROR);
        tracing::debug!("removed a session-error that is not of this service");
    }
}
