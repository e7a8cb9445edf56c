//! The database loses data: what nodes know comes back, and nobody is signed out.

use super::*;
use crate::{
    policy::TimeoutOverrides,
    store::{
        ClaimsChange, FoldedTombstones, OverridesChange, RefreshState, Rotated, SessionStore as _,
        TouchOutcome,
        node::{Change, LossSign},
    },
};

const TABLES: [&str; 8] = [
    "tss_sessions",
    "tss_revocations",
    "tss_folded_tombstones",
    "tss_claims_changes",
    "tss_claims_number",
    "tss_account_policies",
    "tss_changes",
    "tss_change_seq",
];

impl TestDatabase {
    /// Copies the rows of every table.
    async fn copy_rows(&self) {
        for table in TABLES {
            self.run(&format!("CREATE TABLE old_{table} AS SELECT * FROM {table}")).await;
        }
    }

    /// Puts the rows back that were copied, and removes all others.
    async fn restore_rows(&self) {
        for table in TABLES {
            self.run(&format!("DELETE FROM {table}")).await;
            self.run(&format!("INSERT INTO {table} SELECT * FROM old_{table}")).await;
        }
    }

    /// Makes the tables anew, empty.
    async fn make_anew(&self) {
        let all = ["tss_tickets", "tss_audit", "tss_activity", "tss_schema"];
        for table in TABLES.iter().chain(&all) {
            self.run(&format!("DROP TABLE {table}")).await;
        }
        self.node(&clock()).await;
    }
}

fn account() -> StoreKey {
    scopes().account.expect("it exists")
}

fn overrides() -> TimeoutOverrides {
    TimeoutOverrides { idle: None, absolute: Some(DAY) }
}

/// A session of another user, which has no record here.
fn bob() -> Scopes {
    Scopes::new(None, None, "bob")
}

/// Changes everything that is written back. Returns the number of the claims.
pub(super) async fn change_everything(node: &SqlStore) -> Timestamp {
    begin(node, "active").await;
    begin(node, "ended").await;
    let old = TimeoutOverrides::default();
    let change = OverridesChange { account: account(), old, new: overrides(), audit: audit("new") };
    assert!(node.set_overrides(change).await.expect("the policy is changed"));
    let scope = Scope::Account(account());
    let change = ClaimsChange::new(scope, NOW, NOW + DAY, audit("claims"));
    let number = node.change_claims(change).await.expect("the store answers");
    let scope = Scope::User(bob().user);
    let cutoff = RevocationCutoff::new(NOW, NOW + DAY);
    let all = BulkRevocation::new(scope, NOW, cutoff, audit("bulk"));
    node.revoke_all(all).await.expect("they end");
    let ended = tombstone(key("ended"), NOW + DAY);
    node.write_tombstone(ended).await.expect("it ends");
    node.write_tombstone(tombstone(key("also ended"), NOW + DAY)).await.expect("it ends");
    node.0.sync().await.expect("the store answers");
    number
}

/// Asserts that `node` knows all of it.
pub(super) async fn knows_everything(node: &SqlStore, number: Timestamp) {
    for sid in ["ended", "also ended"] {
        let touched = node.touch(keys(sid), touch(NOW)).await.expect("the store answers");
        assert_eq!(touched, TouchOutcome::Ended, "{sid}");
    }
    let touched = node.touch(keys("active"), touch(NOW)).await.expect("the store answers");
    assert!(matches!(touched, TouchOutcome::Active(_)), "{touched:?}");
    let revocations = node.revocations().expect("it has them");
    assert!(revocations.revoked_by(key("bob's"), NOW, bob).is_some(), "the cutoff");
    let policies = node.account_policies().expect("it has them");
    assert_eq!(policies.overrides(|| Some(account())), Some(overrides()));
    let claims = node.claims_changes().expect("it has them");
    assert_eq!(claims.number_of(&scopes()), Some(number));
}

/// A node that reads only when it is told to.
async fn quiet_node(database: &TestDatabase, clock: &ManualClock) -> SqlStore {
    let node = database.node(clock).await;
    node.0.task.get().expect("it exists").abort();
    node
}

#[tokio::test]
async fn p22_an_older_copy_that_is_restored_gets_back_what_a_node_knows() {
    for database in TestDatabase::all().await {
        let (one, other) =
            (quiet_node(&database, &clock()).await, quiet_node(&database, &clock()).await);
        begin(&one, "before").await;
        database.copy_rows().await;
        let number = change_everything(&one).await;
        other.0.sync().await.expect("the store answers");
        database.restore_rows().await;
        other.0.sync().await.expect("the store answers");
        knows_everything(&other, number).await;
        knows_everything(&database.node(&clock()).await, number).await;
        one.0.sync().await.expect("the store answers");
        knows_everything(&one, number).await;
        database.remove().await;
    }
}

