//! Several nodes on one database.

use super::*;
use crate::{
    policy::TimeoutOverrides,
    store::{
        ListQuery, OpenTicket, OverridesChange, RefreshState, Rotated, SessionStore as _,
        StoredSession, TicketUse, TouchOutcome,
    },
};

/// How long a test waits for the background task.
const PATIENCE: Duration = Duration::from_secs(20);

async fn wait_until(mut is_applied: impl FnMut() -> bool) {
    let wait_until = async {
        while !is_applied() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait_until).await.expect("the other node applies the changes");
}

#[tokio::test]
async fn p23_a_node_applies_revocations_within_the_sync_interval() {
    for database in TestDatabase::all().await {
        let (clock, other_clock) = (clock(), clock());
        let store = database.node(&clock).await;
        let other = database.node(&other_clock).await;
        for sid in ["s", "exempt_until"] {
            begin(&store, sid).await;
            let touched = other.touch(keys(sid), touch(NOW)).await.expect("the store answers");
            assert_eq!(touched, TouchOutcome::Active(Some(NOW)));
        }
        store
            .revoke(tombstone(key("s"), NOW + DAY), audit("session_revoked"))
            .await
            .expect("the session is revoked");
        let exempt = Exempt::Sessions(vec![key("exempt_until")]);
        store.revoke_all(of_user(exempt)).await.expect("the sessions are revoked");
        let account = scopes().account.expect("it exists");
        let new = TimeoutOverrides { idle: Some(IDLE), absolute: None };
        let change = OverridesChange {
            account,
            old: TimeoutOverrides::default(),
            new,
            audit: audit("changed"),
        };
        assert!(store.set_overrides(change).await.expect("the policy is changed"));
        let own = store.account_policies().expect("the store supports account policies");
        assert_eq!(own.overrides(|| Some(account)), Some(new), "effective at once on its own node");
        assert_eq!(store.get(keys("s")).await.expect("the store answers"), StoredSession::Ended);

        let revocations = other.revocations().expect("the store supports bulk revocation");
        let policies = other.account_policies().expect("the store supports account policies");
        assert_eq!(revocations.cutoff_of(&scopes().user), None);
        assert_eq!(
            other.get(keys("s")).await.expect("the store answers"),
            StoredSession::Active(NOW)
        );
        other_clock.advance(SYNC);
        wait_until(|| policies.overrides(|| Some(account)).is_some()).await;
        assert_eq!(revocations.cutoff_of(&scopes().user), Some(NOW));
        assert!(revocations.revoked_by(key("s"), NOW, scopes).is_some());
        assert!(revocations.revoked_by(key("exempt_until"), NOW, scopes).is_none());
        let touched = other.touch(keys("s"), touch(NOW)).await.expect("the store answers");
        assert_eq!(touched, TouchOutcome::Ended);
        // A node that starts later reads the same.
        let late = database.node(&clock).await;
        let revocations = late.revocations().expect("it exists");
        assert!(revocations.revoked_by(key("s"), NOW, scopes).is_some());
        assert!(revocations.revoked_by(key("exempt_until"), NOW, scopes).is_none());
        let policies = late.account_policies().expect("the store supports account policies");
        assert_eq!(policies.overrides(|| Some(account)), Some(new));
        database.remove().await;
    }
}

#[tokio::test]
async fn a_node_that_missed_removed_changes_reads_everything() {
    for database in TestDatabase::all().await {
        let (clock, other_clock) = (clock(), clock());
        let store = database.node(&clock).await;
        begin(&store, "s").await;
        let other = database.node(&other_clock).await;
        other.touch(keys("s"), touch(NOW)).await.expect("the store answers");
        store.write_tombstone(tombstone(key("s"), NOW + DAY)).await.expect("the task completes");
        store.revoke_all(of_user(Exempt::None)).await.expect("the sessions are revoked");
        store.0.clean(NOW + Duration::from_secs(3601)).await.expect("the cleanup succeeds");
        other.0.sync().await.expect("the node syncs");
        let revocations = other.revocations().expect("it exists");
        assert_eq!(revocations.cutoff_of(&scopes().user), Some(NOW));
        assert_eq!(other.get(keys("s")).await.expect("the store answers"), StoredSession::Ended);
        database.remove().await;
    }
}

