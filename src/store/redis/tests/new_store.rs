//! A node that starts on a store which was made anew.

use super::{nodes::*, *};
use crate::{
    clock::{Clock as _, ManualClock, SystemClock},
    identity::Scope,
    store::{BulkRevocation, LifecycleStore as _, RevocationCutoff},
};

#[tokio::test]
async fn p22_every_session_from_before_has_ended_when_the_node_serves() {
    let server = RedisServer::start();
    let store = RedisStore::at(server.url()).time_limit(BOUND).clock(ManualClock::new(NOW));
    let store = store.on_data_loss(OnDataLoss::EndAll).connect().await;
    let store = store.expect("the server accepts connections");
    let revocations = store.revocations().expect("it has them");
    let session = StoreKey::session(None, "s");
    // It may have begun on a node whose clock was ahead.
    let skew = Duration::from_secs(5);
    for (epoch, is_ended) in [(NOW + skew, true), (NOW + skew + Duration::from_millis(1), false)] {
        assert_eq!(revocations.revoked_by(session, epoch, scopes).is_some(), is_ended);
    }
}

/// A cutoff is not in the record of a session.
#[tokio::test]
async fn p22_a_node_that_starts_knows_the_cutoffs_that_others_have_written_back() {
    let mut server = RedisServer::start();
    // The time of the day: it is compared with the time at which the store was made.
    let connect = async |server: &RedisServer| {
        let store = RedisStore::at(server.url()).time_limit(BOUND).connect().await;
        store.expect("the server accepts connections")
    };
    let one = connect(&server).await;
    let now = SystemClock.now();
    let cutoff = RevocationCutoff::new(now, now + DAY);
    let scope = Scope::User(scopes().user);
    let all = BulkRevocation::new(scope, now, cutoff, audit("sessions_revoked_bulk"));
    one.revoke_all(all).await.expect("the server answers");
    server.kill();
    server.restart();
    let late = connect(&server).await;
    let revocations = late.revocations().expect("it has them");
    let session = StoreKey::session(None, "s");
    assert!(revocations.revoked_by(session, now, scopes).is_some());
}
