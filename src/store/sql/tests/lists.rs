//! Lists of sessions.

use std::pin::pin;

use super::*;
use crate::store::{
    ListQuery, SessionStore as _, TouchOutcome,
    race::{First, race},
};

/// Each list of a user, and of an account, is read alone.
#[tokio::test]
async fn p31_lists_of_sessions_of_one_user_leave_others_served() {
    for database in TestDatabase::all().await {
        let node = database.node(&clock()).await;
        begin(&node, "s").await;
        let account = scopes().account.expect("ada has an account");
        let user = scopes().user;
        let in_flight = (node.0.lists.acquire(user).await, node.0.lists.acquire(account).await);
        let query = || ListQuery::first(9);
        let waiting = async {
            tokio::select! {
                _ = node.sessions(Scope::User(user), query(), NOW) => "the sessions of the user",
                _ = node.active_users(account, 9, NOW).expect("it has a query") => "the users",
            }
        };
        let served = async {
            for _ in 0..9 {
                let others = Scope::User(StoreKey::user(None, None, "bob"));
                node.sessions(others, query(), NOW).await.expect("the store answers");
            }
        };
        let mut waiting = pin!(waiting);
        if let First::Left(list) = race(waiting.as_mut(), served).await {
            panic!("{list} did not wait");
        }
        drop(in_flight);
        waiting.await;
        database.remove().await;
    }
}

#[tokio::test]
async fn p33_a_list_has_the_activity_that_is_not_written_yet() {
    for database in TestDatabase::all().await {
        let node = database.node(&clock()).await;
        begin(&node, "s").await;
        node.touch(keys("s"), touch(NOW)).await.expect("the store answers");
        // Within the interval in which it is written once.
        let at = NOW + Duration::from_secs(1);
        let touched = node.touch(keys("s"), touch(at)).try_ready();
        assert!(matches!(touched, Ok(Ok(TouchOutcome::Active(_)))), "no statement");
        let page = node.sessions(Scope::User(scopes().user), ListQuery::first(9), at).await;
        let page = page.expect("the store answers");
        assert_eq!(page.items.first().map(|session| session.last_seen), Some(at));
        let session = node.session(key("s"), at).await.expect("the store answers");
        assert_eq!(session.map(|session| session.last_seen), Some(at));
        database.remove().await;
    }
}