#[tokio::test]
async fn p06_one_of_two_nodes_consumes_a_token() {
    for database in TestDatabase::all().await {
        let nodes = [database.node(&clock()).await, database.node(&clock()).await];
        begin(&nodes[0], "s").await;
        for round in 0..20 {
            let race = nodes.iter().enumerate().map(|(id, node)| {
                tokio::spawn(node.rotate(rotation("s", round, &format!("{round} {id}"))))
            });
            let mut done = 0;
            for rotated in race.collect::<Vec<_>>() {
                let rotated =
                    rotated.await.expect("the task completes").expect("the store answers");
                done += u32::from(rotated == Rotated::Done);
            }
            assert_eq!(done, 1);
        }
        database.remove().await;
    }
}

#[tokio::test]
async fn p05_a_refresh_concurrent_with_a_revocation_is_before_it_or_refused() {
    for database in TestDatabase::all().await {
        let nodes = [database.node(&clock()).await, database.node(&clock()).await];
        for round in 0..20 {
            let sid = format!("s{round}");
            let epoch = begin(&nodes[0], &sid).await;
            let query = RefreshQuery { epoch, ..query(&sid) };
            let rotation = |generation| Rotation { query, ..rotation(&sid, generation, "next") };
            let rotated = tokio::spawn(nodes[0].rotate(rotation(0)));
            let revoked = match round % 2 {
                0 => {
                    nodes[1].revoke(tombstone(key(&sid), NOW + DAY), audit("session_revoked")).await
                }
                _ => nodes[1].revoke_all(of_user(Exempt::None)).await.map(|count| count == 1),
            };
            assert!(revoked.expect("the store answers"));
            let rotated = rotated.await.expect("the task completes").expect("the store answers");
            let refused = Rotated::Refused(RefreshState::Revoked);
            assert!(rotated == Rotated::Done || rotated == refused);
            let state = nodes[1].refresh_state(query).await.expect("the store answers");
            assert_eq!(state, RefreshState::Revoked);
            let late = nodes[0].rotate(rotation(1)).await;
            assert_eq!(late.expect("the store answers"), refused);
            assert_eq!(nodes[0].session(key(&sid), NOW).await.expect("the store answers"), None);
        }
        database.remove().await;
    }
}

#[tokio::test]
async fn p40_of_concurrent_sign_outs_of_a_session_one_is_audited() {
    for database in TestDatabase::all().await {
        let nodes = [database.node(&clock()).await, database.node(&clock()).await];
        for round in 0..10 {
            let sid = format!("s{round}");
            begin(&nodes[0], &sid).await;
            // Each is kept for longer than the one before, so none changes nothing.
            let ended = nodes.iter().cycle().zip(0..6).map(|(node, number)| {
                let until = NOW + DAY + Duration::from_millis(number);
                let tombstone = tombstone(key(&sid), until);
                tokio::spawn(node.revoke(tombstone, audit("session_ended")))
            });
            let mut first = 0;
            for ended in ended.collect::<Vec<_>>() {
                let is_first = ended.await.expect("the task completes").expect("it has ended");
                first += u32::from(is_first);
            }
            assert_eq!(first, 1, "{sid}");
        }
        let scope = Scope::User(scopes().user);
        let page = nodes[0].audit_log(scope, ListQuery::first(100)).await;
        let items = page.expect("the store answers").items;
        let ended = items.iter().filter(|record| record.event.name() == "session_ended");
        assert_eq!(ended.count(), 10);
        database.remove().await;
    }
}

#[tokio::test]
async fn p29_a_session_that_begins_during_a_bulk_revocation_is_counted_or_active() {
    for database in TestDatabase::all().await {
        let nodes = [database.node(&clock()).await, database.node(&clock()).await];
        let mut ended = 0;
        for round in 0..10 {
            let sids: Vec<_> = (0..4).map(|at| format!("s{round}-{at}")).collect();
            let begun: Vec<_> = (sids.iter())
                .map(|sid| {
                    tokio::spawn(nodes[0].begin(SignIn::new(record(sid), audit("session_started"))))
                })
                .collect();
            let revoked = tokio::spawn(nodes[1].revoke_all(of_user(Exempt::None)));
            for begun in begun {
                begun.await.expect("the task completes").expect("the session begins");
            }
            ended += revoked.await.expect("the task completes").expect("the sessions are revoked");
        }
        let live = nodes[0].revoke_all(of_user(Exempt::None)).await;
        assert_eq!(ended + live.expect("the sessions are revoked"), 40);
        database.remove().await;
    }
}

