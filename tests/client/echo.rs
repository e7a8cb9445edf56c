//! A gRPC service of texts.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, BufMut};
use tokio::sync::mpsc;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::tokio_stream::wrappers::UnboundedReceiverStream,
    server::{self, StreamingService},
};
use tower::Service;

/// A gRPC service that repeats each message of a stream, or is unauthenticated.
#[derive(Clone)]
pub(crate) struct Echo;

impl StreamingService<String> for Echo {
    type Response = String;
    type ResponseStream = UnboundedReceiverStream<Result<String, Status>>;
    type Future =
        Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
        Box::pin(async move {
            let (answers, stream) = mpsc::unbounded_channel();
            tokio::spawn(async move {
                let mut messages = request.into_inner();
                while let Ok(Some(message)) = messages.message().await {
                    if answers.send(Ok(message)).is_err() {
                        break;
                    }
                }
            });
            Ok(Response::new(UnboundedReceiverStream::new(stream)))
        })
    }
}

impl<B> Service<http::Request<B>> for Echo
where
    B: http_body::Body<Data: Send, Error: Into<tower::BoxError> + Send> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path().ends_with("/Unauthenticated") {
                return Ok(Status::unauthenticated("of an upstream").into_http());
            }
            if request.uri().path().ends_with("/Forwarded") {
                let mut status = Status::unauthenticated("of an upstream");
                let code = request.headers()["x-code"].to_str().expect("ASCII");
                let code = code.parse().expect("it may be metadata");
                status.metadata_mut().insert("session-error", code);
                return Ok(status.into_http());
            }
            Ok(server::Grpc::new(Texts).streaming(Self, request).await)
        })
    }
}

/// Messages of UTF-8.
#[derive(Clone, Copy)]
pub(crate) struct Texts;

impl Codec for Texts {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Texts {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, item: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(item.as_bytes());
        Ok(())
    }
}

impl Decoder for Texts {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        let text = String::from_utf8(bytes.to_vec());
        text.map(Some).map_err(|_| Status::internal("not UTF-8"))
    }
}
