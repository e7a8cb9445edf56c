//! What a node does by itself after a reading of the feed, and what it finds by looking at its servers.

use super::{nodes::*, *};
use crate::{
    clock::{Clock as _, ManualClock},
    store::{LifecycleStore as _, node::LossSign},
};

/// Removes all keys of another database: a sign of a loss, of which nothing is missing.
fn flush_another_database(server: &RedisServer) {
    server.command(&["-n", "1", "FLUSHDB"]);
}

/// What a node has to repair.
#[derive(Clone, Copy, Debug)]
enum Due {
    Suspicion,
    AuditRow,
    Exchanges,
    Assertion,
    Look,
}

impl Due {
    fn cause(self, node: &Inner, clock: &ManualClock) {
        match self {
            Self::Suspicion => node.note_loss(LossSign::Suspected),
            Self::AuditRow => {
                let row = node.audit_row(&audit("session_ended"));
                node.late_rows.add(row.expect("it keeps a log"));
            }
            Self::Exchanges => node.held_exchanges.compare_all(),
            Self::Assertion => clock.advance(Duration::from_secs(30)),
            Self::Look => node.servers.look_soon(),
        }
    }

    fn is_done(self, node: &Inner) -> bool {
        match self {
            Self::Suspicion => node.loss_sign().is_none(),
            Self::AuditRow => node.late_rows.is_empty(),
            Self::Exchanges => !node.held_exchanges.are_due(),
            Self::Assertion => !node.assertions.are_due(node.clock.now()),
            Self::Look => !node.servers.look_is_due(),
        }
    }
}

#[tokio::test]
async fn p22_what_is_to_be_repaired_is_repaired_after_the_next_reading() {
    for due in [Due::Suspicion, Due::AuditRow, Due::Exchanges, Due::Assertion, Due::Look] {
        let server = RedisServer::start();
        let clock = ManualClock::new(NOW);
        let store = RedisStore::at(server.url()).time_limit(BOUND).clock(clock.clone());
        let one = store.audit_log(true).connect().await.expect("the server accepts connections");
        let record = begin(&one, "s").await;
        let ended = Tombstone::new(record.key, NOW, NOW + DAY).of_user(record.scopes.user, None);
        one.revoke(ended, audit("session_ended")).await.expect("it ends");
        due.cause(&one.0, &clock);
        one.0.sync_now().await.expect("the server answers");
        let done = async {
            while !due.is_done(&one.0) {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(BOUND, done).await.is_ok(), "{due:?}");
    }
}

/// While a session may have lost its record, nothing is folded that reaches as far.
#[tokio::test]
async fn p33_a_loss_that_is_found_by_looking_is_announced() {
    let server = RedisServer::start();
    let one = node(&server).await;
    flush_another_database(&server);
    one.0.servers.look_soon();
    one.0.repair().await.expect("the server answers");
    assert_eq!(one.0.loss_sign(), None, "nothing is missing");
    assert_eq!(node(&server).await.0.latest_lost_epoch(), NOW + Duration::from_secs(10));
}

/// The reading that tells others of it may be late.
#[tokio::test]
async fn p23_activity_may_be_lost_as_soon_as_a_loss_is_found() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let lost = || one.0.node_cache.lost_activity().last_activity(NOW - IDLE, NOW);
    assert_eq!(lost(), NOW - IDLE);
    flush_another_database(&server);
    one.0.look_at_servers().await;
    assert_eq!(lost(), NOW);
}

/// A node that starts would wait for it.
#[tokio::test]
async fn p23_nothing_is_kept_of_a_node_that_has_written_back() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let kept = || server.command(&["HLEN", "tss:{g}:c"]);
    let before = kept();
    one.0.begin_write_back().await.expect("the server answers");
    assert_ne!(kept(), before);
    one.0.end_write_back().await.expect("the server answers");
    assert_eq!(kept(), before);
}
