//! Many tombstones of one user become one, on every node and after a restart.

use super::*;
#[cfg(feature = "postgres")]
use crate::store::sql::locks::Lock;
use crate::store::{
    RefreshState, SessionStore as _, StoredSession, TouchOutcome,
    node::LossSign,
    tombstone::{MAX_PER_USER, MAX_UNFOLDED},
};

/// A session that begins after that many milliseconds.
fn record_at(millis: u64) -> SessionRecord {
    let at = NOW + Duration::from_millis(millis);
    let sid = millis.to_string();
    SessionRecord { auth_time: at, epoch: at, last_seen: at, ..record(&sid) }
}

async fn begin_at(store: &SqlStore, millis: u64) -> SessionRecord {
    let record = record_at(millis);
    let begun = store.begin(SignIn::new(record.clone(), audit("session_started"))).await;
    assert_eq!(begun.expect("the store answers").begun().map(|it| it.epoch), Some(record.epoch));
    record
}

async fn end(store: &SqlStore, record: &SessionRecord) {
    let tombstone = Tombstone::new(record.key, NOW, NOW + DAY);
    let tombstone = tombstone.of_user(record.scopes.user, Some(record.epoch));
    let was_active = store.revoke(tombstone, audit("session_ended")).await;
    assert!(was_active.expect("the store answers"), "{}", record.sid);
}

/// One active session, and the ended ones around it.
async fn folded(store: &SqlStore) -> (SessionRecord, Vec<SessionRecord>) {
    let (mut kept, mut ended) = (None, Vec::new());
    for millis in 0..=MAX_PER_USER as u64 + 1 {
        let record = begin_at(store, millis).await;
        if millis == 10 {
            kept = Some(record);
        } else {
            end(store, &record).await;
            ended.push(record);
        }
    }
    (kept.expect("it began"), ended)
}

fn query_of(record: &SessionRecord) -> RefreshQuery {
    RefreshQuery::new(record.key, record.epoch, record.scopes)
}

fn is_revoked(store: &SqlStore, record: &SessionRecord) -> bool {
    let revocations = store.revocations().expect("the store supports bulk revocation");
    revocations.revoked_by(record.key, record.epoch, || record.scopes).is_some()
}

async fn count(store: &SqlStore, sql: &'static str) -> u64 {
    let rows = store.0.database.fetch(sql, Args::new()).await.map_err(StoreError::from);
    let rows = rows.expect("the database answers");
    rows[0].count(0).map_err(StoreError::from).expect("a count")
}

const TOMBSTONES: &str = "SELECT COUNT(*) FROM tss_sessions WHERE ended_until IS NOT NULL";

#[tokio::test]
async fn p31_the_tombstones_of_a_user_take_one_row() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let (kept, ended) = folded(&store).await;
        assert_eq!(count(&store, "SELECT COUNT(*) FROM tss_folded_tombstones").await, 1);
        // Kept for nodes that have not read of it, and not much longer.
        let tombstones = count(&store, TOMBSTONES).await;
        assert_eq!(tombstones, ended.len() as u64);
        store.0.clean(NOW + 3 * SYNC + GRACE).await.expect("it cleans");
        assert_eq!(count(&store, TOMBSTONES).await, ended.len() as u64);
        let late = NOW + 3 * SYNC + GRACE + Duration::from_millis(1);
        store.0.clean(late).await.expect("it cleans");
        assert_eq!(count(&store, TOMBSTONES).await, 0);
        for record in &ended {
            assert!(is_revoked(&store, record), "{}", record.sid);
            let state = store.refresh_state(query_of(record)).await.expect("the store answers");
            assert_eq!(state, RefreshState::Revoked, "{}", record.sid);
            assert!(!store.0.node_cache.is_tombstone(&record.key), "{}", record.sid);
        }
        assert!(!is_revoked(&store, &kept));
        // What was folded is kept as long as the tombstones would have been.
        let end = NOW + DAY + GRACE;
        store.0.clean(end).await.expect("it cleans");
        assert_eq!(count(&store, "SELECT COUNT(*) FROM tss_folded_tombstones").await, 1);
        store.0.clean(end + Duration::from_millis(1)).await.expect("it cleans");
        assert_eq!(count(&store, "SELECT COUNT(*) FROM tss_folded_tombstones").await, 0);
        database.remove().await;
    }
}

