//! Rejections in the Connect protocol, as a client and a server of it see them, over TCP.

use std::{sync::Arc, time::Duration};

use axum::Router;
use buffa::{
    DecodeContext, DecodeError, DefaultInstance, EncodeSink, HasMessageView, Message, MessageView,
    OwnedView, SizeCache,
    encoding::{Tag, skip_field},
};
use connectrpc::{
    ConnectError, ConnectRpcService, ErrorCode, Response, Spec, StreamType,
    client::{CallOptions, ClientConfig, HttpClient, call_server_stream, call_unary},
    handler_fn, streaming_handler_fn,
};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tower::Layer as _;
use tower_sliding_session::{
    JwtKeys, ManualClock, Policy, SlidingSessions, Timestamp,
    layers::RequireRecentAuthLayer,
    store::{MemoryStore, SessionStore},
};

use crate::test_stack::faulty_store::{FaultyStore, StoreBehavior};

/// How recent a sign-in must be for what is below `/recent`.
const RECENT: Duration = Duration::from_secs(300);

/// A message without fields, as a code generator would write it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Nothing {}

impl DefaultInstance for Nothing {
    fn default_instance() -> &'static Self {
        &Self {}
    }
}

impl Message for Nothing {
    fn compute_size(&self, _: &mut SizeCache) -> u32 {
        0
    }

    fn write_to(&self, _: &mut SizeCache, _: &mut impl EncodeSink) {}

    fn merge_field(
        &mut self,
        tag: Tag,
        buf: &mut impl bytes::Buf,
        _: DecodeContext<'_>,
    ) -> Result<(), DecodeError> {
        skip_field(tag, buf)
    }

    fn clear(&mut self) {}
}

#[derive(Clone, Debug, Default, PartialEq)]
struct NothingView<'a>(std::marker::PhantomData<&'a ()>);

buffa::impl_view_reborrow!(NothingView);

impl<'a> MessageView<'a> for NothingView<'a> {
    type Owned = Nothing;

    fn decode_view(_: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(Self::default())
    }

    fn merge_view_field(
        &mut self,
        _: Tag,
        rest: &'a [u8],
        _: &'a [u8],
        _: DecodeContext<'_>,
    ) -> Result<&'a [u8], DecodeError> {
        Ok(rest)
    }

    fn to_owned_message(&self) -> Result<Nothing, DecodeError> {
        Ok(Nothing {})
    }
}

struct NothingOwnedView(OwnedView<NothingView<'static>>);

impl From<OwnedView<NothingView<'static>>> for NothingOwnedView {
    fn from(view: OwnedView<NothingView<'static>>) -> Self {
        Self(view)
    }
}

impl AsRef<OwnedView<NothingView<'static>>> for NothingOwnedView {
    fn as_ref(&self) -> &OwnedView<NothingView<'static>> {
        &self.0
    }
}

impl HasMessageView for Nothing {
    type View<'a> = NothingView<'a>;
    type ViewHandle = NothingOwnedView;
}

struct Server {
    sessions: SlidingSessions,
    clock: ManualClock,
    client: HttpClient,
    config: ClientConfig,
}

/// A service with a unary and a streaming method behind the stack.
async fn serve(is_json: bool) -> Server {
    serve_over(Arc::new(MemoryStore::new()), is_json).await
}

/// The same over any store.
async fn serve_over(store: impl SessionStore, is_json: bool) -> Server {
    let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
    let keys = JwtKeys::hs256([7; 32]).expect("a secret of at least 32 bytes");
    let policy = Policy::builder().build().expect("a legal configuration");
    let sessions = SlidingSessions::builder(keys, policy).clock(clock.clone()).store(store);
    let sessions = sessions.build().expect("a legal configuration");
    let say = handler_fn(async |_, _: Nothing| Response::ok(Nothing {}));
    let watch = streaming_handler_fn(async |_, _: Nothing| {
        let items = [Nothing {}, Nothing {}].map(Ok::<_, ConnectError>);
        Response::stream_ok(futures_util::stream::iter(items))
    });
    // Two messages, and then it waits.
    let follow = streaming_handler_fn(async |_, _: Nothing| {
        let items = futures_util::stream::iter([Nothing {}, Nothing {}].map(Ok::<_, ConnectError>));
        Response::stream_ok(items.chain(futures_util::stream::pending()))
    });
    let router = connectrpc::Router::new()
        .route::<_, Nothing, Nothing>("test.v1.Echo", "Say", say)
        .route_server_stream::<_, Nothing, Nothing>("test.v1.Echo", "Watch", watch)
        .route_server_stream::<_, Nothing, Nothing>("test.v1.Echo", "Follow", follow);
    let service = ConnectRpcService::new(router);
    let recent = RequireRecentAuthLayer::new(RECENT).clock(clock.clone());
    let app = Router::new()
        .nest_service("/recent", recent.layer(service.clone()))
        .fallback_service(service)
        .layer(sessions.layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    tokio::spawn(axum::serve(listener, app).into_future());
    let config = ClientConfig::new(format!("http://{address}").parse().expect("an address"));
    let config = if is_json { config.json() } else { config.proto() };
    Server { sessions, clock, client: HttpClient::plaintext(), config }
}

impl Server {
    async fn say(&self, token: &str) -> Result<(), ConnectError> {
        self.say_at("/test.v1.Echo/Say", token).await
    }

    async fn say_at(&self, path: &'static str, token: &str) -> Result<(), ConnectError> {
        let spec = Spec::client(path, StreamType::Unary);
        let (client, config) = (&self.client, &self.config);
        call_unary::<_, _, NothingView<'static>>(client, config, spec, Nothing {}, with(token))
            .await
            .map(drop)
    }

    /// How many messages arrive.
    async fn watch(&self, token: &str) -> Result<usize, ConnectError> {
        let mut count = 0;
        let path = "/test.v1.Echo/Watch";
        self.receive(path, token, async || count += 1).await.map(|()| count)
    }

    /// Calls a streaming method, and `each` for each message.
    async fn receive(
        &self,
        path: &'static str,
        token: &str,
        mut each: impl AsyncFnMut(),
    ) -> Result<(), ConnectError> {
        let spec = Spec::client(path, StreamType::ServerStream);
        let (client, config) = (&self.client, &self.config);
        let options = with(token);
        let mut stream = call_server_stream::<_, _, NothingView<'static>>(
            client,
            config,
            spec,
            Nothing {},
            options,
        )
        .await?;
        while stream.message::<Nothing>().await?.is_some() {
            each().await;
        }
        Ok(())
    }
}

