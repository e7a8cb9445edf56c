//! Rejections over gRPC and gRPC-Web: HTTP 200 and a gRPC status, in headers alone.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Response, header::CONTENT_TYPE};

use super::rejection::Rejection;
use crate::body::SESSION_ERROR;
use crate::body::SessionBody;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The response to a gRPC request: one HEADERS frame ("Trailers-Only" in gRPC's specification).
pub(super) fn response<B>(rejection: Rejection) -> Response<SessionBody<B>> {
    web_response(rejection, HeaderValue::from_static("application/grpc"))
}

/// The response to a gRPC-Web request of this content type.
pub(super) fn web_response<B>(
    rejection: Rejection,
    content_type: HeaderValue,
) -> Response<SessionBody<B>> {
    let mut response = Response::new(SessionBody::default());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    write_status(rejection, headers);
    response
}

/// Writes the status of a rejection into headers or trailers.
pub(super) fn write_status(rejection: Rejection, headers: &mut HeaderMap) {
    headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(rejection.kind().grpc_status())));
    headers.insert(GRPC_MESSAGE, message(rejection.title()));
    headers.insert(SESSION_ERROR, HeaderValue::from_static(rejection.code()));
}

/// A title is visible ASCII without `%`, so it needs no percent-encoding.
fn message(title: Cow<'static, str>) -> HeaderValue {
    match title {
        Cow::Borrowed(title) => HeaderValue::from_static(title),
        Cow::Owned(title) => HeaderValue::try_from(title).expect("a title is visible ASCII"),
    }
}
