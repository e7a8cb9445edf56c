//! Several nodes on one database.

use super::*;
use crate::{
    policy::TimeoutOverrides,
    store::{
        OverridesChange, RefreshedSession, Rotated, SessionStore as _, StoredSession, TokenState,
        TouchOutcome,
    },
};

/// How long a test waits for what the background task does.
const PATIENCE: Duration = Duration::from_secs(20);

async fn sync_state(mut is_heard: impl FnMut() -> bool) {
    let sync_state = async {
        while !is_heard() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, sync_state).await.expect("the other node hears of it");
}

#[tokio::test]
async fn p23_a_node_hears_of_revocations_within_the_interval() {
    for home in Home::all().await {
        let (clock, other_clock) = (clock(), clock());
        let store = home.node(&clock).await;
        let other = home.node(&other_clock).await;
        for sid in ["s", "exempt_until"] {
            begin(&store, sid).await;
            let touched = other.touch(key(sid), touch(NOW)).await.expect("the store answers");
            assert_eq!(touched, TouchOutcome::Active(Some(NOW)));
        }
        store.revoke(key("s"), NOW + DAY, audit("session_revoked")).await.expect("it is revoked");
        let exempt = Exempt::Sessions(vec![key("exempt_until")]);
        store.revoke_all(everywhere(exempt)).await.expect("they are revoked");
        let account = scopes().account.expect("there is one");
        let new = TimeoutOverrides { idle: Some(IDLE), absolute: None };
        let change = OverridesChange {
            account,
            old: TimeoutOverrides::default(),
            new,
            audit: audit("changed"),
        };
        assert!(store.set_overrides(change).await.expect("it is changed"));
        let own = store.account_policies().expect("the store supports account policies");
        assert_eq!(own.overrides(|| Some(account)), Some(new), "at once on its own node");
        assert_eq!(store.get(key("s")).await.expect("it answers"), StoredSession::Ended);

        let revocations = other.revocations().expect("the store supports bulk revocation");
        let policies = other.account_policies().expect("the store supports account policies");
        assert_eq!(revocations.cutoff_of(&scopes().user), None);
        assert_eq!(other.get(key("s")).await.expect("it answers"), StoredSession::Active(NOW));
        other_clock.advance(SYNC);
        sync_state(|| policies.overrides(|| Some(account)).is_some()).await;
        assert_eq!(revocations.cutoff_of(&scopes().user), Some(NOW));
        assert!(revocations.revoked_by(key("s"), NOW, scopes).is_some());
        assert!(revocations.revoked_by(key("exempt_until"), NOW, scopes).is_none());
        let touched = other.touch(key("s"), touch(NOW)).await.expect("it answers");
        assert_eq!(touched, TouchOutcome::Ended);
        // A node that comes later reads the same.
        let late = home.node(&clock).await;
        let revocations = late.revocations().expect("there is one");
        assert!(revocations.revoked_by(key("s"), NOW, scopes).is_some());
        assert!(revocations.revoked_by(key("exempt_until"), NOW, scopes).is_none());
        let policies = late.account_policies().expect("the store supports account policies");
        assert_eq!(policies.overrides(|| Some(account)), Some(new));
        home.leave().await;
    }
}

#[tokio::test]
async fn a_node_that_missed_forgotten_news_reads_everything() {
    for home in Home::all().await {
        let (clock, other_clock) = (clock(), clock());
        let store = home.node(&clock).await;
        begin(&store, "s").await;
        let other = home.node(&other_clock).await;
        other.touch(key("s"), touch(NOW)).await.expect("it answers");
        store.write_tombstone(key("s"), NOW + DAY).await.expect("it ends");
        store.revoke_all(everywhere(Exempt::None)).await.expect("they are revoked");
        store.0.clean(NOW + Duration::from_secs(3601)).await.expect("it is cleaned");
        other.0.sync().await.expect("it listens");
        let revocations = other.revocations().expect("there is one");
        assert_eq!(revocations.cutoff_of(&scopes().user), Some(NOW));
        assert_eq!(other.get(key("s")).await.expect("it answers"), StoredSession::Ended);
        home.leave().await;
    }
}

