//! Response bodies that are open when their session ends, in process.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender, TryRecvError},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_sliding_session::{
    PathRules, Policy, RejectionKind, Session, SessionBody,
    layers::{ActivityLayer, StreamActivityLayer, stream_activity::ActivityBody},
    store::{MemoryStore, SessionStore as _, Tombstone},
};

use crate::test_stack::{
    BEGIN, MILLI, MINUTE, TestStack, by,
    faulty_store::{FaultyStore, StoreBehavior},
    with,
};

const IDLE: Duration = Duration::from_secs(20 * 60);

/// A body whose frames a test sends. It has a length if `length` is set.
struct Feed {
    frames: Receiver<Frame<Bytes>>,
    length: Option<u64>,
}

impl Body for Feed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.frames.try_recv() {
            Ok(frame) => Poll::Ready(Some(Ok(frame))),
            // The test polls again after it has sent one.
            Err(TryRecvError::Empty) => Poll::Pending,
            Err(TryRecvError::Disconnected) => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

type Frames = Sender<Frame<Bytes>>;

/// The stack over a memory store, and the response bodies of its handler.
struct Streams {
    stack: TestStack,
    store: Arc<MemoryStore>,
}

impl Streams {
    fn new() -> Self {
        let policy = Policy::builder().idle_timeout(IDLE).build().expect("a legal configuration");
        let store = Arc::new(MemoryStore::new());
        let shared = Arc::clone(&store);
        let rules = PathRules::new().public("/public");
        let stack =
            TestStack::with(policy, |builder| builder.lifecycle_store(shared).path_rules(rules));
        Self { stack, store }
    }

