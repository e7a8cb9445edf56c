//! While the database does not answer.

use super::*;
use crate::store::{Peeked, SessionStore as _, Touched};

#[tokio::test]
async fn p23_an_outage_admits_only_who_was_surely_not_revoked() {
    for home in Home::all().await {
        let clock = clock();
        let store = home.node(&clock).await;
        begin(&store, "s").await;
        // Read by this test alone: the background task would race it for the news.
        store.0.task.get().expect("there is one").abort();
        home.run("ALTER TABLE tss_head RENAME TO elsewhere").await;
        home.run("ALTER TABLE tss_sessions RENAME TO tss_elsewhere").await;

        clock.advance(SYNC * 3);
        let at = NOW + INTERVAL;
        let touched = store.touch(key("s"), touch(at)).await.expect("a failed write rejects none");
        assert_eq!(touched, Touched::Live(Some(NOW)));
        assert_eq!(store.peek(key("s")).await.expect("it answers"), Peeked::LastSeen(at));
        assert!(store.touch(key("other"), touch(at)).await.is_err());
        assert!(store.peek(key("other")).await.is_err());
        assert!(store.end(key("s"), NOW + DAY).await.is_err());

        clock.advance(Duration::from_millis(1));
        assert!(store.touch(key("s"), touch(at)).await.is_err());
        assert!(store.peek(key("s")).await.is_err());

        home.run("ALTER TABLE elsewhere RENAME TO tss_head").await;
        home.run("ALTER TABLE tss_elsewhere RENAME TO tss_sessions").await;
        let touched = store.touch(key("s"), touch(at)).await.expect("it recovers by itself");
        assert_eq!(touched, Touched::Live(Some(at)));
        assert_eq!(store.peek(key("s")).await.expect("it answers"), Peeked::LastSeen(at));
        home.leave().await;
    }
}

#[tokio::test]
async fn a_tombstone_needs_no_database() {
    for home in Home::all().await {
        let clock = clock();
        let store = home.node(&clock).await;
        store.end(key("s"), NOW + DAY).await.expect("it ends");
        store.0.database.close().await;
        let touched = store.touch(key("s"), touch(NOW)).await.expect("it is known here");
        assert_eq!(touched, Touched::Ended);
        home.leave().await;
    }
}

#[tokio::test]
async fn a_write_that_takes_long_rejects_nothing() {
    for home in Home::all().await {
        let clock = clock();
        let store = home.node(&clock).await;
        begin(&store, "s").await;
        // Held by another: the touch waits behind it until its limit.
        let turn = store.0.turn_of(&key("s")).lock().await;
        let touched = tokio::spawn(store.touch(key("s"), touch(NOW + INTERVAL)));
        while !touched.is_finished() {
            clock.advance(Duration::from_millis(1));
            tokio::task::yield_now().await;
        }
        let touched = touched.await.expect("it ends").expect("it is admitted");
        assert_eq!(touched, Touched::Live(Some(NOW)));
        drop(turn);
        home.leave().await;
    }
}
