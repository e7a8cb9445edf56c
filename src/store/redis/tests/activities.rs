//! Activities of one session that nodes write in any order.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{nodes::*, *};
use crate::{
    clock::{Clock, SystemClock},
    store::{
        LifecycleStore as _, RefreshQuery, Rotated, Rotation, SessionRecord, SignIn, TokenExchange,
        redis::record::Stored,
    },
};

const MINUTE: Duration = Duration::from_secs(60);

async fn write(node: &RedisStore, record: &SessionRecord, touch: Touch) {
    let touched = node.touch(record.keys(), touch).await.expect("the server answers");
    assert!(matches!(touched, TouchOutcome::Active(_)), "{touched:?}");
    node.flush().await.expect("the server answers");
}

/// What Redis has of a session: the last activity, the idle timeout and, of a record, the generation.
async fn stored(node: &RedisStore, record: &SessionRecord) -> (Timestamp, Duration, Option<u32>) {
    let stored = node.0.stored(record.keys()).await.map_err(StoreError::from);
    match stored.expect("the server answers").expect("it is known") {
        Stored::Record(record) => {
            (record.session.last_seen, record.session.idle, Some(record.refreshed.presented))
        }
        Stored::Activity { last_seen, idle } => (last_seen, idle, None),
        Stored::Tombstone { .. } => panic!("it has ended"),
    }
}

#[tokio::test]
async fn p12_an_activity_that_is_written_late_lowers_nothing() {
    let server = RedisServer::start();
    let connect = async || node(&server).await;
    let begun = begin(&connect().await, "begun").await;
    let at = |minutes, idle, generation| {
        let now = NOW + minutes * MINUTE;
        Touch { generation, ..Touch::new(now, NOW, idle) }
    };
    for (session, has_record) in [(begun, true), (record("without a record"), false)] {
        let presented = |generation| has_record.then_some(generation);
        // Each node knows nothing of what the others have written.
        let nodes = [connect().await, connect().await, connect().await, connect().await];
        for node in &nodes {
            node.get(session.keys()).await.expect("the server answers");
        }
        let [latest, earlier, of_refreshed, of_old_token] = &nodes;
        write(latest, &session, at(3, 2 * IDLE, 2)).await;
        write(earlier, &session, at(1, IDLE, 1)).await;
        let expected = (NOW + 3 * MINUTE, 2 * IDLE, presented(2));
        assert_eq!(stored(latest, &session).await, expected, "{}", session.sid);
        // It is earlier, and tells of a later generation.
        write(of_refreshed, &session, at(2, 2 * IDLE, 3)).await;
        let expected = (NOW + 3 * MINUTE, 2 * IDLE, presented(3));
        assert_eq!(stored(latest, &session).await, expected, "{}", session.sid);
        write(of_old_token, &session, at(4, IDLE, 0)).await;
        let expected = (NOW + 4 * MINUTE, IDLE, presented(3));
        assert_eq!(stored(latest, &session).await, expected, "{}", session.sid);
    }
    // The generation of the one without a record is kept for its record.
    latest_presented_is_adopted(&server).await;
}

async fn latest_presented_is_adopted(server: &RedisServer) {
    let node = node(server).await;
    let session = record("without a record");
    node.adopt(session.clone()).await.expect("it is adopted");
    assert_eq!(stored(&node, &session).await, (NOW + 4 * MINUTE, IDLE, Some(3)));
}

#[tokio::test]
async fn p15_the_activity_of_a_session_without_a_record_expires() {
    let server = RedisServer::start();
    let node = node(&server).await;
    write(&node, &record("s"), Touch::new(NOW, NOW, IDLE)).await;
    let life = server.command(&[
        "EVAL",
        "return redis.call('PTTL', redis.call('KEYS', 'tss:{*}:s*')[1])",
        "0",
    ]);
    let life: u128 = life.parse().expect("a number");
    assert!((1..=DAY.as_millis()).contains(&life), "{life} ms");
}

/// The system's clock, which may be set ahead.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicU64>);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + Duration::from_millis(self.0.load(Relaxed))
    }

    fn sleep_until(&self, deadline: Timestamp) -> crate::clock::Sleep {
        SystemClock.sleep_until(SystemClock.now() + deadline.since(self.now()))
    }
}

#[tokio::test]
async fn p33_no_activity_is_written_that_is_later_than_the_server_by_more_than_the_skew() {
    let server = RedisServer::start();
    let clock = Ahead::default();
    // Its next reading is an hour away.
    let store = RedisStore::at(server.url()).time_limit(BOUND).clock(clock.clone());
    let store = store.sync_interval(60 * MINUTE).connect().await.expect("the server runs");
    let (now, skew) = (SystemClock.now(), Duration::from_secs(5));
    let begun = |sid| SessionRecord { last_seen: now, ends_at: now + DAY, ..record(sid) };
    let [touched, refreshed] = [begun("touched"), begun("refreshed")];
    for record in [&touched, &refreshed] {
        let sign_in = SignIn::new(record.clone(), audit("session_started"));
        store.begin(sign_in).await.expect("it begins");
    }
    let wrong = now + 15 * MINUTE;
    let query = RefreshQuery::new(refreshed.key, refreshed.epoch, refreshed.scopes);
    let exchange = TokenExchange::new(wrong, None);
    // The clock was right again when the node read what others have changed.
    let rotation = Rotation::new(query, 0, exchange, refreshed.clone());
    let rotated = store.rotate(Rotation { is_activity: true, ..rotation }).await;
    assert_eq!(rotated.expect("the server answers"), Rotated::Done);
    clock.0.store(u64::try_from((15 * MINUTE).as_millis()).expect("it is short"), Relaxed);
    write(&store, &touched, Touch::new(clock.now(), clock.now(), IDLE)).await;
    for record in [&touched, &refreshed] {
        let (written, ..) = stored(&store, record).await;
        assert!(now < written, "{}: it is written", record.sid);
        assert!(written <= SystemClock.now() + skew, "{}: {written:?}", record.sid);
    }
}