#[tokio::test]
async fn p22_other_nodes_and_later_ones_reject_what_was_folded() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let other = database.node(&clock()).await;
        let (kept, ended) = folded(&store).await;
        // It has not read of anything yet: the rows are still there.
        for record in &ended {
            let touched = other.touch(record.keys(), touch(NOW)).await.expect("the store answers");
            assert_eq!(touched, TouchOutcome::Ended, "{}", record.sid);
        }
        other.0.sync().await.expect("the node syncs");
        store.0.clean(NOW + DAY / 2).await.expect("it cleans");
        let late = database.node(&clock()).await;
        for node in [&other, &late] {
            for record in &ended {
                assert!(is_revoked(node, record), "{}", record.sid);
                assert!(!node.0.node_cache.is_tombstone(&record.key), "{}", record.sid);
            }
            assert!(!is_revoked(node, &kept));
            let stored = node.get(kept.keys()).await.expect("the store answers");
            assert_eq!(stored, StoredSession::Active(kept.last_seen));
            let found = node.session(kept.key, NOW).await.expect("the store answers");
            assert!(found.is_some(), "it is listed");
        }
        // What was exempt ends on one node, and is folded by another.
        end(&other, &kept).await;
        for millis in 100..=100 + MAX_PER_USER as u64 {
            let record = begin_at(&late, millis).await;
            end(&late, &record).await;
        }
        late.0.clean(NOW + DAY / 2).await.expect("it cleans");
        for node in [&store, &other, &late] {
            node.0.sync().await.expect("the node syncs");
            assert!(is_revoked(node, &kept));
            let state = node.refresh_state(query_of(&kept)).await.expect("the store answers");
            assert_eq!(state, RefreshState::Revoked);
        }
        database.remove().await;
    }
}

#[tokio::test]
async fn p31_nodes_that_end_sessions_at_the_same_time_fold_once() {
    for database in TestDatabase::all().await {
        let nodes = [database.node(&clock()).await, database.node(&clock()).await];
        let mut records = Vec::new();
        for millis in 0..160 {
            records.push(begin_at(&nodes[0], millis).await);
        }
        let (kept, ended): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|it| it.epoch.as_millis() % 40 == 0);
        let tasks: Vec<_> = (nodes.iter().cloned().enumerate())
            .map(|(task, node)| {
                let own: Vec<_> = ended.iter().skip(task).step_by(2).cloned().collect();
                tokio::spawn(async move {
                    for record in own {
                        end(&node, &record).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("the task completes");
        }
        for node in &nodes {
            node.0.sync().await.expect("the node syncs");
        }
        nodes[0].0.clean(NOW + DAY / 2).await.expect("it cleans");
        for node in &nodes {
            let is_ended = |record: &SessionRecord| {
                is_revoked(node, record) || node.0.node_cache.is_tombstone(&record.key)
            };
            assert!(ended.iter().all(is_ended));
            assert!(!kept.iter().any(is_ended));
        }
        assert!(count(&nodes[0], TOMBSTONES).await <= MAX_PER_USER as u64 + 1);
        database.remove().await;
    }
}

#[tokio::test]
async fn p33_sessions_that_did_not_begin_here_are_not_folded_and_have_a_bound() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let user = scopes().user;
        let foreign = |id: u64| {
            let tombstone = Tombstone::new(key(&format!("foreign {id}")), NOW, NOW + DAY);
            tombstone.of_user(user, Some(NOW + Duration::from_millis(id)))
        };
        for id in 0..MAX_PER_USER as u64 + 3 {
            store.write_tombstone(foreign(id)).await.expect("there is room");
        }
        let revocations = store.revocations().expect("it supports them");
        assert_eq!(revocations.folded_of(&user), None);
        let rows = MAX_UNFOLDED - MAX_PER_USER - 4;
        let values = super::super::value::placeholders(rows, 4);
        let args = (0..rows).fold(Args::new(), |args, id| {
            args.key(key(&format!("more {id}"))).time(NOW + DAY).time(NOW + DAY).key(user)
        });
        let sql = format!(
            "INSERT INTO tss_sessions (key, ended_until, forget_at, user_key) VALUES {values}"
        );
        let done = store.0.database.execute(sql, args).await.map_err(StoreError::from);
        done.expect("the rows are written");
        store.write_tombstone(foreign(1_000)).await.expect("there is room for one more");
        store.write_tombstone(foreign(1_001)).await.expect_err("no more of one user");
        let stored = store
            .get(SessionKeys::new(foreign(1_001).session, user))
            .await
            .expect("the store answers");
        assert_eq!(stored, StoredSession::Unknown, "it has not ended");
        store.write_tombstone(Tombstone { user: None, ..foreign(1_002) }).await.expect("no user");
        end(&store, &begin_at(&store, 5).await).await;
        database.remove().await;
    }
}

#[tokio::test]
async fn p31_a_session_has_ended_whether_or_not_it_is_folded() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        for millis in 0..MAX_PER_USER as u64 {
            end(&store, &begin_at(&store, millis).await).await;
        }
        let last = begin_at(&store, 999).await;
        database.run("ALTER TABLE tss_folded_tombstones RENAME TO tss_gone").await;
        end(&store, &last).await;
        database.run("ALTER TABLE tss_gone RENAME TO tss_folded_tombstones").await;
        let touched = store.touch(last.keys(), touch(NOW)).await.expect("the store answers");
        assert_eq!(touched, TouchOutcome::Ended);
        // The next one folds them.
        assert_eq!(count(&store, "SELECT COUNT(*) FROM tss_folded_tombstones").await, 0);
        end(&store, &begin_at(&store, 1_000).await).await;
        assert_eq!(count(&store, "SELECT COUNT(*) FROM tss_folded_tombstones").await, 1);
        assert!(is_revoked(&store, &last));
        database.remove().await;
    }
}

