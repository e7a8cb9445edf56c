//! A body of the application's own for rejections over HTTP.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use super::rejection::Rejection;

/// Writes the body of rejections over HTTP in place of the problem details. Status, challenge and
/// `Cache-Control` stay, and gRPC rejections have no body to replace. Closures implement it.
///
/// ```
/// use http::HeaderValue;
/// use tower_sliding_session::rejection::{MakeRejection, Rejection, RejectionBody};
///
/// let plain = |rejection: &Rejection| {
///     RejectionBody::new(HeaderValue::from_static("text/plain"), rejection.code())
/// };
/// # fn takes(_: impl MakeRejection) {}
/// # takes(plain);
/// ```
pub trait MakeRejection: Send + Sync + 'static {
    /// The body for `rejection`.
    fn rejection_body(&self, rejection: &Rejection) -> RejectionBody;
}

impl<F> MakeRejection for F
where
    F: Fn(&Rejection) -> RejectionBody + Send + Sync + 'static,
{
    fn rejection_body(&self, rejection: &Rejection) -> RejectionBody {
        self(rejection)
    }
}

impl MakeRejection for Arc<dyn MakeRejection> {
    fn rejection_body(&self, rejection: &Rejection) -> RejectionBody {
        (**self).rejection_body(rejection)
    }
}

/// The body of a rejection, with its content type.
#[derive(Clone, Debug)]
pub struct RejectionBody {
    pub(super) content_type: HeaderValue,
    pub(super) bytes: Bytes,
}

impl RejectionBody {
    /// A body of `bytes` with this `Content-Type`.
    pub fn new(content_type: HeaderValue, bytes: impl Into<Bytes>) -> Self {
        Self { content_type, bytes: bytes.into() }
    }
}
