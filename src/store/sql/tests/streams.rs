//! Streams of one node, and what happens to their sessions on another.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::{
    clock::Sleep,
    policy::{Policy, TimeoutOverrides},
    rejection::RejectionKind,
    session::{Session, SessionEnded},
    sessions::SlidingSessions,
    store::{SessionStore as _, StoredSession},
    token::JwtKeys,
};

const PATIENCE: Duration = Duration::from_secs(20);
const ABSOLUTE: Duration = Duration::from_secs(7200);

/// A node of a service.
struct Node {
    store: SqlStore,
    sessions: SlidingSessions,
    clock: ManualClock,
}

impl Node {
    async fn on(database: &TestDatabase) -> Self {
        Self::with(database, NOW, IDLE).await
    }

    /// A node that starts at `now`. Its background task waits.
    async fn with(database: &TestDatabase, now: Timestamp, idle: Duration) -> Self {
        let clock = ManualClock::new(now);
        let store = database.node(&clock).await;
        let policy = Policy::builder().idle_timeout(idle).absolute_timeout(ABSOLUTE).build();
        let keys = JwtKeys::hs256([7; 32]).expect("32 bytes");
        let sessions = SlidingSessions::builder(keys, policy.expect("a legal configuration"))
            .lifecycle_store(store.clone())
            .clock(clock.clone())
            .build()
            .expect("a legal configuration");
        while clock.waiting_timers() == 0 {
            tokio::task::yield_now().await;
        }
        Self { store, sessions, clock }
    }

    /// Stops what the clock has set off.
    async fn stop(self) {
        self.store.0.database.close().await;
    }

    async fn start(&self) -> String {
        let grant = self.sessions.start("ada").tenant("acme").await.expect("the session starts");
        grant.access_token().to_owned()
    }

    /// The session of a request with `token`.
    async fn request(&self, token: &str) -> Session {
        let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let handler = service_fn(move |request: Request<()>| {
            let session = request.extensions().get::<Session>().cloned();
            sender.send(session.expect("authenticated")).expect("the test waits");
            std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(String::new())))
        });
        let request = Request::get("/").header("authorization", format!("Bearer {token}"));
        let request = request.body(()).expect("a request");
        let Ok(_) = self.sessions.layer().layer(handler).oneshot(request).await;
        seen.recv().await.expect("the request is admitted")
    }
}

fn poll(ended: &mut SessionEnded) -> Poll<RejectionKind> {
    Pin::new(ended).poll(&mut Context::from_waker(Waker::noop()))
}

async fn reason(ended: SessionEnded) -> RejectionKind {
    tokio::time::timeout(PATIENCE, ended).await.expect("the session has ended")
}

#[tokio::test]
async fn p18_a_stream_ends_when_its_node_reads_of_the_revocation() {
    for database in TestDatabase::all().await {
        let (node, other) = (Node::on(&database).await, Node::on(&database).await);
        for is_bulk in [false, true] {
            let token = other.start().await;
            let session = node.request(&token).await;
            let mut ended = session.ended();
            assert!(poll(&mut ended).is_pending());
            if is_bulk {
                let scope = other.sessions.user_scope(Some("acme"), "ada");
                other.sessions.revoke_all(scope, Exempt::None).await.expect("it is revoked");
            } else {
                other.request(&token).await.sign_out().await.expect("it is revoked");
            }
            assert!(poll(&mut ended).is_pending(), "the node has not read of it");
            node.clock.advance(SYNC);
            assert_eq!(reason(ended).await, RejectionKind::SessionRevoked);
            other.clock.advance(SYNC);
        }
        let revocations = node.store.revocations().expect("it has them");
        assert_eq!(revocations.open_streams(), 0);
        node.stop().await;
        other.stop().await;
        database.remove().await;
    }
}

