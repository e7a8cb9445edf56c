//! A gRPC service that streams in each direction.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::mpsc;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codegen::tokio_stream::wrappers::UnboundedReceiverStream,
    server::{self, ClientStreamingService, NamedService, ServerStreamingService},
};
use tower::Service;

use crate::echo::{Echo, Texts};

pub(super) const DOWN: &str = "/talk.Talk/Down";
pub(super) const UP: &str = "/talk.Talk/Up";
pub(super) const BOTH: &str = "/talk.Talk/Both";

/// `Down` sends one message and waits, `Up` joins all messages, `Both` repeats each.
#[derive(Clone)]
pub(super) struct Talk;

impl NamedService for Talk {
    const NAME: &'static str = "talk.Talk";
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Texting = UnboundedReceiverStream<Result<String, Status>>;

impl ServerStreamingService<String> for Talk {
    type Response = String;
    type ResponseStream = Texting;
    type Future = Boxed<Result<Response<Texting>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        Box::pin(async move {
            let (sender, messages) = mpsc::unbounded_channel();
            sender.send(Ok(request.into_inner())).expect("an open stream");
            tokio::spawn(async move { sender.closed().await });
            Ok(Response::new(UnboundedReceiverStream::new(messages)))
        })
    }
}

impl ClientStreamingService<String> for Talk {
    type Response = String;
    type Future = Boxed<Result<Response<String>, Status>>;

    fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
        Box::pin(async move {
            let (mut messages, mut all) = (request.into_inner(), String::new());
            // A careless handler: it takes an error for the end.
            while let Ok(Some(message)) = messages.message().await {
                all.push_str(&message);
            }
            Ok(Response::new(all))
        })
    }
}

impl Service<http::Request<Body>> for Talk {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = server::Grpc::new(Texts);
            Ok(match request.uri().path() {
                DOWN => grpc.server_streaming(Self, request).await,
                UP => grpc.client_streaming(Self, request).await,
                BOTH => grpc.streaming(Echo, request).await,
                path => panic!("{path}"),
            })
        })
    }
}
