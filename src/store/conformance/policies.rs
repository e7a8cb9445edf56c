//! The timeouts that account owners set.

use std::time::Duration;

use crate::{
    identity::StoreKey,
    policy::TimeoutOverrides,
    store::{
        OverridesChange,
        conformance::sign_in::{ADA, BEGIN, EVE, Store, after, audit, audited},
    },
};

const DEFAULT: TimeoutOverrides = TimeoutOverrides::new();
const SHORT: TimeoutOverrides = TimeoutOverrides::new().idle(Duration::from_secs(300));
const BOTH: TimeoutOverrides = TimeoutOverrides::new()
    .idle(Duration::from_secs(600))
    .absolute(Duration::from_secs(90 * 24 * 3600));

fn acme() -> StoreKey {
    ADA.account().key()
}

pub(super) fn change(old: TimeoutOverrides, new: TimeoutOverrides) -> OverridesChange {
    let audit = audit(&ADA.signs_in("owner", BEGIN), "policy_changed", after(10));
    OverridesChange::new(acme(), old, new, audit)
}

async fn changed(store: &Store, old: TimeoutOverrides, new: TimeoutOverrides) -> bool {
    store.set_overrides(change(old, new)).await.expect("the store answers")
}

async fn in_force(store: &Store, account: StoreKey) -> TimeoutOverrides {
    store.overrides(account).await.expect("the store answers")
}

pub(super) async fn overrides_are_replaced_only_if_the_expected_ones_are_stored(store: Store) {
    assert_eq!(in_force(&store, acme()).await, DEFAULT);
    assert!(!changed(&store, SHORT, BOTH).await, "the default applies");
    assert_eq!(in_force(&store, acme()).await, DEFAULT);
    let mut logged = 0;
    for (old, new) in [(DEFAULT, SHORT), (SHORT, BOTH), (BOTH, BOTH), (BOTH, DEFAULT)] {
        assert!(changed(&store, old, new).await, "{new:?}");
        assert_eq!(in_force(&store, acme()).await, new);
        logged += 1;
        if old != new {
            assert!(!changed(&store, old, SHORT).await, "{old:?} is no longer in force");
            assert_eq!(in_force(&store, acme()).await, new);
        }
        assert_eq!(audited(&store, "policy_changed").await.len(), logged);
    }
}

pub(super) async fn overrides_apply_to_one_account(store: Store) {
    assert!(changed(&store, DEFAULT, BOTH).await);
    assert_eq!(in_force(&store, EVE.account().key()).await, DEFAULT);
}

pub(super) async fn the_layers_see_new_overrides(store: Store) {
    let policies = store.account_policies().expect("the store supports account policies");
    assert_eq!(policies.overrides(|| Some(acme())), None);
    assert!(changed(&store, DEFAULT, SHORT).await);
    assert_eq!(policies.overrides(|| Some(acme())), Some(SHORT));
    assert!(changed(&store, SHORT, DEFAULT).await);
    assert_eq!(policies.overrides(|| Some(acme())), None);
}