#[tokio::test]
async fn p20_a_stream_ends_earlier_when_its_node_reads_of_a_shorter_timeout() {
    for database in TestDatabase::all().await {
        let (node, other) = (Node::on(&database).await, Node::on(&database).await);
        let session = node.request(&other.start().await).await;
        let mut ended = session.ended();
        assert!(poll(&mut ended).is_pending());
        let short = Duration::from_secs(300);
        other
            .sessions
            .change_account_policy("acme", |_| TimeoutOverrides::new().idle(short))
            .await
            .expect("the policy is changed");
        node.store.0.sync().await.expect("the node syncs");
        assert!(poll(&mut ended).is_pending());
        node.clock.advance(short + node.store.activity_delay(short));
        assert_eq!(reason(ended).await, RejectionKind::SessionExpiredIdle);
        node.stop().await;
        other.stop().await;
        database.remove().await;
    }
}

/// The time limit of a reading is left of the second.
const BEFORE_READING: Duration = Duration::from_millis(750);

#[tokio::test]
async fn p18_a_stream_ends_within_a_second_of_its_deadline() {
    for database in TestDatabase::all().await {
        // With the shorter one a touch interval is shorter than a sync interval.
        for idle in [IDLE, Duration::from_secs(20)] {
            let node = Node::with(&database, NOW, idle).await;
            let mut ended = node.request(&node.start().await).await.ended();
            assert!(poll(&mut ended).is_pending());
            node.clock.set(NOW + idle);
            assert!(poll(&mut ended).is_pending(), "there may have been activity elsewhere");
            node.clock.advance(BEFORE_READING);
            assert_eq!(reason(ended).await, RejectionKind::SessionExpiredIdle);
            node.stop().await;
        }

        let node = Node::on(&database).await;
        let token = node.start().await;
        let session = node.request(&token).await;
        let mut ended = session.ended();
        assert!(poll(&mut ended).is_pending());
        while node.clock.now() + IDLE / 2 < NOW + ABSOLUTE {
            node.clock.advance(IDLE / 2);
            session.touch().await.expect("the session is active");
        }
        assert!(poll(&mut ended).is_pending());
        node.clock.set(NOW + ABSOLUTE);
        assert_eq!(reason(ended).await, RejectionKind::SessionExpiredAbsolute, "at its deadline");
        node.stop().await;

        let (node, other) = (Node::on(&database).await, Node::on(&database).await);
        let token = other.start().await;
        let mut ended = node.request(&token).await.ended();
        assert!(poll(&mut ended).is_pending());
        other.request(&token).await.sign_out().await.expect("it is revoked");
        node.clock.advance(BEFORE_READING + Duration::from_millis(50));
        assert_eq!(reason(ended).await, RejectionKind::SessionRevoked);
        node.stop().await;
        other.stop().await;
        database.remove().await;
    }
}

/// A stream that opens where the node does not know the session at hand.
#[tokio::test]
async fn p18_a_new_stream_of_an_ended_session_ends_within_a_second() {
    for database in TestDatabase::all().await {
        let node = Node::on(&database).await;
        let session = node.request(&node.start().await).await;
        node.clock.advance(IDLE * 2);
        let mut ended = session.ended();
        assert!(poll(&mut ended).is_pending(), "most are over before they ask");
        node.clock.advance(BEFORE_READING);
        assert_eq!(reason(ended).await, RejectionKind::SessionExpiredIdle);
        node.stop().await;
        database.remove().await;
    }
}

