//! Refreshes concurrent with the revocation of their session.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Barrier, task::JoinSet};
use tower_sliding_session::{Grant, RejectionKind, store::Exempt};

use crate::{
    client::{ada, asked, assert_revoked, record, refresh_token, service, signs_out},
    empty_stores::Store,
    test_stack::{MINUTE, TestStack},
};

const REFRESHERS: usize = 4;

/// Runs refreshes of one token and `end` concurrently, `rounds` times: every grant is rejected.
async fn race(store: Store, rounds: u32, end: impl AsyncFn(&TestStack, &Grant)) {
    let stack = Arc::new(service(&store));
    for round in 0..rounds {
        stack.at(round * MINUTE);
        let grant = ada(&stack).await;
        let start = Arc::new(Barrier::new(REFRESHERS + 1));
        let mut tasks = JoinSet::new();
        for _ in 0..REFRESHERS {
            let (stack, start) = (Arc::clone(&stack), Arc::clone(&start));
            let token = refresh_token(&grant).to_owned();
            tasks.spawn(async move {
                start.wait().await;
                stack.sessions.refresh(&token).await
            });
        }
        start.wait().await;
        // `end` starts at different points of the refreshes.
        for _ in 0..round % 4 {
            tokio::task::yield_now().await;
        }
        end(&stack, &grant).await;
        for answer in tasks.join_all().await {
            match answer {
                Ok(grant) => assert_revoked(&stack, &grant).await,
                Err(refused) => {
                    assert_eq!(refused.kind(), RejectionKind::InvalidRefreshToken, "{round}");
                }
            }
        }
        assert_revoked(&stack, &grant).await;
        assert_eq!(record(&stack, &grant).await, None, "round {round}");
    }
}

pub(crate) async fn p05_no_refresh_succeeds_after_a_revocation(store: Store, rounds: u32) {
    race(store, rounds, async |stack, grant| {
        stack.sessions.revoke(grant.session_id()).await.expect("the session is revoked");
    })
    .await;
}

pub(crate) async fn p05_no_refresh_succeeds_after_a_bulk_revocation(store: Store, rounds: u32) {
    race(store, rounds, async |stack, _| {
        let ended = stack.sessions.revoke_all(stack.sessions.account_scope("acme"), Exempt::None);
        assert_eq!(ended.await.expect("the session is revoked"), 1);
    })
    .await;
}

pub(crate) async fn p05_no_refresh_succeeds_after_a_handlers_sign_out(store: Store, rounds: u32) {
    race(store, rounds, signs_out).await;
}

/// Refreshes until a token is refused, and returns every grant.
async fn refresh_until_refused(stack: &TestStack, grant: Grant) -> Vec<Grant> {
    let mut grants = vec![grant];
    loop {
        let token = refresh_token(grants.last().expect("at least one"));
        match stack.sessions.refresh(token).await {
            Ok(next) => grants.push(next),
            Err(refused) => {
                assert_eq!(refused.kind(), RejectionKind::InvalidRefreshToken);
                return grants;
            }
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn p05_a_chain_of_refreshes_stops_at_a_bulk_revocation(store: Store, rounds: u32) {
    let stack = Arc::new(service(&store));
    for round in 0..rounds / 10 {
        stack.at(round * MINUTE);
        let chain = tokio::spawn({
            let (stack, grant) = (Arc::clone(&stack), ada(&stack).await);
            async move { refresh_until_refused(&stack, grant).await }
        });
        for _ in 0..round % 8 {
            tokio::task::yield_now().await;
        }
        let scope = stack.sessions.user_scope(Some("acme"), "ada");
        let ended =
            stack.sessions.revoke_all(scope, Exempt::None).await.expect("the session is revoked");
        assert_eq!(ended, 1);
        for grant in chain.await.expect("no panic") {
            assert_eq!(asked(&stack, &grant).await, Some(RejectionKind::SessionRevoked));
        }
        stack.clock.advance(Duration::from_secs(11));
    }
}
