//! A standby is promoted that lacks the last writes of its primary.

use super::{
    data_loss::{change_everything, knows_everything},
    failover::connect,
    postgres_server::Server,
    primary_address::PrimaryAddress,
    *,
};
use crate::store::{RefreshState, SessionStore as _, TouchOutcome};

/// Longer than a busy machine takes for anything.
const BOUND: Duration = Duration::from_secs(30);

/// Whether the database of `url` has the table, of a migration that was replicated.
async fn has_sessions(url: &str) -> bool {
    let connection = sqlx::postgres::PgPool::connect(url).await.expect("the standby can be read");
    let sql = "SELECT to_regclass('tss_sessions') IS NOT NULL";
    sqlx::query_scalar(sql).fetch_one(&connection).await.expect("it answers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p22_a_promoted_standby_that_lacks_changes_gets_back_what_a_node_knows() {
    let mut primary = Server::start();
    let clock = clock();
    let direct = connect(primary.url.clone(), &clock).await;
    direct.migrate().await.expect("the migration succeeds");
    begin(&direct, "before").await;
    let network = PrimaryAddress::new(&primary.url).await;
    let of_network = network.url();
    let standby = tokio::task::spawn_blocking(move || Server::start_standby(&of_network));
    let mut standby = standby.await.expect("the standby starts");
    let is_replicated = async {
        while !has_sessions(&standby.url).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, is_replicated).await.expect("the standby replicates");
    let address = PrimaryAddress::new(&primary.url).await;
    let one = connect(address.url(), &clock).await;
    let other = connect(address.url(), &clock).await;
    for node in [&one, &other] {
        node.0.sync().await.expect("the store answers");
    }

    network.silence();
    let number = change_everything(&one).await;
    // One user is active all the time, on one node.
    for _ in 0..3 {
        clock.advance(IDLE / 2);
        one.touch(keys("before"), super::touch(clock.now())).await.expect("the store answers");
    }
    one.flush().await.expect("the activity is written");
    primary.kill();
    // A node that finds the standby before it is promoted believes nothing of it.
    address.lead_to(&standby.url);
    for node in [&one, &other] {
        node.0.database.recovered().await;
        node.0.sync().await.expect_err("the server is in recovery");
    }
    standby.promote();
    for node in [&one, &other] {
        let has_found = async {
            while node.0.sync().await.is_err() {
                node.0.database.recovered().await;
            }
        };
        tokio::time::timeout(BOUND, has_found).await.expect("the node finds the new primary");
        node.refresh_state(query("before")).await.expect_err("the database has lost data");
    }
    clock.advance(2 * SYNC);
    let mut touch = touch(clock.now());
    // What a token of this age tells.
    touch.unknown_activity = clock.now();
    for node in [&one, &other, &connect(address.url(), &clock).await] {
        node.0.sync().await.expect("the store answers");
        knows_everything(node, number).await;
        let touched = node.touch(keys("before"), touch).await.expect("the store answers");
        assert!(matches!(touched, TouchOutcome::Active(_)), "{touched:?}");
        let state = node.refresh_state(query("before")).await.expect("the store answers");
        assert!(matches!(state, RefreshState::Known(_)), "{state:?}");
    }
}
