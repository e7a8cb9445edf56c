//! Which protocol a client speaks.

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

use crate::body::is_media_type;

/// The protocol of a request, by its `Content-Type`. A rejection is written in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Anything that is none of the others.
    Http,
    /// gRPC: `application/grpc`, with or without a suffix.
    Grpc,
    /// gRPC-Web. The response repeats the request's content type, which says whether the client
    /// reads binary or base64.
    GrpcWeb(HeaderValue),
}

impl Protocol {
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let Some(content_type) = headers.get(CONTENT_TYPE) else { return Self::Http };
        let is = |name| is_media_type(content_type.as_bytes(), name);
        if is("application/grpc-web-text") || is("application/grpc-web") {
            Self::GrpcWeb(content_type.clone())
        } else if is("application/grpc") {
            Self::Grpc
        } else {
            Self::Http
        }
    }
}
