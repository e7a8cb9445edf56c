//! The timeouts that an account owner sets.

use std::time::Duration;

use serde_json::json;
use tower_sliding_session::{
    lifecycle::{AccountPolicy, AccountPolicyError},
    policy::{AllowedTimeout, OverrideField, TimeoutOverrides},
};

use crate::{
    client::{DAY, ada, details, refresh_token, security_log, service, sign_in},
    empty_stores::Store,
    test_stack::{BEGIN, HOUR, MINUTE, TestStack, claims},
};

const UPDATE: &str = "session_policy_update";

async fn decide(
    stack: &TestStack,
    idle: Option<Duration>,
    absolute: Option<Duration>,
) -> Result<AccountPolicy, AccountPolicyError> {
    let mut overrides = TimeoutOverrides::new();
    (overrides.idle, overrides.absolute) = (idle, absolute);
    stack.sessions.change_account_policy("acme", |_| overrides).await
}

pub(crate) async fn a_timeout_out_of_bounds_changes_nothing(store: Store) {
    use OverrideField::{Absolute, Idle};
    let stack = service(&store);
    let before = stack.sessions.account_policy("acme").await.expect("the store answers");
    assert_eq!(before.overrides, TimeoutOverrides::default());
    assert_eq!((before.idle_timeout, before.absolute_timeout), (3 * DAY, 14 * DAY));
    for (idle, absolute, field, allowed) in [
        (Some(4 * MINUTE), None, Idle, AllowedTimeout::AtLeast(5 * MINUTE)),
        (Some(31 * DAY), Some(60 * DAY), Idle, AllowedTimeout::AtMost(30 * DAY)),
        (Some(5 * MINUTE), Some(59 * MINUTE), Absolute, AllowedTimeout::AtLeast(HOUR)),
        (None, Some(91 * DAY), Absolute, AllowedTimeout::AtMost(90 * DAY)),
        (Some(2 * HOUR), Some(HOUR), Idle, AllowedTimeout::AtMostAbsolute(HOUR)),
        (Some(15 * DAY), None, Idle, AllowedTimeout::AtMostAbsolute(14 * DAY)),
        (None, Some(DAY), Absolute, AllowedTimeout::AtLeastIdle(3 * DAY)),
    ] {
        let refused = decide(&stack, idle, absolute).await;
        let Err(AccountPolicyError::OutOfBounds(errors)) = refused else {
            panic!("{idle:?} {absolute:?}: {refused:?}")
        };
        let errors: Vec<_> = errors.iter().map(|it| (it.field, it.allowed)).collect();
        assert_eq!(errors, [(field, allowed)], "{idle:?} {absolute:?}");
    }
    assert_eq!(stack.sessions.account_policy("acme").await.expect("the store answers"), before);
    assert!(details(&stack, UPDATE).await.is_empty());
    assert_eq!(claims(ada(&stack).await.access_token())["idle_max"], 259_200);
}

pub(crate) async fn the_next_sign_in_has_the_new_timeouts(store: Store) {
    let stack = service(&store);
    let decided =
        decide(&stack, Some(60 * MINUTE), Some(240 * MINUTE)).await.expect("within the bounds");
    assert_eq!((decided.idle_timeout, decided.absolute_timeout), (HOUR, 4 * HOUR));
    let grant = ada(&stack).await;
    for token in [grant.access_token(), refresh_token(&grant)].map(claims) {
        assert_eq!((&token["idle_max"], &token["abs_max"]), (&json!(3600), &json!(14400)));
    }
    assert_eq!(grant.idle_expires_at(), BEGIN + HOUR);
    assert_eq!(grant.absolute_expires_at(), BEGIN + 4 * HOUR);
    let elsewhere = sign_in(&stack, "ada", "globex").await;
    assert_eq!(claims(elsewhere.access_token())["idle_max"], 259_200);
    assert_eq!(claims(&stack.sign_in().await)["abs_max"], 1_209_600);
}

pub(crate) async fn a_policy_change_is_audited_once(store: Store) {
    let stack = service(&store);
    for _ in 0..2 {
        decide(&stack, Some(HOUR), Some(4 * HOUR)).await.expect("within the bounds");
    }
    let limits = |idle, absolute| json!({ "idle_timeout": idle, "absolute_timeout": absolute });
    let nothing = limits(None::<u64>, None::<u64>);
    let update = json!({
        "old": nothing,
        "new": limits(Some(3600), Some(14400)),
        "effective_old": limits(Some(259_200), Some(1_209_600)),
        "effective_new": limits(Some(3600), Some(14400)),
    });
    assert_eq!(details(&stack, UPDATE).await, [update]);
    let row = security_log(&stack).await.pop().expect("one row");
    assert_eq!(row.subject.account, Some(stack.sessions.account_scope("acme").key()));
    assert_eq!((row.subject.user, row.subject.session, row.at), (None, None, BEGIN));
}

pub(crate) async fn a_removed_override_restores_the_default(store: Store) {
    let stack = service(&store);
    decide(&stack, Some(HOUR), None).await.expect("within the bounds");
    stack.at(MINUTE);
    let policy = decide(&stack, None, None).await.expect("within the bounds");
    assert_eq!((policy.idle_timeout, policy.absolute_timeout), (3 * DAY, 14 * DAY));
    assert_eq!(claims(ada(&stack).await.access_token())["idle_max"], 259_200);
    let updates = details(&stack, UPDATE).await;
    assert_eq!(updates.len(), 2);
    assert_eq!(updates[0]["new"], updates[1]["old"]);
    assert_eq!(updates[0]["effective_old"], updates[1]["effective_new"]);
}

pub(crate) async fn concurrent_policy_changes_are_serialized(store: Store) {
    let stack = service(&store);
    let change = |minutes: u32| {
        stack.sessions.change_account_policy("acme", move |old| {
            old.idle(old.idle.unwrap_or(HOUR) + minutes * MINUTE)
        })
    };
    let (one, other) = tokio::join!(change(1), change(2));
    assert!(one.is_ok() && other.is_ok());
    let policy = stack.sessions.account_policy("acme").await.expect("the store answers");
    assert_eq!(policy.idle_timeout, HOUR + 3 * MINUTE);
    assert_eq!(details(&stack, UPDATE).await.len(), 2);
}
