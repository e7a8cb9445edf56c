//! The claims source at a refresh and at a request.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use tokio::sync::Notify;
use tower_sliding_session::{
    Grant, MaybeReady, Policy, RejectionKind,
    store::StoreError,
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};

use crate::{
    client::{
        asked, assert_revoked, assert_unused, details, refresh_token, refreshed, refused,
        service_of,
    },
    empty_stores::Store,
    test_stack::{MINUTE, TestStack, claims, renewed},
};

const INVALID: RejectionKind = RejectionKind::InvalidRefreshToken;
const UNAVAILABLE: RejectionKind = RejectionKind::StoreUnavailable;

type Answer = fn() -> MaybeReady<ClaimsUpdate>;

/// A claims source that answers what the test sets.
#[derive(Clone)]
struct Users {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Notify>,
}

impl ClaimsSource for Users {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        self.asked.notify_one();
        (*self.answer.lock().expect("no panic"))()
    }
}

impl Users {
    fn say(&self, answer: Answer) {
        *self.answer.lock().expect("no panic") = answer;
    }
}

fn keep() -> MaybeReady<ClaimsUpdate> {
    MaybeReady::ready(Ok(ClaimsUpdate::Keep))
}

fn deny() -> MaybeReady<ClaimsUpdate> {
    MaybeReady::ready(Ok(ClaimsUpdate::Deny))
}

fn end() -> MaybeReady<ClaimsUpdate> {
    MaybeReady::ready(Ok(ClaimsUpdate::End))
}

fn demote() -> MaybeReady<ClaimsUpdate> {
    let claims = json!({ "role": "reader", "team": 7 });
    MaybeReady::ready(ClaimsUpdate::replace(&claims).map_err(StoreError::new))
}

/// A service, its users, and an editor who has signed in.
async fn sign_in(store: &Store) -> (TestStack, Users, Grant) {
    let users = Users { answer: Arc::new(Mutex::new(keep)), asked: Arc::default() };
    let source = users.clone();
    let stack = service_of(Policy::long_lived(), store, |builder| builder.claims_source(source));
    let start = stack.sessions.start("ada").tenant("acme").claims(&json!({ "role": "editor" }));
    let grant = start.await.expect("the session starts");
    (stack, users, grant)
}

pub(crate) async fn p02_a_denied_refresh_consumes_the_token(store: Store) {
    let (stack, users, grant) = sign_in(&store).await;
    users.say(deny);
    assert_eq!(refused(&stack, refresh_token(&grant)).await, INVALID);
    users.say(keep);
    for _ in 0..2 {
        assert_eq!(refused(&stack, refresh_token(&grant)).await, INVALID);
    }
    assert_eq!(asked(&stack, &grant).await, None, "the session is active until its token expires");
    assert_eq!(details(&stack, "renewal_denied").await.len(), 1);
    assert!(details(&stack, "refresh_reuse_detected").await.is_empty());
}

pub(crate) async fn p02_a_refresh_revokes_the_session_if_the_claims_source_ends_it(store: Store) {
    let (stack, users, grant) = sign_in(&store).await;
    users.say(end);
    assert_eq!(refused(&stack, refresh_token(&grant)).await, INVALID);
    users.say(keep);
    assert_revoked(&stack, &grant).await;
    assert_eq!(details(&stack, "session_ended").await.len(), 1);
}

pub(crate) async fn p02_a_request_of_a_denied_user_is_not_renewed(store: Store) {
    let (stack, users, grant) = sign_in(&store).await;
    stack.at(8 * MINUTE);
    users.say(deny);
    let response = stack.get(grant.access_token()).await;
    assert_eq!((response.status().as_u16(), renewed(&response)), (200, None));
    stack.at(10 * MINUTE);
    users.say(end);
    let response = stack.get(grant.access_token()).await;
    assert_eq!((response.status().as_u16(), renewed(&response)), (200, None));
    users.say(keep);
    assert_revoked(&stack, &grant).await;
}

/// A lost answer that is asked for again is minted again: the source is asked again, too.
pub(crate) async fn p02_a_repeated_refresh_asks_the_claims_source(store: Store) {
    let (stack, users, grant) = sign_in(&store).await;
    let lost = refreshed(&stack, &grant).await;
    users.say(deny);
    assert_eq!(refused(&stack, refresh_token(&grant)).await, INVALID);
    users.say(keep);
    assert_eq!(refreshed(&stack, &grant).await, lost, "a denial ends nothing");
    users.say(end);
    assert_eq!(refused(&stack, refresh_token(&grant)).await, INVALID);
    users.say(keep);
    assert_revoked(&stack, &lost).await;
    assert_eq!(details(&stack, "session_ended").await.len(), 1);
}

pub(crate) async fn p02_a_refresh_puts_current_claims_into_both_tokens(store: Store) {
    let (stack, users, grant) = sign_in(&store).await;
    users.say(demote);
    let next = refreshed(&stack, &grant).await;
    for (old, new) in
        [(grant.access_token(), next.access_token()), (refresh_token(&grant), refresh_token(&next))]
    {
        let (old, new) = (claims(old), claims(new));
        assert_eq!((&old["role"], &new["role"]), (&json!("editor"), &json!("reader")));
        assert_eq!(new["team"], 7);
        for name in ["sid", "sub", "tenant", "auth_time", "epoch", "idle_max", "abs_max"] {
            assert_eq!(old[name], new[name], "{name}");
        }
    }
    users.say(keep);
    let next = refreshed(&stack, &next).await;
    assert_eq!(claims(next.access_token())["role"], "reader");
}

pub(crate) async fn p23_a_failing_claims_source_leaves_the_token_valid(store: Store) {
    let (stack, users, grant) = sign_in(&store).await;
    users.say(|| MaybeReady::ready(Err(StoreError::new("the directory is away"))));
    for _ in 0..2 {
        assert_eq!(refused(&stack, refresh_token(&grant)).await, UNAVAILABLE);
    }
    assert_unused(&store, refresh_token(&grant)).await;
    users.say(keep);
    let next = refreshed(&stack, &grant).await;
    assert_eq!(asked(&stack, &next).await, None);
}

pub(crate) async fn p23_a_slow_claims_source_leaves_the_token_valid(store: Store) {
    let (stack, users, grant) = sign_in(&store).await;
    users.say(|| MaybeReady::new(std::future::pending()));
    let (refused, ()) = tokio::join!(refused(&stack, refresh_token(&grant)), async {
        users.asked.notified().await;
        stack.clock.advance(Duration::from_secs(1));
    });
    assert_eq!(refused, UNAVAILABLE);
    users.say(keep);
    refreshed(&stack, &grant).await;
}
