//! The cost of streams that wait for the end of their session: memory, processor time while nothing
//! happens, and the time from a revocation to the last frame. Prints one line for each, with its
//! target. Takes half a minute; needs Linux.

use std::{
    alloc::System,
    convert::Infallible,
    fs,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use http_body::{Body, Frame};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::{sync::mpsc, task::JoinHandle};
use tower::{Layer, ServiceExt, service_fn};
use tower_sliding_session::{Grant, JwtKeys, Policy, SessionBody, SlidingSessions};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const STREAMS: usize = 10_000;
const IDLE_STREAMS: usize = 100_000;
const REVOCATIONS: usize = 1_000;
const IDLE_FOR: Duration = Duration::from_secs(4);

/// A body that waits for ever.
struct Silent;

impl Body for Silent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

type Open = Pin<Box<SessionBody<Silent>>>;

struct Streams {
    sessions: SlidingSessions,
    grants: Vec<Grant>,
}

impl Streams {
    /// `count` sessions. A stream outlives the cache of its token.
    async fn new(count: usize) -> Self {
        let policy = Policy::builder().idle_timeout(Duration::from_secs(3600)).build();
        let keys = JwtKeys::hs256([7; 32]).expect("32 bytes");
        let sessions = SlidingSessions::builder(keys, policy.expect("a legal configuration"))
            .cached_tokens(8)
            .build()
            .expect("a legal configuration");
        let mut grants = Vec::with_capacity(count);
        for user in 0..count {
            let grant = sessions.start(user.to_string()).await;
            grants.push(grant.expect("the session starts"));
        }
        Self { sessions, grants }
    }

    /// The response body of a request of a session, which waits.
    async fn open(&self, grant: &Grant) -> Open {
        let handler = service_fn(async |_: Request<()>| {
            let response = Response::builder().header(CONTENT_TYPE, "text/event-stream");
            Ok::<_, Infallible>(response.body(Silent).expect("a response"))
        });
        let bearer = format!("Bearer {}", grant.access_token());
        let request = Request::get("/").header("authorization", bearer).body(());
        let service = self.sessions.layer().layer(handler);
        let Ok(response) = service.oneshot(request.expect("a request")).await;
        let mut body = Box::pin(response.into_body());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(body.as_mut().poll_frame(&mut cx).is_pending());
        body
    }

    async fn open_all(&self, count: usize) -> Vec<Open> {
        let mut open = Vec::with_capacity(count);
        for number in 0..count {
            open.push(self.open(&self.grants[number % self.grants.len()]).await);
        }
        open
    }
}

fn net_bytes(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change.bytes_allocated - change.bytes_deallocated
}

fn line(what: &str, measured: &str, target: &str) {
    println!("{what:<68} {measured:>9}  {target}");
}

async fn memory(streams: &Streams) {
    // What a first stream sets up.
    drop(streams.open_all(STREAMS).await);
    let region = Region::new(ALLOCATOR);
    let open = streams.open_all(STREAMS).await;
    let stacked = net_bytes(&region);
    let region = Region::new(ALLOCATOR);
    let bare: Vec<Pin<Box<Silent>>> = (0..STREAMS).map(|_| Box::pin(Silent)).collect();
    let over = stacked.saturating_sub(net_bytes(&region));
    // The vectors of both hold a pointer each.
    drop((open, bare));
    line("bytes a stream over the bare one, 10,000", &(over / STREAMS).to_string(), "<= 400");
}

/// The processor time of this process.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u32 = ticks.map(|ticks| ticks.parse::<u32>().expect("a number")).sum();
    Duration::from_millis(10) * ticks
}

async fn idle(streams: &Streams) {
    let open = streams.open_all(IDLE_STREAMS).await;
    let tasks: Vec<JoinHandle<()>> = open.into_iter().map(|body| end(body, None)).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = processor_time();
    tokio::time::sleep(IDLE_FOR).await;
    let used = processor_time().saturating_sub(before);
    line("ms of processor time in 4 s, 100,000 streams", &used.as_millis().to_string(), "<= 10");
    tasks.iter().for_each(JoinHandle::abort);
    for task in tasks {
        let _ = task.await;
    }
}

/// A task that reads a body to its end, and tells when.
#[expect(clippy::disallowed_methods, reason = "a stopwatch, not the time of day")]
fn end(mut body: Open, ended: Option<mpsc::UnboundedSender<Instant>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        while poll_fn(|cx| body.as_mut().poll_frame(cx)).await.is_some() {
            if let Some(ended) = &ended {
                let _ = ended.send(Instant::now());
            }
        }
    })
}

#[expect(clippy::disallowed_methods, reason = "a stopwatch, not the time of day")]
async fn latency(streams: &Streams) {
    let (sender, mut ended) = mpsc::unbounded_channel();
    for grant in &streams.grants[..STREAMS] {
        end(streams.open(grant).await, Some(sender.clone()));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut times = Vec::with_capacity(REVOCATIONS);
    for grant in &streams.grants[..REVOCATIONS] {
        let begin = Instant::now();
        streams.sessions.revoke(grant.session_id()).await.expect("it is revoked");
        let at = ended.recv().await.expect("a stream ends");
        times.push(at.saturating_duration_since(begin));
    }
    times.sort_unstable();
    for (name, share, target) in [("median", 2, ""), ("99th percentile", 100, "<= 50000")] {
        let at = times[REVOCATIONS - 1 - REVOCATIONS / share].as_micros();
        let what = format!("us from a revocation to the last frame, 10,000 streams: {name}");
        line(&what, &at.to_string(), target);
    }
    let scope = streams.sessions.everything();
    let begin = Instant::now();
    let revoked = streams.sessions.revoke_all(scope, tower_sliding_session::store::Exempt::None);
    revoked.await.expect("they are revoked");
    for _ in REVOCATIONS..STREAMS {
        ended.recv().await.expect("a stream ends");
    }
    let all = begin.elapsed().as_millis();
    line(
        "ms from a bulk revocation to the last frame of 9,000 streams",
        &all.to_string(),
        "<= 1000",
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    println!("{:<68} {:>9}  target", "what", "measured");
    let streams = Arc::new(Streams::new(STREAMS).await);
    memory(&streams).await;
    latency(&streams).await;
    let few = Streams::new(STREAMS).await;
    idle(&few).await;
}
