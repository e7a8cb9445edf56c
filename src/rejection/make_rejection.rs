//! A response of the application's own for rejections over HTTP.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use super::rejection::Rejection;
use crate::request_class::RequestHead;

/// Makes the response of a rejection over HTTP in place of the problem details: a redirect to a sign-in
/// page, or HTML. Closures implement it.
///
/// It is not asked for a 503, which must not look like a sign-out, and not for gRPC and Connect. What it returns
/// is sent with these changes:
///
/// - `Session-Error` has the code, and `Cache-Control` is `no-store`; other fields that control
///   caches are removed, and so are `Content-Length` and `Transfer-Encoding`.
/// - `Set-Cookie` is removed: the stack decides which rejection may clear the session cookie.
/// - A status below 300, and 304, is replaced with that of the rejection: a refused request does not
///   look successful.
/// - A 401 without `WWW-Authenticate` gets the challenge (RFC 9110 section 15.5.2).
///
/// ```
/// use bytes::Bytes;
/// use http::{HeaderValue, Response, StatusCode, header::LOCATION};
/// use tower_sliding_session::{Rejection, rejection::MakeRejection, request_class::RequestHead};
///
/// /// Browsers that navigate go to the sign-in page; scripts get the problem details.
/// fn to_sign_in(_: &Rejection, head: RequestHead<'_>) -> Option<Response<Bytes>> {
///     head.headers().get("sec-fetch-mode").filter(|mode| *mode == "navigate")?;
///     let mut redirect = Response::new(Bytes::new());
///     *redirect.status_mut() = StatusCode::SEE_OTHER;
///     redirect.headers_mut().insert(LOCATION, HeaderValue::from_static("/login"));
///     Some(redirect)
/// }
/// # fn takes(_: impl MakeRejection) {}
/// # takes(to_sign_in);
/// ```
pub trait MakeRejection: Send + Sync + 'static {
    /// The response to the request with this head; `None` for the problem details. Its headers may
    /// contain the token that was refused.
    fn make_rejection(
        &self,
        rejection: &Rejection,
        head: RequestHead<'_>,
    ) -> Option<Response<Bytes>>;
}

impl<F> MakeRejection for F
where
    F: Fn(&Rejection, RequestHead<'_>) -> Option<Response<Bytes>> + Send + Sync + 'static,
{
    fn make_rejection(
        &self,
        rejection: &Rejection,
        head: RequestHead<'_>,
    ) -> Option<Response<Bytes>> {
        self(rejection, head)
    }
}

impl MakeRejection for Arc<dyn MakeRejection> {
    fn make_rejection(
        &self,
        rejection: &Rejection,
        head: RequestHead<'_>,
    ) -> Option<Response<Bytes>> {
        (**self).make_rejection(rejection, head)
    }
}
