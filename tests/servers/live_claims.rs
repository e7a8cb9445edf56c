//! Roles that change, over a tonic and a hyper server (P37).

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tonic::{
    Code, Status,
    body::Body,
    client::Grpc,
    server::{self, NamedService, UnaryService},
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tower::{Service, ServiceBuilder, service_fn};
use tower_sliding_session::{
    MaybeReady, Session,
    store::StoreError,
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};

use crate::{client::Client, echo::Texts, hyper_server, stack::stack, test_stack::TestStack};

/// The table of the app: the role of everybody; `none` gets no token, `away` is an outage.
#[derive(Clone)]
struct Roles(Arc<Mutex<&'static str>>);

impl Roles {
    /// Writes `role`, and tells the service.
    async fn change(&self, stack: &TestStack, role: &'static str) {
        *self.0.lock().expect("no panic") = role;
        let changed = stack.sessions.claims_changed(stack.sessions.subject_scope("ada"));
        changed.await.expect("the store answers");
    }
}

impl ClaimsSource for Roles {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        MaybeReady::ready(match *self.0.lock().expect("no panic") {
            "none" => Ok(ClaimsUpdate::Deny),
            "away" => Err(StoreError::new("the table is away")),
            role => ClaimsUpdate::replace(&json!({ "role": role })).map_err(StoreError::new),
        })
    }
}

fn service() -> (TestStack, Roles) {
    let roles = Roles(Arc::new(Mutex::new("admin")));
    (stack(|builder| builder.claims_source(roles.clone())), roles)
}

fn role_of(session: Option<&Session>) -> String {
    let claims: Value = session.expect("authenticated").claims().expect("an object");
    claims["role"].as_str().expect("a role").to_owned()
}

async fn role(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(role_of(request.extensions().get()).into()))
}

async fn http_requests_see_a_changed_role(version: Version) {
    let (stack, roles) = service();
    let service = ServiceBuilder::new().layer(stack.sessions.layer()).service(service_fn(role));
    let caller = Client::new(hyper_server::serve(service, version).await, version);
    let get = async |token: &str| {
        let bearer = format!("Bearer {token}");
        caller.send(Request::get("/").version(version).header("authorization", bearer)).await
    };
    let token = stack.sign_in().await;
    let response = get(&token).await;
    assert_eq!(response.body(), "admin");
    assert!(!response.headers().contains_key("x-refreshed-token"));

    roles.change(&stack, "reader").await;
    let response = get(&token).await;
    assert_eq!(response.body(), "reader");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let successor = response.headers()["x-refreshed-token"].to_str().expect("a token").to_owned();
    let response = get(&successor).await;
    assert_eq!(response.body(), "reader");
    assert!(!response.headers().contains_key("x-refreshed-token"), "it is up to date");

    for (role, status, code) in [
        ("none", StatusCode::FORBIDDEN, "access_denied"),
        ("away", StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
    ] {
        roles.change(&stack, role).await;
        let response = get(&successor).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["session-error"], code);
    }
    roles.change(&stack, "admin").await;
    assert_eq!(get(&successor).await.body(), "admin", "nobody was signed out");
}

#[tokio::test]
async fn p37_requests_over_http1_see_a_changed_role() {
    http_requests_see_a_changed_role(Version::HTTP_11).await;
}

#[tokio::test]
async fn p37_requests_over_http2_see_a_changed_role() {
    http_requests_see_a_changed_role(Version::HTTP_2).await;
}

/// Answers with the role that it sees; for the message `fail` with an error.
#[derive(Clone)]
struct Role;

impl NamedService for Role {
    const NAME: &'static str = "role.Role";
}

type Boxed<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

impl UnaryService<String> for Role {
    type Response = String;
    type Future = Boxed<Result<tonic::Response<String>, Status>>;

    fn call(&mut self, request: tonic::Request<String>) -> Self::Future {
        let role = role_of(request.extensions().get());
        let fails = request.into_inner() == "fail";
        Box::pin(async move {
            if fails { Err(Status::not_found(role)) } else { Ok(tonic::Response::new(role)) }
        })
    }
}

impl Service<Request<Body>> for Role {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Response<Body>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async move { Ok(server::Grpc::new(Texts).unary(Self, request).await) })
    }
}

async fn serve_grpc(stack: &TestStack) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let server = Server::builder().layer(stack.sessions.layer()).add_service(Role);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

/// The role that the handler sees, and the successor in the initial metadata.
async fn call(
    client: &mut Grpc<Channel>,
    message: &str,
    token: &str,
) -> Result<(String, Option<String>), Status> {
    let mut request = tonic::Request::new(message.to_owned());
    let bearer = format!("Bearer {token}").parse().expect("visible ASCII");
    request.metadata_mut().insert("authorization", bearer);
    client.ready().await.expect("ready");
    let path = http::uri::PathAndQuery::from_static("/role.Role/See");
    let response = client.unary(request, path, Texts).await?;
    let successor = successor(response.metadata());
    Ok((response.into_inner(), successor))
}

fn successor(metadata: &tonic::metadata::MetadataMap) -> Option<String> {
    Some(metadata.get("x-refreshed-token")?.to_str().expect("a token").to_owned())
}

#[tokio::test]
async fn p37_calls_over_grpc_see_a_changed_role() {
    let (stack, roles) = service();
    let address = serve_grpc(&stack).await;
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let mut client = Grpc::new(endpoint.connect().await.expect("a connection"));
    let token = stack.sign_in().await;
    let (role, renewed) = call(&mut client, "", &token).await.expect("accepted");
    assert_eq!((role.as_str(), renewed), ("admin", None));

    roles.change(&stack, "reader").await;
    let (role, renewed) = call(&mut client, "", &token).await.expect("accepted");
    assert_eq!(role, "reader");
    let renewed = renewed.expect("the successor");
    let (role, again) = call(&mut client, "", &renewed).await.expect("accepted");
    assert_eq!((role.as_str(), again), ("reader", None));

    // The handler's own error brings the successor, too.
    roles.change(&stack, "editor").await;
    let failed = call(&mut client, "fail", &renewed).await.expect_err("the handler's error");
    assert_eq!((failed.code(), failed.message()), (Code::NotFound, "editor"));
    let renewed = successor(failed.metadata()).expect("the successor");

    for (role, status, code) in [
        ("none", Code::PermissionDenied, "access_denied"),
        ("away", Code::Unavailable, "store_unavailable"),
    ] {
        roles.change(&stack, role).await;
        let refused = call(&mut client, "", &renewed).await.expect_err("refused");
        assert_eq!(refused.code(), status);
        assert_eq!(refused.metadata().get("session-error").expect("a code"), code);
    }
    roles.change(&stack, "admin").await;
    let (role, _) = call(&mut client, "", &renewed).await.expect("nobody was signed out");
    assert_eq!(role, "admin");
}