fn with(token: &str) -> CallOptions {
    CallOptions::default().with_header("authorization", format!("Bearer {token}"))
}

/// What the client learns of a rejection.
fn learned(error: &ConnectError) -> (ErrorCode, &str, Option<&str>) {
    let headers = [error.response_headers(), error.trailers()];
    let code = headers.into_iter().find_map(|it| it.get("session-error"));
    let code = code.map(|code| code.to_str().expect("ASCII"));
    (error.code, error.message.as_deref().unwrap_or_default(), code)
}

#[tokio::test]
async fn a_connect_client_is_told_why_its_session_is_refused() {
    for is_json in [false, true] {
        let server = serve(is_json).await;
        let grant = server.sessions.start("ada").await.expect("the session starts");
        let token = grant.access_token();
        server.say(token).await.expect("the session is active");
        assert_eq!(server.watch(token).await.expect("the session is active"), 2);
        server.clock.advance(std::time::Duration::from_secs(20 * 60));
        let title = "The session expired after 20 minutes without activity.";
        let expected = (ErrorCode::Unauthenticated, title, Some("session_expired_idle"));
        let refused = server.say(token).await.expect_err("the session has expired");
        assert_eq!(learned(&refused), expected, "json: {is_json}");
        let refused = server.watch(token).await.expect_err("the session has expired");
        assert_eq!(learned(&refused), expected, "json: {is_json}");
        let refused = server.say("x").await.expect_err("no token");
        assert_eq!(learned(&refused).2, Some("invalid_token"));
    }
}

#[tokio::test]
async fn a_connect_client_is_told_of_a_step_up_and_of_an_outage() {
    for is_json in [false, true] {
        let store = Arc::new(FaultyStore::new(StoreBehavior::Ready));
        let server = serve_over(Arc::clone(&store), is_json).await;
        let grant = server.sessions.start("ada").await.expect("the session starts");
        let token = grant.access_token();
        let (say, watch) = ("/recent/test.v1.Echo/Say", "/recent/test.v1.Echo/Watch");
        server.say_at(say, token).await.expect("a recent sign-in");
        server.receive(watch, token, async || {}).await.expect("a recent sign-in");
        server.clock.advance(RECENT);
        let title = "Sign in again to continue.";
        let expected = (ErrorCode::Unauthenticated, title, Some("recent_authentication_required"));
        let refused = server.say_at(say, token).await.expect_err("the sign-in is too long ago");
        assert_eq!(learned(&refused), expected, "json: {is_json}");
        let refused = server.receive(watch, token, async || {}).await;
        assert_eq!(learned(&refused.expect_err("as above")), expected, "json: {is_json}");
        server.say(token).await.expect("the session goes on");

        store.behave(StoreBehavior::Failing);
        let title = "The session could not be checked. Try again.";
        let expected = (ErrorCode::Unavailable, title, Some("store_unavailable"));
        let refused = server.say(token).await.expect_err("an outage");
        assert_eq!(learned(&refused), expected, "json: {is_json}");
        let refused = server.watch(token).await.expect_err("an outage");
        assert_eq!(learned(&refused), expected, "json: {is_json}");
        store.behave(StoreBehavior::Ready);
        server.say(token).await.expect("nobody was signed out");
    }
}

#[tokio::test]
async fn p18_a_connect_stream_ends_with_its_session() {
    for is_json in [false, true] {
        let server = serve(is_json).await;
        let grant = server.sessions.start("ada").await.expect("the session starts");
        let mut count = 0;
        let received = server.receive("/test.v1.Echo/Follow", grant.access_token(), async || {
            count += 1;
            if count == 2 {
                server.sessions.revoke(grant.session_id()).await.expect("the store answers");
            }
        });
        let ended = received.await.expect_err("the session has ended");
        let title = "The session was revoked.";
        let expected = (ErrorCode::Unauthenticated, title, Some("session_revoked"));
        assert_eq!(learned(&ended), expected, "json: {is_json}");
        assert_eq!(count, 2);
    }
}