#[tokio::test]
async fn p22_lost_changes_whose_numbers_others_have_taken_come_back() {
    for database in TestDatabase::all().await {
        let one = quiet_node(&database, &clock()).await;
        begin(&one, "before").await;
        database.copy_rows().await;
        let number = change_everything(&one).await;
        database.restore_rows().await;
        // As many changes as were lost, and more.
        let late = quiet_node(&database, &clock()).await;
        for sid in ["t", "u", "v", "w", "x", "y", "z"] {
            let user = Some(StoreKey::user(None, None, sid));
            let tombstone = Tombstone { user, ..tombstone(key(sid), NOW + DAY) };
            late.write_tombstone(tombstone).await.expect("it ends");
        }
        one.0.sync().await.expect("the store answers");
        late.0.sync().await.expect("the store answers");
        for node in [&one, &late, &database.node(&clock()).await] {
            knows_everything(node, number).await;
            let touched = node.touch(keys("z"), touch(NOW)).await.expect("the store answers");
            assert_eq!(touched, TouchOutcome::Ended);
        }
        database.remove().await;
    }
}

#[tokio::test]
async fn p22_tables_that_were_made_anew_get_back_what_a_node_knows() {
    for database in TestDatabase::all().await {
        let one = quiet_node(&database, &clock()).await;
        let number = change_everything(&one).await;
        database.make_anew().await;
        one.0.sync().await.expect("the store answers");
        knows_everything(&database.node(&clock()).await, number).await;
        let change = ClaimsChange::new(Scope::Account(account()), NOW, NOW + DAY, audit("claims"));
        let next = one.change_claims(change).await.expect("the store answers");
        assert!(number < next, "numbers go on from the latest");
        database.remove().await;
    }
}

#[tokio::test]
async fn p22_an_exempt_session_is_exempt_after_a_loss() {
    for database in TestDatabase::all().await {
        let one = quiet_node(&database, &clock()).await;
        begin(&one, "exempt").await;
        one.revoke_all(of_user(Exempt::Sessions(vec![key("exempt")]))).await.expect("they end");
        database.make_anew().await;
        one.0.sync().await.expect("the store answers");
        let late = database.node(&clock()).await;
        let revocations = late.revocations().expect("it has them");
        assert_eq!(revocations.revoked_by(key("exempt"), NOW, scopes), None);
        assert!(revocations.revoked_by(key("another"), NOW, scopes).is_some());
        let touched = late.touch(keys("exempt"), touch(NOW)).await.expect("the store answers");
        assert!(matches!(touched, TouchOutcome::Active(_)), "{touched:?}");
        database.remove().await;
    }
}

#[tokio::test]
async fn p23_refreshes_fail_on_every_node_for_two_intervals_after_a_loss() {
    for database in TestDatabase::all().await {
        let clock = clock();
        let (one, other) =
            (quiet_node(&database, &clock).await, quiet_node(&database, &clock).await);
        begin(&one, "before").await;
        database.copy_rows().await;
        change_everything(&one).await;
        database.restore_rows().await;
        one.0.sync().await.expect("the store answers");
        // The other one has read nothing of what was lost.
        other.0.sync().await.expect("the store answers");
        for node in [&one, &other] {
            let failed = node.refresh_state(query("before")).await;
            failed.expect_err("the database has lost data");
            let failed = node.rotate(rotation("before", 0, "first")).await;
            failed.expect_err("the database has lost data");
        }
        clock.advance(2 * SYNC);
        let state = one.refresh_state(query("before")).await.expect("the store answers");
        assert!(matches!(state, RefreshState::Known(_)), "{state:?}");
        let rotated = other.rotate(rotation("before", 0, "first")).await;
        assert_eq!(rotated.expect("the store answers"), Rotated::Done);
        database.remove().await;
    }
}

#[tokio::test]
async fn p23_activity_that_is_lost_signs_nobody_out() {
    for database in TestDatabase::all().await {
        let clock = clock();
        let (one, other) =
            (quiet_node(&database, &clock).await, quiet_node(&database, &clock).await);
        begin(&one, "s").await;
        database.copy_rows().await;
        // The user is active on one node all the time.
        for _ in 0..3 {
            clock.advance(IDLE / 2);
            one.touch(keys("s"), touch(clock.now())).await.expect("the store answers");
        }
        one.write_tombstone(tombstone(key("t"), NOW + DAY)).await.expect("it ends");
        one.flush().await.expect("the activity is written");
        one.0.sync().await.expect("the store answers");
        database.restore_rows().await;
        one.0.sync().await.expect("the store answers");
        other.0.sync().await.expect("the store answers");
        let mut touch = touch(clock.now());
        // What a token of this age tells.
        touch.unknown_activity = clock.now();
        for node in [&other, &one, &database.node(&clock).await] {
            let touched = node.touch(keys("s"), touch).await.expect("the store answers");
            assert!(matches!(touched, TouchOutcome::Active(_)), "{touched:?}");
        }
        database.remove().await;
    }
}