    /// The response body to `request`, with these headers, and the sender of its frames.
    async fn open_with(
        &self,
        request: Request<()>,
        headers: &[(&'static str, &'static str)],
        length: Option<u64>,
    ) -> (Frames, Pin<Box<SessionBody<Feed>>>) {
        let (sender, frames) = mpsc::channel();
        let feed = Arc::new(Mutex::new(Some(Feed { frames, length })));
        let headers = headers.to_vec();
        let handler = service_fn(move |_: Request<()>| {
            let feed = feed.lock().expect("not poisoned").take().expect("called once");
            let mut response = Response::new(feed);
            for (name, value) in &headers {
                response.headers_mut().insert(*name, value.parse().expect("a value"));
            }
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let Ok(response) = self.stack.sessions.layer().layer(handler).oneshot(request).await;
        (sender, Box::pin(response.into_body()))
    }

    async fn open(&self, content_type: &'static str) -> (Frames, Pin<Box<SessionBody<Feed>>>) {
        let token = self.stack.sign_in().await;
        self.open_with(with(&token), &[("content-type", content_type)], None).await
    }

    fn assert_nothing_is_left(&self) {
        let revocations = self.store.revocations().expect("a memory store has them");
        assert_eq!((revocations.open_streams(), self.stack.clock.waiting_timers()), (0, 0));
    }
}

type Polled<B> = Poll<Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>>;

fn poll<B>(body: &mut Pin<Box<B>>) -> Polled<B>
where
    B: Body,
{
    body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop()))
}

fn assert_open<B: Body>(body: &mut Pin<Box<B>>) {
    assert!(poll(body).is_pending());
    assert!(!body.is_end_stream());
}

fn frame<B: Body<Data = Bytes>>(body: &mut Pin<Box<B>>) -> Frame<Bytes> {
    match poll(body) {
        Poll::Ready(Some(Ok(frame))) => frame,
        Poll::Ready(Some(Err(_))) => panic!("an error"),
        Poll::Ready(None) => panic!("the end"),
        Poll::Pending => panic!("nothing yet"),
    }
}

fn data<B: Body<Data = Bytes>>(body: &mut Pin<Box<B>>) -> Bytes {
    frame(body).into_data().unwrap_or_else(|_| panic!("trailers"))
}

fn trailers<B: Body<Data = Bytes>>(body: &mut Pin<Box<B>>) -> HeaderMap {
    frame(body).into_trailers().unwrap_or_else(|_| panic!("data"))
}

/// The message of the error that the body ends with.
fn error<B>(body: &mut Pin<Box<B>>) -> String
where
    B: Body<Data = Bytes, Error = tower::BoxError>,
{
    match poll(body) {
        Poll::Ready(Some(Err(error))) => error.to_string(),
        Poll::Ready(Some(Ok(frame))) => panic!("{frame:?}"),
        Poll::Ready(None) => panic!("the end"),
        Poll::Pending => panic!("nothing yet"),
    }
}

fn assert_over<B: Body>(body: &mut Pin<Box<B>>) {
    assert!(matches!(poll(body), Poll::Ready(None)));
    assert!(body.is_end_stream());
}

fn send(frames: &Frames, data: &'static [u8]) {
    frames.send(Frame::data(Bytes::from_static(data))).expect("the body is open");
}

/// A gRPC message.
const MESSAGE: &[u8] = b"\0\0\0\0\x03abc";
const EVENT: &[u8] = b"data: tick\n\n";
const IDLE_ERROR: &str = "the stream ended with its session: session_expired_idle";

#[tokio::test]
async fn p18_a_body_ends_with_its_session_in_its_form() {
    for (content_type, first) in [
        ("application/grpc", MESSAGE),
        ("application/grpc+proto", MESSAGE),
        ("application/grpc-web+proto", MESSAGE),
        ("application/grpc-web-text", b"AAAAAANhYmM="),
        ("application/connect+proto", MESSAGE),
        ("text/event-stream", EVENT),
        ("text/event-stream; charset=utf-8", b": comment\n\n"),
        ("application/octet-stream", b"bytes"),
    ] {
        for is_empty in [true, false] {
            let streams = Streams::new();
            let (frames, mut body) = streams.open(content_type).await;
            if !is_empty {
                send(&frames, first);
                assert_eq!(data(&mut body), first);
            }
            assert_open(&mut body);
            streams.stack.at(IDLE - MILLI);
            assert_open(&mut body);
            streams.stack.at(IDLE);
            if content_type.starts_with("application/grpc-web") {
                let mut frame = data(&mut body);
                if content_type.contains("text") {
                    let decoded =
                        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &frame);
                    frame = decoded.expect("base64").into();
                }
                let text = String::from_utf8_lossy(&frame[5..]).into_owned();
                assert_eq!(frame[..5], [128, 0, 0, 0, u8::try_from(text.len()).expect("short")]);
                assert_eq!(
                    text,
                    "grpc-status:16\r\ngrpc-message:The session expired after 20 minutes without \
                    activity.\r\nsession-error:session_expired_idle\r\n"
                );
            } else if content_type.starts_with("application/grpc") {
                let trailers = trailers(&mut body);
                assert_eq!(trailers["grpc-status"], "16");
                assert_eq!(trailers["session-error"], "session_expired_idle");
            } else if content_type.starts_with("application/connect") {
                let envelope = data(&mut body);
                let end = r#"{"error":{"code":"unauthenticated","message":"The session expired after 20 minutes without activity."},"metadata":{"session-error":["session_expired_idle"]}}"#;
                assert_eq!(envelope[..5], [2, 0, 0, 0, u8::try_from(end.len()).expect("short")]);
                assert_eq!(&envelope[5..], end.as_bytes());
            } else if content_type.starts_with("text/event-stream") {
                let last = "event: session-ended\ndata: {\"code\":\"session_expired_idle\"}\n\n";
                assert_eq!(data(&mut body), last);
            } else {
                assert_eq!(error(&mut body), IDLE_ERROR);
            }
            assert_over(&mut body);
            streams.assert_nothing_is_left();
            let closed = frames.send(Frame::data(Bytes::new()));
            assert!(closed.is_err(), "the inner body is dropped in its place");
        }
    }
}

