//! Which protocol a client speaks.

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

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

/// Whether `content_type` is `name`, in any case, alone or followed by a suffix (`+proto`) or
/// parameters.
fn is_media_type(content_type: &[u8], name: &str) -> bool {
    content_type.split_at_checked(name.len()).is_some_and(|(start, rest)| {
        start.eq_ignore_ascii_case(name.as_bytes())
            && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
    })
}