#[tokio::test]
async fn p36_activity_on_another_node_moves_the_deadline_of_a_stream() {
    for database in TestDatabase::all().await {
        for idle in [IDLE, Duration::from_secs(20)] {
            let last = NOW + idle - Duration::from_millis(1);
            let node = Node::with(&database, NOW, idle).await;
            let other = Node::with(&database, last, idle).await;
            let token = node.start().await;
            let session = node.request(&token).await;
            let ended = tokio::spawn(reason(session.ended()));
            tokio::task::yield_now().await;
            other.request(&token).await;
            let session = session.token().keys();
            // The node reads of it too early.
            node.clock.set(NOW + idle + Duration::from_millis(199));
            let read = node.store.get(session).await.expect("the store answers");
            assert_eq!(read, StoredSession::Active(NOW));
            // The background task writes it.
            other.clock.advance(Duration::from_millis(200));
            let reader = Node::with(&database, last, idle).await;
            let seen = StoredSession::Active(last);
            while reader.store.get(session).await.expect("the store answers") != seen {
                reader.store.0.node_cache.invalidate();
            }
            let delay = node.store.activity_delay(idle);
            node.clock.set(NOW + idle + delay);
            while node.store.0.node_cache.get(&session.session, node.clock.now()) != Some(seen) {
                tokio::task::yield_now().await;
            }
            // Answered after the stream, which has its next deadline then.
            node.store.get(keys("unknown")).await.expect("the store answers");
            assert!(!ended.is_finished(), "the session is active");
            node.clock.set(last + idle + delay);
            assert_eq!(ended.await.expect("no panic"), RejectionKind::SessionExpiredIdle);
            for node in [node, other, reader] {
                node.stop().await;
            }
        }
        database.remove().await;
    }
}

#[tokio::test]
async fn p18_a_stream_ends_after_a_gap_in_the_feed() {
    for database in TestDatabase::all().await {
        let (node, other) = (Node::on(&database).await, Node::on(&database).await);
        let token = other.start().await;
        let mut ended = node.request(&token).await.ended();
        assert!(poll(&mut ended).is_pending());
        other.request(&token).await.sign_out().await.expect("it is revoked");
        // The change is removed before this node reads of it.
        let later = NOW + Duration::from_secs(3601);
        other.store.0.clean(later).await.expect("the cleanup succeeds");
        node.store.0.sync().await.expect("the node syncs");
        assert_eq!(reason(ended).await, RejectionKind::SessionRevoked);
        node.stop().await;
        other.stop().await;
        database.remove().await;
    }
}

/// The clock of the system: it is set back, and timers run on.
#[derive(Clone)]
struct SetBack {
    running: ManualClock,
    by: Arc<AtomicU64>,
}

impl Clock for SetBack {
    fn now(&self) -> Timestamp {
        self.running.now() - Duration::from_secs(self.by.load(Relaxed))
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        self.running.sleep_until(deadline + Duration::from_secs(self.by.load(Relaxed)))
    }

    fn is_time_of_day(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn p18_a_clock_that_is_set_back_delays_no_reading() {
    for database in TestDatabase::all().await {
        let clock = SetBack { running: ManualClock::new(NOW), by: Arc::default() };
        let node = database.node(&clock).await;
        let other = database.node(&clock.running).await;
        while clock.running.waiting_timers() < 2 {
            tokio::task::yield_now().await;
        }
        clock.by.store(3600, Relaxed);
        other.write_tombstone(tombstone(key("s"), NOW + DAY)).await.expect("the store answers");
        clock.running.advance(Duration::from_millis(200));
        let is_known = async {
            while node.0.node_cache.get(&key("s"), clock.now()) != Some(StoredSession::Ended) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, is_known).await.expect("the node reads of it");
        database.remove().await;
    }
}

#[tokio::test]
async fn p22_after_an_outage_a_node_reads_at_once_and_before_it_writes() {
    for database in TestDatabase::all().await {
        let clock = ManualClock::new(NOW);
        let (node, other) =
            (database.node(&clock).await, database.node(&ManualClock::new(NOW)).await);
        while clock.waiting_timers() == 0 {
            tokio::task::yield_now().await;
        }
        database.run("ALTER TABLE tss_changes RENAME TO elsewhere").await;
        let failed_at = node.statements();
        clock.advance(SYNC);
        while node.statements() == failed_at || clock.waiting_timers() == 0 {
            tokio::task::yield_now().await;
        }
        database.run("ALTER TABLE elsewhere RENAME TO tss_changes").await;
        other.write_tombstone(tombstone(key("s"), NOW + DAY)).await.expect("the store answers");
        clock.advance(Duration::from_millis(200));
        let is_known = async {
            while node.0.node_cache.get(&key("s"), clock.now()) != Some(StoredSession::Ended) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, is_known).await.expect("the node reads of it");
        database.remove().await;
    }
}