#[tokio::test]
async fn concurrent_migrations_run_once() {
    for database in TestDatabase::all().await {
        let clock = clock();
        let nodes = [
            database.unmigrated_node(&clock).await,
            database.unmigrated_node(&clock).await,
            database.unmigrated_node(&clock).await,
        ];
        let race = nodes.clone().map(|node| tokio::spawn(async move { node.migrate().await }));
        for migrated in race {
            migrated.await.expect("the task completes").expect("the migration succeeds");
        }
        begin(&nodes[0], "s").await;
        nodes[1].migrate().await.expect("the schema is up to date");
        let found = nodes[2].session(key("s"), NOW).await.expect("the store answers");
        assert_eq!(found, Some(record("s")));
        database.remove().await;
    }
}

#[tokio::test]
async fn p38_one_of_two_nodes_uses_a_ticket_and_a_restart_opens_none() {
    for database in TestDatabase::all().await {
        let nodes = [database.node(&clock()).await, database.node(&clock()).await];
        let user = scopes().user;
        for name in ["first", "second", "third"] {
            let until = NOW + Duration::from_secs(30);
            let ticket = OpenTicket::new(key(name), key("s"), user, NOW, until);
            nodes[0].open_ticket(ticket).await.expect("the store answers");
        }
        let use_of = |name| TicketUse::new(key(name), user, NOW);
        for name in ["first", "second"] {
            let answers =
                (0..100).map(|number| tokio::spawn(nodes[number % 2].use_ticket(use_of(name))));
            let mut closed = 0;
            for was_open in answers.collect::<Vec<_>>() {
                let was_open = was_open.await.expect("the task completes");
                closed += u32::from(was_open.expect("the store answers"));
            }
            assert_eq!(closed, 1);
        }
        drop(nodes);
        let restarted = database.node(&clock()).await;
        for (name, expected) in [("first", false), ("third", true), ("third", false)] {
            let was_open = restarted.use_ticket(use_of(name)).await.expect("the store answers");
            assert_eq!(was_open, expected, "{name}");
        }
        restarted.0.clean(NOW + DAY).await.expect("the store answers");
        drop(restarted);
        database.remove().await;
    }
}

/// Transactions that open a ticket at the same time do not see each other's, and leave more rows.
#[tokio::test]
async fn p38_of_more_tickets_than_32_the_newest_are_open() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let until = NOW + Duration::from_secs(30);
        for number in 0..34 {
            let sql = "INSERT INTO tss_tickets (ticket, session, until) VALUES ($1, $2, $3)";
            let args = Args::new().key(key(&number.to_string())).key(key("s")).time(until);
            store.0.database.execute(sql, args).await.map_err(StoreError::from).expect("a row");
        }
        for (name, expected) in [("0", false), ("1", false), ("2", true), ("33", true)] {
            let used = TicketUse::new(key(name), scopes().user, NOW);
            let was_open = store.use_ticket(used).await.expect("the store answers");
            assert_eq!(was_open, expected, "{name} {store:?}");
        }
        database.remove().await;
    }
}

#[tokio::test]
async fn p31_a_session_has_rows_for_32_tickets() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let until = NOW + Duration::from_secs(30);
        for number in 0..100 {
            let ticket = key(&number.to_string());
            let ticket = OpenTicket::new(ticket, key("s"), scopes().user, NOW, until);
            store.open_ticket(ticket).await.expect("the store answers");
        }
        let sql = "SELECT COUNT(*) FROM tss_tickets";
        let rows = store.0.database.fetch(sql, Args::new()).await.map_err(StoreError::from);
        let count = rows.expect("the store answers")[0].int(0).map_err(StoreError::from);
        assert_eq!(count.expect("a number"), 32, "{store:?}");
        database.remove().await;
    }
}