#[tokio::test]
async fn p18_a_body_that_ends_within_a_message_ends_with_an_error() {
    for (content_type, part, rest) in [
        ("application/grpc", &MESSAGE[..6], &MESSAGE[6..]),
        ("application/grpc-web", &MESSAGE[..2], &MESSAGE[2..]),
        ("application/grpc-web-text", b"AAAA", b"AANhYmM="),
        ("application/connect+json", &MESSAGE[..6], &MESSAGE[6..]),
        ("text/event-stream", b"data: tick\n", b"\n"),
    ] {
        for completes in [true, false] {
            let streams = Streams::new();
            let (frames, mut body) = streams.open(content_type).await;
            send(&frames, part);
            assert_eq!(data(&mut body), part);
            assert_open(&mut body);
            streams.stack.at(IDLE);
            if completes {
                // The rest is at hand.
                send(&frames, rest);
                assert_eq!(data(&mut body), rest);
                assert!(poll(&mut body).ready_and(|frame| frame.is_some_and(|it| it.is_ok())));
            } else {
                assert_eq!(error(&mut body), IDLE_ERROR, "{content_type}");
            }
            assert_over(&mut body);
            streams.assert_nothing_is_left();
        }
    }
}

trait ReadyAnd<T> {
    fn ready_and(self, is: impl FnOnce(T) -> bool) -> bool;
}

impl<T> ReadyAnd<T> for Poll<T> {
    fn ready_and(self, is: impl FnOnce(T) -> bool) -> bool {
        match self {
            Self::Ready(value) => is(value),
            Self::Pending => false,
        }
    }
}

#[tokio::test]
async fn p18_nothing_is_added_to_a_body_that_is_encoded_or_has_a_length() {
    for (headers, length) in [
        (vec![("content-type", "text/event-stream"), ("content-encoding", "gzip")], None),
        (vec![("content-type", "application/grpc-web"), ("content-encoding", "gzip")], None),
        (vec![("content-type", "text/event-stream"), ("content-length", "999")], None),
        (vec![("content-type", "text/event-stream")], Some(999)),
        (vec![("content-type", "image/png")], Some(999)),
        (vec![], None),
    ] {
        let streams = Streams::new();
        let token = streams.stack.sign_in().await;
        let (_frames, mut body) = streams.open_with(with(&token), &headers, length).await;
        assert_open(&mut body);
        streams.stack.at(IDLE);
        assert_eq!(error(&mut body), IDLE_ERROR, "{headers:?}");
        assert_over(&mut body);
    }
}

#[tokio::test]
async fn p18_a_body_that_never_waits_ends_too() {
    for (content_type, message) in [
        ("application/grpc", MESSAGE),
        ("text/event-stream", EVENT),
        ("application/octet-stream", b"bytes"),
    ] {
        for revoke_after in [0, 10, 40] {
            let streams = Streams::new();
            let grant = streams.stack.sessions.start("ada").await.expect("the session starts");
            let (frames, mut body) = streams
                .open_with(with(grant.access_token()), &[("content-type", content_type)], None)
                .await;
            (0..200).for_each(|_| send(&frames, message));
            for _ in 0..revoke_after {
                assert_eq!(data(&mut body), message);
            }
            let revoked = streams.stack.sessions.revoke(grant.session_id()).await;
            revoked.expect("the session is revoked");
            let mut more = 0;
            while poll(&mut body).ready_and(|it| {
                it.is_some_and(|it| {
                    it.is_ok_and(|frame| frame.data_ref().is_some_and(|data| data == message))
                })
            }) {
                more += 1;
            }
            // Armed, it hears of it at once; until then it looks at the 16th frame.
            assert!(more <= if revoke_after < 16 { 16 } else { 0 }, "{revoke_after}: {more}");
            assert_over(&mut body);
            streams.assert_nothing_is_left();
        }
    }
}