/// As after a failover: activity may be lost, and a sign-in alone, whose session is not folded then.
#[tokio::test]
async fn p33_a_loss_that_is_suspected_counts_at_once_and_on_nodes_that_start_later() {
    for database in TestDatabase::all().await {
        let one = quiet_node(&database, &clock()).await;
        one.0.note_loss(LossSign::Suspected);
        one.0.sync().await.expect("the store answers");
        assert_eq!(one.0.loss_sign(), None, "nothing is missing");
        for node in [&one, &database.node(&clock()).await] {
            let lost = node.0.node_cache.lost_activity();
            assert_eq!(lost.last_activity(NOW - IDLE, NOW), NOW);
            assert_eq!(node.0.latest_lost_epoch(), NOW + Duration::from_secs(10));
        }
        database.remove().await;
    }
}

/// Whatever tells it; a tombstone that stands for less long is missing, too.
#[tokio::test]
async fn p22_a_suspected_loss_is_one_if_something_is_missing() {
    for lost in
        ["DELETE FROM tss_sessions", "UPDATE tss_sessions SET ended_until = ended_until - 1"]
    {
        for database in TestDatabase::all().await {
            let (one, other) =
                (quiet_node(&database, &clock()).await, quiet_node(&database, &clock()).await);
            one.write_tombstone(tombstone(key("ended"), NOW + DAY)).await.expect("it ends");
            database.run(lost).await;
            one.0.note_loss(LossSign::Suspected);
            for node in [&one, &other] {
                node.0.sync().await.expect("the store answers");
                node.refresh_state(query("s")).await.expect_err("an exchange may be lost");
            }
            let sql = "SELECT ended_until FROM tss_sessions";
            let rows = one.0.database.fetch(sql, Args::new()).await.map_err(StoreError::from);
            let until = rows.expect("the store answers")[0].time(0).map_err(StoreError::from);
            assert_eq!(until.expect("it is an instant"), NOW + DAY);
            database.remove().await;
        }
    }
}

/// What has expired may have been removed.
#[tokio::test]
async fn p22_what_has_expired_is_no_loss() {
    for database in TestDatabase::all().await {
        let node = quiet_node(&database, &clock()).await;
        let changes = |until| {
            let folded = FoldedTombstones::new(NOW, NOW, NOW, until);
            [
                Change::Exempt { session: key("exempt"), at: NOW, until },
                Change::Cutoff { scope: scopes().user, cutoff: RevocationCutoff::new(NOW, until) },
                Change::Folded { user: scopes().user, folded },
                Change::Claims { scope: scopes().user, number: NOW, until },
                Change::Revoked { session: key("s"), user: Some(scopes().user), until },
            ]
        };
        for (until, is_missing) in [(NOW, false), (NOW + Duration::from_millis(1), true)] {
            for change in changes(until) {
                let found = node.0.write_changes_back(&[change], NOW).await;
                assert_eq!(found.expect("the store answers"), is_missing, "{change:?}");
            }
        }
        database.remove().await;
    }
}

#[tokio::test]
async fn p22_tables_that_were_just_made_are_a_first_start() {
    for database in TestDatabase::all().await {
        let node = database.node(&clock()).await;
        begin(&node, "s").await;
        node.refresh_state(query("s")).await.expect("nothing was lost");
        database.remove().await;
    }
}

#[tokio::test]
async fn p20_the_latest_policy_of_an_account_counts_after_a_loss() {
    for database in TestDatabase::all().await {
        let one = quiet_node(&database, &clock()).await;
        let idle = |secs| TimeoutOverrides::new().idle(Duration::from_secs(secs));
        let change = |old, new| OverridesChange::new(account(), old, new, audit("policy"));
        let default = TimeoutOverrides::default();
        database.copy_rows().await;
        assert!(one.set_overrides(change(default, idle(900))).await.expect("the store answers"));
        assert!(one.set_overrides(change(idle(900), idle(800))).await.expect("the store answers"));
        database.restore_rows().await;
        // Before the first has found the loss.
        let other = quiet_node(&database, &clock()).await;
        assert!(other.set_overrides(change(default, idle(60))).await.expect("the store answers"));
        for node in [&one, &other, &one] {
            node.0.sync().await.expect("the store answers");
        }
        for node in [&one, &other] {
            let policies = node.account_policies().expect("it has them");
            assert_eq!(policies.overrides(|| Some(account())), Some(idle(60)));
            assert_eq!(node.overrides(account()).await.expect("the store answers"), idle(60));
        }
    }
}
