//! The response of a rejection, in the client's protocol.

use http::Response;

use super::{
    RejectionCause, connect, grpc, http as plain_http, make_rejection::MakeRejection,
    protocol::Protocol, rejection::Rejection,
};
use crate::{body::SessionBody, metrics, request_class::RequestHead};

impl Rejection {
    /// The response over HTTP, with the problem details of RFC 9457 as its body.
    #[must_use]
    pub fn into_http_response<B>(self) -> Response<SessionBody<B>> {
        self.in_extensions_of(plain_http::problem_details(self))
    }

    /// The response to the request with this head, in the protocol of its client; over HTTP by `make`
    /// if it makes one. Its extensions contain the rejection.
    pub(crate) fn into_response<B>(
        self,
        head: RequestHead<'_>,
        make: Option<&dyn MakeRejection>,
    ) -> Response<SessionBody<B>> {
        match Protocol::from_head(head) {
            Protocol::Http => self.in_extensions_of(plain_http::response(self, head, make)),
            protocol => self.into_protocol_response(protocol),
        }
    }

    /// The response in this protocol; over HTTP with the problem details.
    pub(crate) fn into_protocol_response<B>(self, protocol: Protocol) -> Response<SessionBody<B>> {
        self.in_extensions_of(match protocol {
            Protocol::Http => plain_http::problem_details(self),
            Protocol::Grpc => grpc::response(self),
            Protocol::GrpcWeb(content_type) => grpc::web_response(self, content_type),
            Protocol::Connect => connect::response(self),
            Protocol::ConnectStream(content_type) => connect::stream_response(self, content_type),
        })
    }

    fn in_extensions_of<B>(self, mut response: Response<B>) -> Response<B> {
        metrics::count_rejection(self.code(), self.cause().map(RejectionCause::as_str));
        response.extensions_mut().insert(self);
        response
    }
}