#[tokio::test]
async fn p18_a_body_that_never_waits_ends_at_the_deadline_as_well() {
    let streams = Streams::new();
    let (frames, mut body) = streams.open("application/grpc").await;
    (0..64).for_each(|_| send(&frames, MESSAGE));
    (0..20).for_each(|_| assert_eq!(data(&mut body), MESSAGE));
    streams.stack.at(IDLE);
    let passed = (0..64).take_while(|_| frame(&mut body).is_data()).count();
    assert!(passed < 16, "{passed}");
    assert_over(&mut body);
}

#[tokio::test]
async fn what_the_handler_sends_at_the_end_passes_unchanged() {
    let streams = Streams::new();
    let (frames, mut body) = streams.open("application/grpc").await;
    send(&frames, MESSAGE);
    assert_eq!(data(&mut body), MESSAGE);
    assert_open(&mut body);
    let mut own = HeaderMap::new();
    own.insert("grpc-status", "5".parse().expect("a value"));
    frames.send(Frame::trailers(own.clone())).expect("the body is open");
    streams.stack.at(IDLE);
    // The session has ended, and the handler came first.
    assert_eq!(trailers(&mut body), own);
    drop(frames);
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
    streams.assert_nothing_is_left();
}

#[tokio::test]
async fn p18_nothing_is_left_of_a_body_that_is_dropped() {
    for frames_before in 0..20 {
        let streams = Streams::new();
        let (frames, mut body) = streams.open("application/grpc").await;
        for _ in 0..frames_before {
            send(&frames, MESSAGE);
            assert_eq!(data(&mut body), MESSAGE);
        }
        drop(body);
        streams.assert_nothing_is_left();
        let (_frames, mut body) = streams.open("application/grpc").await;
        assert_open(&mut body);
        drop(body);
        streams.assert_nothing_is_left();
    }
}

#[tokio::test]
async fn p36_requests_move_the_deadline_and_p17_background_ones_do_not() {
    let streams = Streams::new();
    let token = streams.stack.sign_in().await;
    let (_frames, mut body) = streams.open_with(with(&token), &[], None).await;
    assert_open(&mut body);
    streams.stack.at(IDLE - MILLI).get(&token).await;
    streams.stack.at(2 * IDLE - 2 * MILLI);
    assert_open(&mut body);
    let background = by(Method::GET, &token).header("session-activity", "background");
    streams.stack.send(background.body(()).expect("a request")).await;
    streams.stack.at(2 * IDLE - MILLI);
    assert_eq!(error(&mut body), IDLE_ERROR);
}

#[tokio::test]
async fn p17_what_the_server_sends_is_no_activity() {
    let streams = Streams::new();
    let (frames, mut body) = streams.open("text/event-stream").await;
    for minutes in 1..20 {
        streams.stack.at(minutes * MINUTE);
        send(&frames, b": heartbeat\n\n");
        assert_eq!(data(&mut body), ": heartbeat\n\n");
        assert_open(&mut body);
    }
    streams.stack.at(IDLE);
    assert!(data(&mut body).starts_with(b"event: session-ended"));
}

#[tokio::test]
async fn p36_a_renewal_moves_the_deadline_of_the_stream_that_carries_it() {
    const LIFETIME: Duration = Duration::from_secs(3600);
    let policy = Policy::sliding(LIFETIME, 12 * LIFETIME).expect("a legal configuration");
    let store = Arc::new(MemoryStore::new());
    let shared = Arc::clone(&store);
    let stack = TestStack::with(policy, |builder| builder.lifecycle_store(shared));
    let streams = Streams { stack, store };
    let token = streams.stack.sign_in().await;
    let renewal = 35 * MINUTE;
    streams.stack.at(renewal);
    let (_frames, mut body) = streams.open_with(with(&token), &[], None).await;
    assert_open(&mut body);
    streams.stack.at(renewal + LIFETIME - MILLI);
    assert_open(&mut body);
    streams.stack.at(renewal + LIFETIME);
    assert_eq!(error(&mut body), IDLE_ERROR);
}

