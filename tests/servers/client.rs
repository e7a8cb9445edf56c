//! An HTTP client that calls one server.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, Uri, Version, request};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};

pub(crate) struct Client {
    client: legacy::Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, version: Version) -> Self {
        let client = legacy::Client::builder(TokioExecutor::new())
            .http2_only(version == Version::HTTP_2)
            .build_http();
        Self { client, address }
    }

    /// Sends `request`, whose URI is a path, and reads the whole response.
    pub(crate) async fn send(&self, request: request::Builder) -> Response<Bytes> {
        let mut request: Request<Full<Bytes>> =
            request.body(Full::default()).expect("a well-formed request");
        *request.uri_mut() = Uri::builder()
            .scheme("http")
            .authority(self.address.to_string())
            .path_and_query(request.uri().path())
            .build()
            .expect("an address and a path");
        let (parts, body) = self.client.request(request).await.expect("a response").into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Response::from_parts(parts, body)
    }
}