#[tokio::test]
async fn p06_of_two_nodes_one_consumes_a_token() {
    for home in Home::all().await {
        let nodes = [home.node(&clock()).await, home.node(&clock()).await];
        begin(&nodes[0], "s").await;
        for round in 0..20 {
            let jti = format!("r{round}");
            let race = nodes
                .iter()
                .map(|node| tokio::spawn(node.rotate(rotation("s", &jti, &format!("{jti}-next")))));
            let mut done = 0;
            for rotated in race.collect::<Vec<_>>() {
                let rotated = rotated.await.expect("it ends").expect("the store answers");
                done += u32::from(rotated == Rotated::Done);
            }
            assert_eq!(done, 1);
        }
        home.leave().await;
    }
}

#[tokio::test]
async fn p05_a_refresh_beside_a_revocation_comes_before_it_or_not_at_all() {
    for home in Home::all().await {
        let nodes = [home.node(&clock()).await, home.node(&clock()).await];
        for round in 0..20 {
            let sid = format!("s{round}");
            let jti = format!("r{round}");
            let epoch = begin(&nodes[0], &sid).await;
            let query = |jti: &str| RefreshQuery { epoch, ..query(&sid, jti) };
            let rotation =
                |jti: &str| Rotation { query: query(jti), ..rotation(&sid, jti, "next") };
            let rotated = tokio::spawn(nodes[0].rotate(rotation(&jti)));
            let revoked = match round % 2 {
                0 => nodes[1].revoke(key(&sid), NOW + DAY, audit("session_revoked")).await,
                _ => nodes[1].revoke_all(everywhere(Exempt::None)).await.map(|count| count == 1),
            };
            assert!(revoked.expect("the store answers"));
            let rotated = rotated.await.expect("it ends").expect("the store answers");
            let state = nodes[1].refresh_state(query(&jti)).await.expect("it answers");
            assert_eq!(state.session, RefreshedSession::Revoked);
            let is_used = state.token != TokenState::Unused;
            assert_eq!(is_used, rotated == Rotated::Done);
            let late = nodes[0].rotate(rotation(&format!("{jti}-late"))).await;
            assert!(matches!(late.expect("it answers"), Rotated::Refused(_)));
            assert_eq!(nodes[0].session(key(&sid), NOW).await.expect("it answers"), None);
        }
        home.leave().await;
    }
}

#[tokio::test]
async fn p29_a_session_that_begins_beside_a_bulk_revocation_is_counted_or_lives() {
    for home in Home::all().await {
        let nodes = [home.node(&clock()).await, home.node(&clock()).await];
        let mut ended = 0;
        for round in 0..10 {
            let sids: Vec<_> = (0..4).map(|at| format!("s{round}-{at}")).collect();
            let begun: Vec<_> = (sids.iter())
                .map(|sid| tokio::spawn(nodes[0].begin(record(sid), audit("session_started"))))
                .collect();
            let revoked = tokio::spawn(nodes[1].revoke_all(everywhere(Exempt::None)));
            for begun in begun {
                begun.await.expect("it ends").expect("the session begins");
            }
            ended += revoked.await.expect("it ends").expect("they are revoked");
        }
        let live = nodes[0].revoke_all(everywhere(Exempt::None)).await;
        assert_eq!(ended + live.expect("they are revoked"), 40);
        home.leave().await;
    }
}

#[tokio::test]
async fn migrations_run_once_whoever_runs_them() {
    for home in Home::all().await {
        let clock = clock();
        let nodes = [
            home.bare_node(&clock).await,
            home.bare_node(&clock).await,
            home.bare_node(&clock).await,
        ];
        let race = nodes.clone().map(|node| tokio::spawn(async move { node.migrate().await }));
        for migrated in race {
            migrated.await.expect("it ends").expect("the tables are made");
        }
        begin(&nodes[0], "s").await;
        nodes[1].migrate().await.expect("nothing is to be done");
        let found = nodes[2].session(key("s"), NOW).await.expect("the store answers");
        assert_eq!(found, Some(record("s")));
        home.leave().await;
    }
}
