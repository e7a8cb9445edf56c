//! The timeouts that an account owner sets.

use std::time::Duration;

use serde_json::json;
use tower_sliding_session::{
    Policy, RejectionKind,
    lifecycle::{AccountPolicy, AccountPolicyError},
    policy::{AllowedTimeout, OverrideBounds, OverrideField, TimeoutOverrides},
};

use crate::{
    client::{DAY, ada, asked, details, refresh_token, security_log, service, service_of, sign_in},
    empty_stores::Store,
    test_stack::{BEGIN, HOUR, MILLI, MINUTE, TestStack, claims},
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
        (Some(3 * DAY + MINUTE), None, Idle, AllowedTimeout::AtMost(3 * DAY)),
        (Some(5 * MINUTE), Some(59 * MINUTE), Absolute, AllowedTimeout::AtLeast(HOUR)),
        (None, Some(14 * DAY + MINUTE), Absolute, AllowedTimeout::AtMost(14 * DAY)),
        (Some(HOUR + MINUTE / 120), None, Idle, AllowedTimeout::WholeSeconds),
        (None, Some(4 * DAY + MINUTE / 120), Absolute, AllowedTimeout::WholeSeconds),
        (Some(2 * HOUR), Some(HOUR), Idle, AllowedTimeout::AtMostAbsolute(HOUR)),
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

pub(crate) async fn an_account_may_weaken_the_policy_only_where_the_service_allows_it(
    store: Store,
) {
    let policy = || Policy::builder().build().expect("the policy is valid");
    let strict = service_of(policy(), &store, |it| it);
    let allowed = OverrideBounds::new().dangerous_longer_than_policy();
    let lax = service_of(policy(), &store, |it| it.override_bounds(allowed.clone()));
    let bounds = async |stack: &TestStack| {
        stack.sessions.account_policy("acme").await.expect("the store answers").bounds
    };
    assert_eq!(bounds(&strict).await.idle, 5 * MINUTE..=20 * MINUTE);
    assert_eq!(bounds(&strict).await.absolute, HOUR..=12 * HOUR);
    assert_eq!(bounds(&lax).await, allowed);
    let refused = decide(&strict, Some(30 * DAY), Some(90 * DAY)).await;
    let Err(AccountPolicyError::OutOfBounds(errors)) = refused else { panic!("{refused:?}") };
    let errors: Vec<_> = errors.iter().map(|it| it.allowed).collect();
    assert_eq!(errors, [AllowedTimeout::AtMost(20 * MINUTE), AllowedTimeout::AtMost(12 * HOUR)]);
    for (idle, absolute, allowed) in [
        (Some(31 * DAY), Some(60 * DAY), AllowedTimeout::AtMost(30 * DAY)),
        (None, Some(91 * DAY), AllowedTimeout::AtMost(90 * DAY)),
        (Some(13 * HOUR), None, AllowedTimeout::AtMostAbsolute(12 * HOUR)),
    ] {
        let refused = decide(&lax, idle, absolute).await;
        let Err(AccountPolicyError::OutOfBounds(errors)) = refused else { panic!("{refused:?}") };
        assert_eq!(errors.iter().map(|it| it.allowed).collect::<Vec<_>>(), [allowed]);
    }
    let decided = decide(&lax, Some(30 * DAY), Some(90 * DAY)).await.expect("within the bounds");
    assert_eq!((decided.idle_timeout, decided.absolute_timeout), (30 * DAY, 90 * DAY));
    assert_eq!(claims(ada(&lax).await.access_token())["idle_max"], 2_592_000);
}

/// A service whose policy became shorter, or that no longer allows longer overrides.
pub(crate) async fn p20_an_override_that_became_longer_than_the_policy_is_not_in_force(
    store: Store,
) {
    let policy = Policy::builder().token_lifetime(12 * HOUR).build().expect("the policy is valid");
    let lax = service_of(policy.clone(), &store, |it| {
        it.override_bounds(OverrideBounds::new().dangerous_longer_than_policy())
    });
    decide(&lax, Some(2 * HOUR), Some(90 * DAY)).await.expect("within the bounds");
    let [idle, active] = [ada(&lax).await, ada(&lax).await];
    let strict = service_of(policy, &store, |it| it);
    let decided = strict.sessions.account_policy("acme").await.expect("the store answers");
    assert_eq!((decided.idle_timeout, decided.absolute_timeout), (20 * MINUTE, 12 * HOUR));
    assert_eq!(decided.overrides.idle, Some(2 * HOUR));
    let grant = ada(&strict).await;
    assert_eq!(claims(grant.access_token())["idle_max"], 1200);
    assert_eq!(grant.absolute_expires_at(), BEGIN + 12 * HOUR);
    assert_eq!(asked(strict.at(20 * MINUTE - MILLI), &active).await, None);
    let expired = Some(RejectionKind::SessionExpiredIdle);
    assert_eq!(asked(strict.at(20 * MINUTE), &idle).await, expired);
    assert_eq!(asked(&strict, &active).await, None);
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
