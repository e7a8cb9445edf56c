//! Which protocol a client speaks.

use http::{HeaderName, HeaderValue, Method, header::CONTENT_TYPE};

use crate::{body::is_media_type, request_class::RequestHead};

/// The header of a unary call in the Connect protocol.
const CONNECT_VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");

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
    /// A unary call of Connect: `Connect-Protocol-Version: 1`, or `?connect=v1` of a `GET`.
    Connect,
    /// A call of Connect that streams, `application/connect+proto` or `+json`: the content type of
    /// the response.
    ConnectStream(HeaderValue),
}

impl Protocol {
    pub(crate) fn from_head(head: RequestHead<'_>) -> Self {
        let content_type = head.headers().get(CONTENT_TYPE);
        let named = content_type.map_or(Self::Http, Self::from_content_type);
        if named == Self::Http && is_connect(head) { Self::Connect } else { named }
    }

    fn from_content_type(content_type: &HeaderValue) -> Self {
        let is = |name| is_media_type(content_type.as_bytes(), name);
        if is("application/grpc-web-text") || is("application/grpc-web") {
            Self::GrpcWeb(content_type.clone())
        } else if is("application/grpc") {
            Self::Grpc
        } else if is("application/connect") {
            Self::ConnectStream(content_type.clone())
        } else {
            Self::Http
        }
    }
}

fn is_connect(head: RequestHead<'_>) -> bool {
    let in_query = || {
        let query = head.uri().query().unwrap_or_default();
        *head.method() == Method::GET && query.split('&').any(|parameter| parameter == "connect=v1")
    };
    head.headers().get(CONNECT_VERSION).is_some_and(|version| version == "1") || in_query()
}
