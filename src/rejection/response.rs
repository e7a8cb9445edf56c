//! The response of a rejection, in the client's protocol.

use http::Response;

use super::{
    grpc, http as plain_http, make_rejection::MakeRejection, protocol::Protocol,
    rejection::Rejection,
};
use crate::body::SessionBody;

/// How to write a rejection for one client.
pub(crate) struct RejectionFormat<'a> {
    pub(crate) protocol: Protocol,
    /// The application's own body, over HTTP only.
    pub(crate) body: Option<&'a dyn MakeRejection>,
}

impl Rejection {
    /// The response over HTTP, with the problem details of RFC 9457 as its body.
    #[must_use]
    pub fn into_http_response<B>(self) -> Response<SessionBody<B>> {
        self.into_response(&RejectionFormat { protocol: Protocol::Http, body: None })
    }

    /// The response in the client's protocol. Its extensions contain the rejection.
    pub(crate) fn into_response<B>(self, format: &RejectionFormat<'_>) -> Response<SessionBody<B>> {
        let mut response = match &format.protocol {
            Protocol::Http => plain_http::response(self, format.body),
            Protocol::Grpc => grpc::response(self),
            Protocol::GrpcWeb(content_type) => grpc::web_response(self, content_type.clone()),
        };
        response.extensions_mut().insert(self);
        response
    }
}
