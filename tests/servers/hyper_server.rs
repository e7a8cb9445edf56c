//! A plain hyper server on a free port.

use std::{error::Error, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Body;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::Service;

type BoxError = Box<dyn Error + Send + Sync>;

/// Serves `service` until the runtime of the test shuts down.
pub(crate) async fn serve<S, B>(service: S, version: Version) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (io, service) = (TokioIo::new(stream), TowerToHyperService::new(service.clone()));
            if version == Version::HTTP_2 {
                let mut connection = http2::Builder::new(TokioExecutor::new());
                connection.enable_connect_protocol();
                tokio::spawn(connection.serve_connection(io, service));
            } else {
                tokio::spawn(http1::Builder::new().serve_connection(io, service).with_upgrades());
            }
        }
    });
    address
}
