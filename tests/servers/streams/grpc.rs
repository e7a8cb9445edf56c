//! gRPC: tonic's client and server, and Python's grpcio.

use std::net::SocketAddr;

use http::uri::PathAndQuery;
use tokio::{
    net::TcpListener,
    sync::mpsc::{self, UnboundedSender},
    task::JoinHandle,
};
use tonic::{
    Code, Request, Response, Status, Streaming,
    client::Grpc,
    codegen::tokio_stream::wrappers::UnboundedReceiverStream,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tower_sliding_session::layers::StreamActivityLayer;

use super::{
    Cause, STEP, nothing_is_left, session_of, soon, stack,
    talk::{BOTH, DOWN, Talk, UP},
};
use crate::{
    echo::Texts,
    grpcio::Grpcio,
    stack::IDLE_TIMEOUT,
    test_stack::{MILLI, TestStack, renewed, with},
    tonic_http2,
};

async fn serve(stack: &TestStack) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let server = Server::builder()
        .layer(stack.sessions.layer())
        .layer(StreamActivityLayer::new().counts_if(|data| !data.ends_with(b"ping")))
        .add_service(Talk);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

async fn client(address: SocketAddr) -> Grpc<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let mut client = Grpc::new(endpoint.connect().await.expect("a connection"));
    client.ready().await.expect("ready");
    client
}

fn authorized<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {token}").parse().expect("visible ASCII");
    request.metadata_mut().insert("authorization", bearer);
    request
}

fn assert_ended(status: &Status, cause: Cause) {
    assert_eq!(status.code(), Code::Unauthenticated, "{cause:?} {status:?}");
    let code = status.metadata().get("session-error").expect("a code");
    assert_eq!(code, cause.code(), "{cause:?}");
}

/// A call of [`BOTH`], with the sender of its messages.
async fn talk(
    client: &mut Grpc<Channel>,
    token: &str,
) -> (UnboundedSender<String>, Streaming<String>) {
    let (sender, messages) = mpsc::unbounded_channel();
    let stream = authorized(UnboundedReceiverStream::new(messages), token);
    let path = PathAndQuery::from_static(BOTH);
    let answer = client.streaming(stream, path, Texts).await.expect("the call is accepted");
    (sender, answer.into_inner())
}

async fn repeats(sender: &UnboundedSender<String>, answers: &mut Streaming<String>, text: &str) {
    sender.send(text.to_owned()).expect("an open stream");
    let answer = soon(answers.message()).await.expect("a message");
    assert_eq!(answer.as_deref(), Some(text));
}

#[tokio::test]
async fn p18_a_stream_of_the_server_ends_with_the_session() {
    for cause in Cause::ALL {
        let stack = stack();
        let mut client = client(serve(&stack).await).await;
        let token = stack.sign_in().await;
        let session = session_of(&stack, &token).await;
        let request = authorized("tick".to_owned(), &token);
        let path = PathAndQuery::from_static(DOWN);
        let answer = client.server_streaming(request, path, Texts).await.expect("accepted");
        let mut answers: Streaming<String> = answer.into_inner();
        assert_eq!(answers.message().await.expect("a message").as_deref(), Some("tick"));
        cause.end(&stack, &session).await;
        assert_ended(&soon(answers.message()).await.expect_err("the end"), cause);
        nothing_is_left(&stack).await;
    }
}

#[tokio::test]
async fn p18_a_stream_in_both_directions_ends_with_the_session() {
    for cause in Cause::ALL {
        let stack = stack();
        let mut client = client(serve(&stack).await).await;
        let token = stack.sign_in().await;
        let session = session_of(&stack, &token).await;
        let (sender, mut answers) = talk(&mut client, &token).await;
        repeats(&sender, &mut answers, "one").await;
        cause.end(&stack, &session).await;
        assert_ended(&soon(answers.message()).await.expect_err("the end"), cause);
        soon(sender.closed()).await;
        nothing_is_left(&stack).await;
    }
}

#[tokio::test]
async fn p18_a_stream_of_the_client_ends_with_the_session() {
    for cause in Cause::ALL {
        let stack = stack();
        let mut client = client(serve(&stack).await).await;
        let token = stack.sign_in().await;
        let session = session_of(&stack, &token).await;
        let (sender, messages) = mpsc::unbounded_channel();
        sender.send("one".to_owned()).expect("an open stream");
        let stream = authorized(UnboundedReceiverStream::new(messages), &token);
        let call: JoinHandle<Result<Response<String>, Status>> = tokio::spawn(async move {
            client.client_streaming(stream, PathAndQuery::from_static(UP), Texts).await
        });
        let is_read = async {
            while stack.clock.waiting_timers() == 0 {
                tokio::task::yield_now().await;
            }
        };
        soon(is_read).await;
        cause.end(&stack, &session).await;
        let status = soon(call).await.expect("no panic").expect_err("the session has ended");
        assert_ended(&status, cause);
        nothing_is_left(&stack).await;
    }
}

#[tokio::test]
async fn p17_messages_prolong_a_session_and_pings_do_not() {
    for (message, counts) in [("message", true), ("ping", false)] {
        let stack = stack();
        let mut client = client(serve(&stack).await).await;
        let token = stack.sign_in().await;
        let (sender, mut answers) = talk(&mut client, &token).await;
        repeats(&sender, &mut answers, "one").await;
        stack.at(STEP);
        repeats(&sender, &mut answers, message).await;
        if counts {
            stack.at(STEP + IDLE_TIMEOUT - MILLI);
            repeats(&sender, &mut answers, "ping").await;
            stack.at(STEP + IDLE_TIMEOUT);
        } else {
            stack.at(IDLE_TIMEOUT);
        }
        assert_ended(&soon(answers.message()).await.expect_err("the end"), Cause::Idle);
    }
}

#[tokio::test]
async fn p36_a_stream_goes_on_after_the_exp_of_its_token() {
    let stack = stack();
    let mut client = client(serve(&stack).await).await;
    let mut token = stack.sign_in().await;
    let (sender, mut answers) = talk(&mut client, &token).await;
    repeats(&sender, &mut answers, "ping").await;
    // The token of one hour expires, and its session is used elsewhere.
    for step in 1..3 {
        stack.at(step * STEP);
        let response = stack.send(with(&token)).await;
        token = renewed(&response).unwrap_or(token);
        repeats(&sender, &mut answers, "ping").await;
    }
    stack.at(2 * STEP + STEP - MILLI);
    repeats(&sender, &mut answers, "ping").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p18_grpcio_reads_why_a_stream_has_ended() {
    for cause in Cause::ALL {
        let stack = stack();
        let mut grpcio = Grpcio::start(tonic_http2::serve(&stack).await);
        let token = stack.sign_in().await;
        let session = session_of(&stack, &token).await;
        assert_eq!(grpcio.call("held", &token)["message"], "0801");
        cause.end(&stack, &session).await;
        let end = grpcio.answer();
        assert_eq!(end["status"], "UNAUTHENTICATED", "{end}");
        assert_eq!(end["trailing"]["session-error"], cause.code());
    }
}
