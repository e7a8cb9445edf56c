//! A restart of the service over the same store.

use std::sync::Arc;

use tower_sliding_session::{
    Policy, RejectionKind,
    layers::UnknownSessions,
    store::{Exempt, MemoryStore},
};

use crate::{
    client::{
        ada, asked, assert_active, assert_revoked, listed, refresh_token, refreshed, refused,
        service, service_of, sign_in, signs_out,
    },
    empty_stores::Store,
    test_stack::{MILLI, MINUTE},
};

pub(crate) async fn p22_a_revoked_session_stays_revoked_after_a_restart(store: Store) {
    let before = service(&store);
    let ended = ada(&before).await;
    let signed_out = ada(&before).await;
    let revoked = sign_in(&before, "bob", "acme").await;
    let exempt_until = ada(&before).await;
    before.sessions.revoke(ended.session_id()).await.expect("the session is revoked");
    signs_out(&before, &signed_out).await;
    before.at(MINUTE);
    let ada_key = before.sessions.user_scope(Some("acme"), "ada").key();
    let scope = before.sessions.account_scope("acme");
    assert_eq!(
        before
            .sessions
            .revoke_all(scope, Exempt::User(ada_key))
            .await
            .expect("the session is revoked"),
        1
    );
    drop(before);
    let after = service(&store);
    after.at(MINUTE);
    for grant in [&ended, &signed_out, &revoked] {
        assert_revoked(&after, grant).await;
    }
    assert_active(&after, &exempt_until).await;
}

pub(crate) async fn p22_a_consumed_token_stays_consumed_after_a_restart(store: Store) {
    let before = service(&store);
    let grant = ada(&before).await;
    let next = refreshed(&before, &grant).await;
    drop(before);
    let after = service(&store);
    assert_eq!(refreshed(&after, &grant).await, next, "within reuse_grace");
    assert_eq!(asked(&after, &next).await, None);
    after.at(MINUTE);
    let refused = refused(&after, refresh_token(&grant)).await;
    assert_eq!(refused, RejectionKind::RefreshTokenReused);
    assert_revoked(&after, &next).await;
}

fn lost() -> Store {
    Arc::new(MemoryStore::new())
}

pub(crate) async fn p33_a_lost_store_ends_no_refresh(store: Store) {
    let before = service(&store);
    let grant = ada(&before).await;
    let second = refreshed(before.at(MINUTE), &grant).await;
    let third = refreshed(before.at(2 * MINUTE), &second).await;
    drop(before);
    for (newest, minutes) in [(&third, 3), (&second, 4)] {
        let after = service(&lost());
        let next = refreshed(after.at(minutes * MINUTE), newest).await;
        assert_eq!(asked(&after, &next).await, None);
        assert_eq!(listed(&after).await, [grant.session_id()]);
        after.at(minutes * MINUTE + MINUTE);
        assert_eq!(refused(&after, refresh_token(newest)).await, RejectionKind::RefreshTokenReused);
        assert_revoked(&after, &next).await;
    }
}

/// The policy of the front page: 20 minutes, 12 hours, tokens of 1 hour, renewed from half of it on.
pub(crate) async fn p33_a_lost_store_signs_out_no_active_user(store: Store) {
    let policy = || Policy::builder().build().expect("a legal configuration");
    let before = service_of(policy(), &store, |builder| builder);
    let grant = ada(&before).await;
    for minutes in [10, 20] {
        assert_eq!(asked(before.at(minutes * MINUTE), &grant).await, None);
    }
    let last = 30 * MINUTE - MILLI;
    assert_eq!(asked(before.at(last), &grant).await, None, "no renewal is due");
    let idle = Some(RejectionKind::SessionExpiredIdle);
    for (at, expected) in
        [(last, None), (50 * MINUTE - MILLI, None), (50 * MINUTE, idle), (59 * MINUTE, idle)]
    {
        let after = service_of(policy(), &lost(), |builder| builder);
        assert_eq!(asked(after.at(at), &grant).await, expected, "{at:?}");
        let by_token = service_of(policy(), &lost(), |builder| {
            builder.unknown_sessions(UnknownSessions::JudgeByToken)
        });
        assert_eq!(asked(by_token.at(at), &grant).await, idle, "{at:?}");
        let known = service_of(policy(), &store, |builder| builder);
        let expected = Some(RejectionKind::SessionExpiredIdle).filter(|_| at >= last + 20 * MINUTE);
        assert_eq!(asked(known.at(at), &grant).await, expected, "{at:?}");
    }
}