#[tokio::test]
async fn p36_a_renewal_moves_the_deadline_where_activity_is_not_recorded() {
    const LIFETIME: Duration = Duration::from_secs(3600);
    let policy = Policy::sliding(LIFETIME, 12 * LIFETIME).expect("a legal configuration");
    let store = Arc::new(MemoryStore::new());
    let shared = Arc::clone(&store);
    let stack = TestStack::with(policy, |builder| builder.lifecycle_store(shared));
    let streams = Streams { stack, store };
    let token = streams.stack.sign_in().await;
    let (_first, mut earlier) = streams.open_with(with(&token), &[], None).await;
    assert_open(&mut earlier);
    let renewal = 35 * MINUTE;
    streams.stack.at(renewal);
    // Its response carries the successor.
    let (_second, mut renewed) = streams.open_with(with(&token), &[], None).await;
    assert_open(&mut renewed);
    // Opened with the old token, which is not renewed again.
    let mut background = with(&token);
    let class = "background".parse().expect("a value");
    background.headers_mut().insert("session-activity", class);
    let (_third, mut later) = streams.open_with(background, &[], None).await;
    assert_open(&mut later);
    streams.stack.at(renewal + LIFETIME - MILLI);
    assert_open(&mut earlier);
    assert_open(&mut renewed);
    assert_open(&mut later);
    streams.stack.at(renewal + LIFETIME);
    assert_eq!(error(&mut earlier), IDLE_ERROR);
    assert_eq!(error(&mut renewed), IDLE_ERROR);
    assert_eq!(error(&mut later), IDLE_ERROR);
    streams.assert_nothing_is_left();
}

#[tokio::test]
async fn p18_a_body_ends_whose_request_has_waited_for_the_store() {
    let store = Arc::new(FaultyStore::new(StoreBehavior::Pending));
    let policy = Policy::builder().idle_timeout(IDLE).build().expect("a legal configuration");
    let shared = Arc::clone(&store);
    let stack = TestStack::with(policy, |builder| builder.store(shared));
    let streams = Streams { stack, store: Arc::default() };
    let token = streams.stack.sign_in().await;
    let (_frames, mut body) = streams.open_with(with(&token), &[], None).await;
    assert_open(&mut body);
    store.behave(StoreBehavior::Ready);
    streams.stack.at(IDLE);
    assert_eq!(error(&mut body), IDLE_ERROR);
}

#[tokio::test]
async fn a_public_path_has_no_session_to_end_with() {
    let streams = Streams::new();
    let token = streams.stack.sign_in().await;
    let bearer = format!("Bearer {token}");
    let request = Request::get("/public").header("authorization", bearer);
    let request = request.body(()).expect("a request");
    let (_frames, mut body) = streams.open_with(request, &[], None).await;
    assert_open(&mut body);
    streams.stack.at(IDLE);
    assert_open(&mut body);
    streams.assert_nothing_is_left();
}

