//! The example `cluster`: four nodes over a Redis that is killed and started again.

#[path = "../../examples/cluster.rs"]
#[expect(dead_code, reason = "a test does not run `main`, and needs no other server")]
mod example;

use self::example::{redis::Redis, run};

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_holds() {
    let mut redis = Redis::start_own().await.expect("redis-server is installed");
    assert_eq!(run(&mut redis).await.expect("every request is answered"), 0);
}
