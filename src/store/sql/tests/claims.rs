//! Changes of claims on several nodes, and after a restart.

use super::*;
use crate::store::{ClaimsChange, SessionStore as _};

/// How long a number is kept: the caller's time, and three sync intervals for nodes that mint until they
/// have read it.
const KEPT: Duration = Duration::from_secs(3600 + 3);

fn change(scope: Scope) -> ClaimsChange {
    ClaimsChange::new(scope, NOW, NOW + Duration::from_secs(3600), audit("claims_changed"))
}

fn number_on(store: &SqlStore) -> Option<Timestamp> {
    store.claims_changes().expect("the store supports it").number_of(&scopes())
}

#[tokio::test]
async fn p37_another_node_knows_a_number_once_it_has_read_the_change() {
    for database in TestDatabase::all().await {
        let (store, other) = (database.node(&clock()).await, database.node(&clock()).await);
        let user = Scope::User(scopes().user);
        assert_eq!(store.change_claims(change(user)).await.expect("the store answers"), NOW);
        assert_eq!((number_on(&store), number_on(&other)), (Some(NOW), None));
        other.0.sync().await.expect("the node syncs");
        assert_eq!(number_on(&other), Some(NOW));
        let next = other.change_claims(change(user)).await.expect("the store answers");
        assert_eq!(next, NOW + Duration::from_millis(1), "the clock of this node stands still");
        store.0.sync().await.expect("the node syncs");
        assert_eq!(number_on(&store), Some(next));
        database.remove().await;
    }
}

#[tokio::test]
async fn p37_a_number_survives_a_restart_and_a_gap_in_the_feed() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let late = database.node(&clock()).await;
        let account = Scope::Account(scopes().account.expect("an account"));
        store.change_claims(change(account)).await.expect("the store answers");
        store.0.clean(NOW + Duration::from_secs(3601)).await.expect("the changes are trimmed");
        late.0.sync().await.expect("the node reads everything");
        assert_eq!(number_on(&late), Some(NOW), "after a gap");
        drop((store, late));
        let store = database.node(&clock()).await;
        assert_eq!(number_on(&store), Some(NOW), "after a restart");
        database.remove().await;
    }
}

#[tokio::test]
async fn p37_a_number_is_removed_when_every_older_token_has_expired() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let user = Scope::User(scopes().user);
        store.change_claims(change(user)).await.expect("the store answers");
        let restarted_at = async |now| {
            store.0.clean(now).await.expect("the store answers");
            number_on(&database.node(&clock()).await)
        };
        let grace = Duration::from_secs(120);
        assert_eq!(restarted_at(NOW + KEPT + grace).await, Some(NOW));
        assert_eq!(restarted_at(NOW + KEPT + grace + Duration::from_millis(1)).await, None);
        let next = store.change_claims(change(user)).await.expect("the store answers");
        assert!(next > NOW, "no number is given twice");
        database.remove().await;
    }
}