#[tokio::test]
async fn p18_the_activity_layer_alone_ends_a_body_with_its_session() {
    let policy = Policy::builder().idle_timeout(IDLE).build().expect("a legal configuration");
    let clock = tower_sliding_session::ManualClock::new(BEGIN);
    for behavior in [StoreBehavior::Ready, StoreBehavior::Pending] {
        clock.set(BEGIN);
        let store = Arc::new(FaultyStore::new(behavior));
        let layer = ActivityLayer::new(policy.clone(), Arc::clone(&store)).clock(clock.clone());
        let (_sender, frames) = mpsc::channel();
        let feed = Arc::new(Mutex::new(Some(Feed { frames, length: None })));
        let service = layer.layer(service_fn(move |_: Request<()>| {
            let feed = feed.lock().expect("not poisoned").take().expect("called once");
            std::future::ready(Ok::<_, Infallible>(Response::new(feed)))
        }));
        let session = Session::builder("ada").sid("s1").auth_time(BEGIN).build();
        let request = Request::get("/").extension(session.expect("a session")).body(());
        let Ok(response) = service.oneshot(request.expect("a request")).await;
        let mut body = Box::pin(response.into_body());
        assert_open(&mut body);
        clock.set(BEGIN + IDLE - MILLI);
        let is_open = |body: &mut Pin<Box<SessionBody<Feed>>>| {
            // The store answers at the second poll.
            let _ = poll(body).is_pending();
            poll(body).is_pending()
        };
        assert!(is_open(&mut body));
        clock.set(BEGIN + IDLE + Duration::from_secs(1));
        let error = loop {
            match poll(&mut body) {
                Poll::Ready(Some(Err(error))) => break error,
                Poll::Ready(_) => panic!("a frame"),
                Poll::Pending => {}
            }
        };
        assert_eq!(error.to_string(), IDLE_ERROR);
        drop(body);
        assert_eq!(clock.waiting_timers(), 0);
    }
}

/// A service that gives the request body to the test.
async fn request_body(
    streams: &Streams,
    layer: StreamActivityLayer,
    request: Request<Feed>,
) -> Pin<Box<ActivityBody<Feed>>> {
    let (sender, receiver) = mpsc::channel();
    let handler = service_fn(move |request: Request<ActivityBody<Feed>>| {
        let _ = sender.send(request.into_body());
        std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
    });
    let service = streams.stack.sessions.layer().layer(layer.layer(handler));
    let Ok(_) = service.oneshot(request).await;
    Box::pin(receiver.recv().expect("the handler is called"))
}

fn upload(token: &str, class: Option<&'static str>) -> (Frames, Request<Feed>) {
    let (sender, frames) = mpsc::channel();
    let mut request = by(Method::POST, token);
    if let Some(class) = class {
        request = request.header("session-activity", class);
    }
    (sender, request.body(Feed { frames, length: None }).expect("a request"))
}

#[tokio::test]
async fn p17_messages_of_the_client_are_activity_unless_they_do_not_count() {
    for (class, message, counts) in [
        (None, &b"message"[..], true),
        (None, b"", false),
        (None, b"ping", false),
        (Some("background"), b"message", false),
    ] {
        let streams = Streams::new();
        let token = streams.stack.sign_in().await;
        let (frames, request) = upload(&token, class);
        let layer = StreamActivityLayer::new().counts_if(|data: &[u8]| data != b"ping");
        let mut body = request_body(&streams, layer, request).await;
        for minutes in (1..=60).step_by(10) {
            streams.stack.at(minutes * MINUTE);
            send(&frames, message);
            if poll(&mut body).ready_and(|it| it.is_some_and(|it| it.is_err())) {
                assert!(!counts, "{minutes} minutes");
                assert!(minutes * MINUTE >= IDLE, "{minutes} minutes");
                assert_over(&mut body);
                break;
            }
            assert!(poll(&mut body).is_pending() || !counts);
        }
        if counts {
            streams.stack.at(51 * MINUTE + IDLE);
            assert_eq!(error(&mut body), IDLE_ERROR);
        }
        assert_over(&mut body);
        drop(body);
        streams.assert_nothing_is_left();
    }
}

#[tokio::test]
async fn p24_many_messages_are_one_activity_a_second() {
    let store = Arc::new(FaultyStore::new(StoreBehavior::Ready));
    let policy = Policy::builder().idle_timeout(IDLE).build().expect("a legal configuration");
    let shared = Arc::clone(&store);
    let stack = TestStack::with(policy, |builder| builder.store(shared));
    let streams = Streams { stack, store: Arc::default() };
    let token = streams.stack.sign_in().await;
    let (frames, request) = upload(&token, None);
    let mut body = request_body(&streams, StreamActivityLayer::new(), request).await;
    let before = store.touches();
    for millis in 0..3000 {
        streams.stack.at(Duration::from_millis(millis));
        send(&frames, b"message");
        assert_eq!(data(&mut body), "message");
    }
    assert_eq!(store.touches() - before, 3);
}