/// A session whose row is lost, as at a failover, is judged by its token.
#[tokio::test]
async fn p33_a_session_whose_record_is_lost_is_not_folded() {
    lost_record(LossSign::Certain).await;
    // Nothing is missing that a node holds.
    lost_record(LossSign::Suspected).await;
}

async fn lost_record(sign: LossSign) {
    for database in TestDatabase::all().await {
        let (store, other) = (database.node(&clock()).await, database.node(&clock()).await);
        let mut ended = Vec::new();
        for millis in 0..40 {
            ended.push(begin_at(&store, millis).await);
        }
        let lost = ended.remove(20);
        database.run("DELETE FROM tss_sessions WHERE sid = '20'").await;
        store.0.note_loss(sign);
        store.0.sync().await.expect("the node syncs");
        // As late as the clocks may differ; on a node that has started since.
        let late = database.node(&clock()).await;
        for millis in 10_001..10_080 {
            ended.push(begin_at(&store, millis).await);
        }
        for record in &ended {
            end(&late, record).await;
        }
        for node in [&store, &other, &late, &database.node(&clock()).await] {
            node.0.sync().await.expect("the node syncs");
            assert!(!is_revoked(node, &lost));
            let folded = node.0.revocations.folded_of(&lost.scopes.user).expect("it is folded");
            assert!(folded.first > NOW + Duration::from_secs(10));
            for record in &ended {
                let touched = node.touch(record.keys(), touch(NOW)).await.expect("it answers");
                assert!(touched == TouchOutcome::Ended || is_revoked(node, record));
            }
        }
        database.remove().await;
    }
}

/// A fold would not see the record, and would reach over it.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn p33_no_session_is_adopted_during_a_fold() {
    let database = TestDatabase::postgres().await;
    let store = database.node(&clock()).await;
    begin(&store, "recorded").await;
    let limit = store.0.activity_limit();
    let mut tx = store.0.database.begin(NOW, limit).await.map_err(StoreError::from).expect("begun");
    tx.lock(Lock::Alone).await.map_err(StoreError::from).expect("locked");
    let adopting = tokio::spawn(store.rotate(rotation("s", 0, "first")));
    // Others read and refresh meanwhile.
    for generation in 0..20 {
        let refreshed = store.rotate(rotation("recorded", generation, &generation.to_string()));
        refreshed.await.expect("the store answers");
        assert!(!adopting.is_finished(), "it waits");
    }
    tx.commit().await.map_err(StoreError::from).expect("committed");
    adopting.await.expect("the task completes").expect("the store answers");
    database.remove().await;
}
