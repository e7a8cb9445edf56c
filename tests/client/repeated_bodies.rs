//! Requests with a body, sent again after a refresh.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt};
use tower_sliding_session::client::{ClientBody, ClientEvent, SessionClientService};

use crate::app::{App, Caller, Http, LIFETIME, code, http};

const LIMIT: usize = 64 * 1024;
const HTTP: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// A body of the frames that a test sends, of unknown length.
struct Stream(mpsc::UnboundedReceiver<Frame<Bytes>>);

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

fn streaming(caller: &Caller, version: Version) -> SessionClientService<Http<ClientBody<Stream>>> {
    caller.session.layer().layer(http(version))
}

fn post(app: &App, path: &str, body: Stream) -> Request<Stream> {
    let request = Request::post(format!("{}{path}", app.origin()));
    request.body(body).expect("a request")
}

fn data(text: &str) -> Frame<Bytes> {
    Frame::data(Bytes::copy_from_slice(text.as_bytes()))
}

async fn whole<B>(response: Response<B>) -> Response<Bytes>
where
    B: Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    Response::from_parts(head, body)
}

#[tokio::test]
async fn a_body_of_up_to_sixty_four_kibibytes_is_sent_again() {
    for version in HTTP {
        for length in [0, 1, 1000, LIMIT - 1, LIMIT] {
            let app = App::start().await;
            let caller = app.ada(version).await;
            app.clock.advance(LIFETIME);
            let body: Bytes = (0..=250).cycle().take(length).collect();
            let answer = caller.try_send("POST /echo", &[], body.clone()).await;
            let answer = answer.expect("a response");
            assert_eq!(answer.status(), StatusCode::OK, "{version:?} {length}");
            assert!(*answer.body() == body, "{version:?} {length}");
        }
    }
}

#[tokio::test]
async fn a_longer_body_is_not_sent_again_and_the_next_request_is() {
    for version in HTTP {
        let app = App::start().await;
        let caller = app.ada(version).await;
        app.clock.advance(LIFETIME);
        let body = Bytes::from(vec![7; LIMIT + 1]);
        let answer = caller.try_send("POST /echo", &[], body.clone()).await.expect("a response");
        assert_eq!(code(&answer), "token_expired", "the response is as it came");
        assert_eq!(app.server.control.seen("/echo").len(), 1);
        assert_eq!(caller.events.all(), [ClientEvent::Renewed], "the token is refreshed");
        let again = caller.try_send("POST /echo", &[], body.clone()).await.expect("a response");
        assert!(*again.body() == body);
        assert_eq!(app.refreshes(), 1);
    }
}

#[tokio::test]
async fn a_stream_that_has_not_ended_goes_on_in_the_repeated_request() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_2).await;
    app.clock.advance(LIFETIME);
    let (sender, frames) = mpsc::unbounded_channel();
    sender.send(data("one ")).expect("an open stream");
    let service = streaming(&caller, Version::HTTP_2);
    let request = post(&app, "/echo", Stream(frames));
    let call =
        tokio::spawn(
            async move { whole(service.oneshot(request).await.expect("a response")).await },
        );
    // The second request is on its way: the handler waits for the rest.
    app.server.control.wait_for("/auth/refresh", 1).await;
    for text in ["two ", "three"] {
        sender.send(data(text)).expect("an open stream");
    }
    drop(sender);
    let answer = call.await.expect("no panic");
    assert_eq!((answer.status(), &**answer.body()), (StatusCode::OK, &b"one two three"[..]));
    assert_eq!(app.server.control.seen("/echo").len(), 2);
}

#[tokio::test]
async fn the_trailers_of_a_body_are_sent_again() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_2).await;
    app.clock.advance(LIFETIME);
    let (sender, frames) = mpsc::unbounded_channel();
    sender.send(data("body")).expect("an open stream");
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "7".parse().expect("a value"));
    sender.send(Frame::trailers(trailers)).expect("an open stream");
    drop(sender);
    let service = streaming(&caller, Version::HTTP_2);
    let answer = service.oneshot(post(&app, "/checksum", Stream(frames))).await;
    let answer = whole(answer.expect("a response")).await;
    assert_eq!(answer.body(), "7");
}

#[tokio::test]
async fn parallel_posts_at_the_moment_of_expiry_keep_their_own_bodies() {
    for version in HTTP {
        let app = App::start().await;
        let caller = app.ada(version).await;
        app.clock.advance(LIFETIME);
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..50 {
            let caller = caller.clone_of();
            tasks.spawn(async move {
                let body = format!("body {number}");
                let answer = caller.try_send("POST /echo", &[], body.clone()).await;
                assert_eq!(answer.expect("a response").body(), &body);
            });
        }
        tasks.join_all().await;
        assert_eq!(app.refreshes(), 1);
    }
}