#[tokio::test]
async fn p18_a_request_that_is_still_read_at_the_end_is_rejected() {
    for content_type in ["application/grpc", "application/json"] {
        let streams = Streams::new();
        let grant = streams.stack.sessions.start("ada").await.expect("the session starts");
        let (_frames, mut request) = upload(grant.access_token(), None);
        request.headers_mut().insert("content-type", content_type.parse().expect("a value"));
        let handler = service_fn(async |request: Request<ActivityBody<Feed>>| {
            let mut body = std::pin::pin!(request.into_body());
            while let Some(Ok(_)) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {}
            Ok::<_, Infallible>(Response::new("what was read".to_owned()))
        });
        let layer = streams.stack.sessions.layer();
        let mut service = layer.layer(StreamActivityLayer::new().layer(handler));
        let mut answer = Box::pin(service.call(request));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(answer.as_mut().poll(&mut cx).is_pending());
        let revoked = streams.stack.sessions.revoke(grant.session_id()).await;
        revoked.expect("the session is revoked");
        let Ok(response) = answer.await;
        let rejection = response.extensions().get::<tower_sliding_session::Rejection>();
        assert_eq!(rejection.expect("a rejection").kind(), RejectionKind::SessionRevoked);
        assert_eq!(response.headers()["session-error"], "session_revoked");
        let is_grpc = content_type == "application/grpc";
        assert_eq!(response.headers().contains_key("grpc-status"), is_grpc);
        drop(response);
        streams.assert_nothing_is_left();
    }
}

/// It hears of the end although there is always another message at hand.
#[tokio::test]
async fn p18_an_upload_that_never_waits_again_ends_with_its_session() {
    let streams = Streams::new();
    let grant = streams.stack.sessions.start("ada").await.expect("the session starts");
    // Background data is no activity: no touch tells of the end.
    let (frames, request) = upload(grant.access_token(), Some("background"));
    let mut body = request_body(&streams, StreamActivityLayer::new(), request).await;
    assert_open(&mut body);
    (0..3).for_each(|_| send(&frames, b"message"));
    assert_eq!(data(&mut body), "message");
    streams.stack.sessions.revoke(grant.session_id()).await.expect("the session is revoked");
    assert_eq!(error(&mut body), "the stream ended with its session: session_revoked");
    assert_over(&mut body);
    streams.assert_nothing_is_left();
}

/// A store without `revocations` tells nobody: it is asked once a second.
#[tokio::test]
async fn p18_a_store_that_tells_of_no_revocation_is_asked_every_second() {
    let store = Arc::new(FaultyStore::new(StoreBehavior::Ready));
    assert!(store.revocations().is_none());
    let policy = Policy::builder().idle_timeout(IDLE).build().expect("a legal configuration");
    let shared = Arc::clone(&store);
    let stack = TestStack::with(policy, |builder| builder.store(shared));
    let streams = Streams { stack, store: Arc::default() };
    let token = streams.stack.sign_in().await;
    let (_frames, mut body) = streams.open_with(with(&token), &[], None).await;
    assert_open(&mut body);
    let sid = crate::test_stack::claims(&token)["sid"].as_str().expect("a string").to_owned();
    let session = tower_sliding_session::identity::StoreKey::session(None, &sid);
    let tombstone = Tombstone::new(session, BEGIN, BEGIN + 2 * IDLE);
    assert!(store.write_tombstone(tombstone).try_ready().expect("ready").expect("it answers"));
    streams.stack.at(Duration::from_millis(999));
    assert_open(&mut body);
    streams.stack.at(Duration::from_secs(1));
    assert_eq!(error(&mut body), "the stream ended with its session: session_revoked");
}
