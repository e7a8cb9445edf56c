//! Changes of claims.

use std::time::Duration;

use crate::{
    identity::Scope,
    store::{
        ClaimsChange, ClaimsChanges,
        conformance::sign_in::{
            ADA, ADA_AT_GLOBEX, BEGIN, BOB, EVE, JOY, Store, after, audit, audited, everything,
        },
    },
    time::Timestamp,
};

/// How long a test keeps a number; a store may keep it for longer.
const KEPT: Duration = Duration::from_secs(3600);

fn change(scope: Scope, now: Timestamp) -> ClaimsChange {
    let audit = audit(&ADA.signs_in("admin", BEGIN), "claims_changed", now);
    ClaimsChange::new(scope, now, now + KEPT, audit)
}

async fn changed(store: &Store, scope: Scope, now: Timestamp) -> Timestamp {
    store.change_claims(change(scope, now)).await.expect("the store answers")
}

fn known(store: &Store) -> std::sync::Arc<ClaimsChanges> {
    store.claims_changes().expect("the store supports changes of claims")
}

pub(super) async fn p37_the_layers_see_the_number_of_every_scope(store: Store) {
    let people = [ADA, ADA_AT_GLOBEX, BOB, EVE, JOY];
    let numbers = |store: &Store| people.map(|it| known(store).number_of(&it.scopes()));
    assert_eq!(numbers(&store), [None; 5]);
    let user = changed(&store, ADA.user(), after(1)).await;
    assert_eq!(user, after(1));
    assert_eq!(numbers(&store), [Some(user), None, None, None, None]);
    let subject = changed(&store, ADA.subject(), after(2)).await;
    assert_eq!(numbers(&store), [Some(subject), Some(subject), None, None, None]);
    let account = changed(&store, ADA.account(), after(3)).await;
    let all = [Some(account), Some(subject), Some(account), None, None];
    assert_eq!(numbers(&store), all);
    let everything = changed(&store, everything(), after(4)).await;
    assert_eq!(numbers(&store), [Some(everything); 5]);
    assert_eq!(audited(&store, "claims_changed").await.len(), 4);
}

/// A token carries the greatest number of its scopes, so each must be greater than those before,
/// whatever the clock says and whichever scope it is of.
pub(super) async fn p37_each_number_is_greater_than_every_earlier_one(store: Store) {
    let mut last = Timestamp::EPOCH;
    for (scope, now, expected) in [
        (ADA.user(), after(5000), after(5000)),
        (ADA.user(), after(5000), after(5001)),
        (ADA.account(), after(100), after(5002)),
        (EVE.user(), after(5002), after(5003)),
        (ADA.user(), after(6000), after(6000)),
    ] {
        let number = changed(&store, scope, now).await;
        assert_eq!(number, expected);
        assert!(number > last);
        last = number;
    }
    assert_eq!(known(&store).number_of(&ADA.scopes()), Some(after(6000)));
    known(&store).remove_expired(after(0) + 100 * KEPT);
    assert_eq!(known(&store).number_of(&ADA.scopes()), None);
    assert_eq!(changed(&store, JOY.user(), after(1)).await, after(6001), "a removed number counts");
}

pub(super) async fn p37_concurrent_changes_have_different_numbers(store: Store) {
    let changes = (0..20).map(|round| {
        let scope = if round % 2 == 0 { ADA.user() } else { EVE.user() };
        tokio::spawn(store.change_claims(change(scope, after(7))))
    });
    let (mut numbers, mut of_ada) = (Vec::new(), None);
    for (round, change) in changes.collect::<Vec<_>>().into_iter().enumerate() {
        let number = change.await.expect("the task completes").expect("the store answers");
        numbers.push(number);
        if round % 2 == 0 {
            of_ada = of_ada.max(Some(number));
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (7..27).map(after).collect::<Vec<_>>());
    assert_eq!(known(&store).number_of(&ADA.scopes()), of_ada);
}
