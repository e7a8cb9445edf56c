//! A node that was cut off from Redis, while another was not.

use super::{
    nodes::{DAY, IDLE, NOW, audit, begin},
    redis_server::Proxy,
    *,
};
use crate::{clock::ManualClock, store::LifecycleStore as _};

async fn connect(url: &str, clock: &ManualClock) -> RedisStore {
    let store = RedisStore::at(url).time_limit(BOUND).clock(clock.clone());
    store.connect().await.expect("the server accepts connections")
}

#[tokio::test]
async fn p22_a_node_that_was_cut_off_for_a_minute_undoes_no_revocation_and_lowers_no_last_seen() {
    let server = RedisServer::start();
    let proxy = Proxy::new(&server).await;
    let clock = ManualClock::new(NOW);
    let (cut, other) = (connect(&proxy.url(), &clock).await, connect(&server.url(), &clock).await);
    let [active, ended] = [begin(&cut, "active").await, begin(&cut, "ended").await];
    let second = Duration::from_secs(1);
    let touch = |millis| {
        let now = NOW + Duration::from_millis(millis);
        Touch::new(now, NOW, IDLE)
    };
    proxy.cut();
    clock.advance(second);
    // It goes on by what it knows, and will write that when it is back.
    for record in [&active, &ended] {
        let touched = cut.touch(record.keys(), touch(1000)).await;
        assert!(matches!(touched, Ok(TouchOutcome::Active(_))), "{touched:?}");
    }
    let tombstone = Tombstone::new(ended.key, NOW, NOW + DAY).of_user(ended.scopes.user, None);
    assert!(other.revoke(tombstone, audit("session_ended")).await.expect("it ends"));
    clock.advance(59 * second);
    for record in [&active, &ended] {
        cut.touch(record.keys(), touch(60_000)).await.expect_err("its reading is too old");
    }
    other.0.sync_now().await.expect("the server answers");
    let touched = other.touch(active.keys(), touch(60_000)).await;
    assert!(matches!(touched, Ok(TouchOutcome::Active(_))), "{touched:?}");
    other.flush().await.expect("the server answers");

    proxy.lead_to(&server);
    let is_back = async {
        while cut.flush().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, is_back).await.expect("the network is back");
    for node in [&cut, &other, &connect(&server.url(), &clock).await] {
        let touched = node.touch(ended.keys(), touch(60_000)).await;
        assert!(matches!(touched, Ok(TouchOutcome::Ended)), "{touched:?}");
    }
    let late = connect(&server.url(), &clock).await;
    let stored = late.get(active.keys()).await.expect("the server answers");
    assert_eq!(stored, StoredSession::Active(NOW + 60 * second));
}
