//! A process that comes after another one, over the same store.

use tower_sliding_session::{RejectionKind, store::Exempt};

use crate::{
    client::{
        ada, is_alive, is_dead, refresh_token, refreshed, refused, service, signed_in, signs_out,
    },
    empty_stores::Store,
    test_stack::MINUTE,
};

pub(crate) async fn p22_what_was_ended_stays_ended(store: Store) {
    let before = service(&store);
    let ended = ada(&before).await;
    let signed_out = ada(&before).await;
    let revoked = signed_in(&before, "bob", "acme").await;
    let exempt_until = ada(&before).await;
    before.sessions.revoke(ended.session_id()).await.expect("ended");
    signs_out(&before, &signed_out).await;
    before.at(MINUTE);
    let ada_key = before.sessions.user_scope(Some("acme"), "ada").key();
    let scope = before.sessions.account_scope("acme");
    assert_eq!(before.sessions.revoke_all(scope, Exempt::User(ada_key)).await.expect("ended"), 1);
    drop(before);
    let after = service(&store);
    after.at(MINUTE);
    for grant in [&ended, &signed_out, &revoked] {
        is_dead(&after, grant).await;
    }
    is_alive(&after, &exempt_until).await;
}

pub(crate) async fn p22_what_was_used_stays_used(store: Store) {
    let before = service(&store);
    let grant = ada(&before).await;
    let next = refreshed(&before, &grant).await;
    drop(before);
    let after = service(&store);
    assert_eq!(refreshed(&after, &grant).await, next, "within the grace");
    after.at(MINUTE);
    let refused = refused(&after, refresh_token(&grant)).await;
    assert_eq!(refused, RejectionKind::RefreshTokenReused);
    is_dead(&after, &next).await;
}
