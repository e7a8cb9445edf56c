//! A restart of the service over the same store.

use tower_sliding_session::{RejectionKind, store::Exempt};

use crate::{
    client::{
        ada, assert_active, assert_revoked, refresh_token, refreshed, refused, service, sign_in,
        signs_out,
    },
    empty_stores::Store,
    test_stack::MINUTE,
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
    after.at(MINUTE);
    let refused = refused(&after, refresh_token(&grant)).await;
    assert_eq!(refused, RejectionKind::RefreshTokenReused);
    assert_revoked(&after, &next).await;
}
