//! Rejections in the Connect protocol: its JSON error, or the last envelope of a stream.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};

use super::{http::error_response, kind::RejectionKind, rejection::Rejection};
use crate::body::{SESSION_ERROR, SessionBody};

/// The flag of the envelope that ends a stream.
const END_STREAM: u8 = 0b10;

/// The response to a unary call: the status and the JSON error of the protocol.
pub(super) fn response<B>(rejection: Rejection) -> Response<SessionBody<B>> {
    error_response(rejection, "application/json", error(rejection))
}

/// The response to a call that streams, of this content type: 200, and one envelope that ends the
/// stream, with the code in its metadata.
pub(super) fn stream_response<B>(
    rejection: Rejection,
    content_type: HeaderValue,
) -> Response<SessionBody<B>> {
    let mut response = Response::new(SessionBody::rejection(end_stream(rejection)));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(SESSION_ERROR, HeaderValue::from_static(rejection.code()));
    response
}

/// The envelope that ends a stream.
pub(super) fn end_stream(rejection: Rejection) -> Bytes {
    let (error, code) = (error(rejection), rejection.code());
    let end = format!(r#"{{"error":{error},"metadata":{{"session-error":["{code}"]}}}}"#);
    let length = u32::try_from(end.len()).unwrap_or_default().to_be_bytes();
    [&[END_STREAM], &length[..], end.as_bytes()].concat().into()
}

/// Titles and codes need no escape in JSON.
fn error(rejection: Rejection) -> String {
    let code = match rejection.kind() {
        RejectionKind::AccessDenied => "permission_denied",
        RejectionKind::StoreUnavailable => "unavailable",
        _ => "unauthenticated",
    };
    format!(r#"{{"code":"{code}","message":"{}"}}"#, rejection.title())
}
