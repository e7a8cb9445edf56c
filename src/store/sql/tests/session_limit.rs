//! Limits of sessions, over several nodes.

use super::*;
use crate::store::{
    ListQuery, OnSessionLimit, SessionLimit, SessionStore as _, StoredSession, TouchOutcome,
};

fn limited(sid: &str, on_limit: OnSessionLimit) -> SignIn {
    let limit = Some(SessionLimit::new(3, on_limit, Duration::ZERO));
    SignIn { limit, ..SignIn::new(record(sid), audit("session_started")) }
}

async fn listed(store: &SqlStore, now: Timestamp) -> Vec<String> {
    let scope = Scope::Subject(scopes().subject);
    let page = store.sessions(scope, ListQuery::first(200), now).await;
    page.expect("the store answers").items.into_iter().map(|record| record.sid).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p31_a_thousand_concurrent_sign_ins_on_two_nodes_leave_three_sessions() {
    for database in TestDatabase::all().await {
        let nodes = [database.node(&clock()).await, database.node(&clock()).await];
        for on_limit in [OnSessionLimit::Oldest, OnSessionLimit::LeastActive] {
            let begun: Vec<_> = (0..1000)
                .map(|number: usize| {
                    let sign_in = limited(&format!("{on_limit:?} {number}"), on_limit);
                    tokio::spawn(nodes[number % 2].begin(sign_in))
                })
                .collect();
            for begun in begun {
                let begun = begun.await.expect("the task completes").expect("the store answers");
                assert!(begun.begun().is_some());
            }
            let mut left = listed(&nodes[0], NOW).await;
            assert_eq!(left.len(), 3, "{on_limit:?} {:?}", nodes[0]);
            let mut admitted = Vec::new();
            for node in &nodes {
                node.0.sync().await.expect("the store answers");
            }
            let scopes = scopes();
            let revocations = nodes[1].revocations().expect("the store revokes");
            for number in 0..1000 {
                let sid = format!("{on_limit:?} {number}");
                let stored = nodes[1].get(keys(&sid)).await.expect("the store answers");
                let row = nodes[1].session(key(&sid), NOW).await.expect("the store answers");
                let epoch = row.map_or(NOW, |record| record.epoch);
                let is_revoked = revocations.revoked_by(key(&sid), epoch, || scopes).is_some();
                if stored != StoredSession::Ended && !is_revoked {
                    admitted.push(sid);
                }
            }
            left.sort();
            admitted.sort();
            assert_eq!(admitted, left, "{:?}", nodes[1]);
        }
        database.remove().await;
    }
}

#[tokio::test]
async fn another_node_ends_the_session_that_a_sign_in_ended_here() {
    for database in TestDatabase::all().await {
        let (here, there) = (database.node(&clock()).await, database.node(&clock()).await);
        for sid in ["a", "b", "c"] {
            here.begin(limited(sid, OnSessionLimit::Oldest)).await.expect("the store answers");
            let touched = there.touch(keys(sid), touch(NOW)).await.expect("the store answers");
            assert!(matches!(touched, TouchOutcome::Active(_)));
        }
        here.begin(limited("d", OnSessionLimit::Oldest)).await.expect("the store answers");
        there.0.sync().await.expect("the store answers");
        let mut ended = Vec::new();
        for sid in ["a", "b", "c", "d"] {
            if there.get(keys(sid)).await.expect("the store answers") == StoredSession::Ended {
                ended.push(sid);
            }
        }
        assert_eq!(ended.len(), 1, "{there:?}");
        database.remove().await;
    }
}

/// A session that another node has touched since the row was written must not go on beside as many
/// others as the limit allows.
#[tokio::test]
async fn p23_a_session_with_an_unwritten_activity_is_not_admitted_beside_the_limit() {
    for database in TestDatabase::all().await {
        let (here, there) = (database.node(&clock()).await, database.node(&clock()).await);
        begin(&here, "unwritten").await;
        let seen = NOW + INTERVAL - Duration::from_millis(1);
        there.touch(keys("unwritten"), touch(seen)).await.expect("the store answers");
        let at = NOW + IDLE;
        for sid in ["a", "b", "c"] {
            let mut sign_in = limited(sid, OnSessionLimit::Refuse);
            sign_in.record =
                SessionRecord { auth_time: at, epoch: at, last_seen: at, ..record(sid) };
            let begun = here.begin(sign_in).await.expect("the store answers");
            assert!(begun.begun().is_some(), "{sid}: what has expired here is no reason to refuse");
        }
        there.0.sync().await.expect("the store answers");
        let stored = there.get(keys("unwritten")).await.expect("the store answers");
        assert_eq!(stored, StoredSession::Ended, "{there:?}");
        assert_eq!(listed(&here, at).await.len(), 3);
        database.remove().await;
    }
}

/// A later sign-in would end what two have left too many: each pair is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p31_two_sign_ins_at_the_same_time_on_two_nodes_leave_three_sessions() {
    for database in TestDatabase::all().await {
        let nodes = [database.node(&clock()).await, database.node(&clock()).await];
        for round in 0..50 {
            let begun = nodes.each_ref().map(|node| {
                let sid = format!("{round} {:p}", std::ptr::from_ref(node));
                tokio::spawn(node.begin(limited(&sid, OnSessionLimit::Oldest)))
            });
            for begun in begun {
                begun.await.expect("the task completes").expect("the store answers");
            }
            let left = listed(&nodes[0], NOW).await.len();
            assert_eq!(left, (2 + 2 * round).min(3), "round {round} {:?}", nodes[0]);
        }
        database.remove().await;
    }
}
