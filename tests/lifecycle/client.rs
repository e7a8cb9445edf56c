//! The service under test over any store, and its client.

use std::{sync::Arc, time::Duration};

use http::Request;
use tower_sliding_session::{
    Grant, Policy, RejectionKind, Session,
    audit::AuditRecord,
    identity::{Scopes, StoreKey},
    sessions::SlidingSessionsBuilder,
    store::{ListQuery, RefreshQuery, RefreshState, SessionRecord, StoreError},
};

use crate::{
    empty_stores::Store,
    test_stack::{TestStack, claims, ok, rejected, text, with},
};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// The service with `Policy::long_lived()`, refresh tokens and `store`.
pub(crate) fn service(store: &Store) -> TestStack {
    service_of(Policy::long_lived(), store, |builder| builder)
}

pub(crate) fn service_of(
    policy: Policy,
    store: &Store,
    set: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder,
) -> TestStack {
    TestStack::with(policy, |builder| {
        set(builder.lifecycle_store(Arc::clone(store)).refresh_tokens())
    })
}

/// The timeouts of `Policy::long_lived()` with a token lifetime as long as the idle timeout.
pub(crate) fn long_tokens() -> Policy {
    Policy::long_lived()
        .to_builder()
        .token_lifetime(3 * DAY)
        .build()
        .expect("a legal configuration")
}

/// Signs in the user `ada` of the account `acme`.
pub(crate) async fn ada(stack: &TestStack) -> Grant {
    sign_in(stack, "ada", "acme").await
}

pub(crate) async fn sign_in(stack: &TestStack, sub: &str, tenant: &str) -> Grant {
    stack.sessions.start(sub).tenant(tenant).await.expect("the session starts")
}

pub(crate) fn refresh_token(grant: &Grant) -> &str {
    grant.refresh_token().expect("refresh tokens are on")
}

/// Both tokens of `grant`. What is left of them is less in a repeated answer.
pub(crate) fn tokens(grant: &Grant) -> [&str; 2] {
    [grant.access_token(), refresh_token(grant)]
}

/// The grant for which the refresh token of `grant` is exchanged.
pub(crate) async fn refreshed(stack: &TestStack, grant: &Grant) -> Grant {
    stack.sessions.refresh(refresh_token(grant)).await.expect("the token is refreshed")
}

/// The kind of the rejection of `refresh_token`.
pub(crate) async fn refused(stack: &TestStack, refresh_token: &str) -> RejectionKind {
    stack.sessions.refresh(refresh_token).await.expect_err("refused").kind()
}

/// The kind of the rejection of a request with the access token of `grant`, if it is rejected.
pub(crate) async fn asked(stack: &TestStack, grant: &Grant) -> Option<RejectionKind> {
    rejected(&stack.get(grant.access_token()).await)
}

/// Checks that both tokens of `grant` are rejected because the session was revoked.
pub(crate) async fn assert_revoked(stack: &TestStack, grant: &Grant) {
    assert_eq!(asked(stack, grant).await, Some(RejectionKind::SessionRevoked));
    assert_eq!(refused(stack, refresh_token(grant)).await, RejectionKind::InvalidRefreshToken);
}

/// Checks that both tokens of `grant` are accepted. Returns the refreshed grant.
pub(crate) async fn assert_active(stack: &TestStack, grant: &Grant) -> Grant {
    assert_eq!(asked(stack, grant).await, None);
    refreshed(stack, grant).await
}

pub(crate) fn session(request: &Request<()>) -> Session {
    request.extensions().get::<Session>().expect("authenticated").clone()
}

/// Sends a request of `grant` whose handler signs out.
pub(crate) async fn signs_out(stack: &TestStack, grant: &Grant) {
    let handler = async |request: Request<()>| {
        session(&request).sign_out().await.expect("the session is revoked");
        ok()
    };
    let response = stack.send_to(handler, with(grant.access_token())).await;
    assert_eq!(text(response).await, "ok");
}

/// What `store` knows of the session of a refresh token.
pub(crate) async fn state_of(
    store: &Store,
    refresh_token: &str,
) -> Result<RefreshState, StoreError> {
    let read = claims(refresh_token);
    let read = |name: &str| read[name].as_str().map(str::to_owned);
    let (sid, sub) = (read("sid"), read("sub"));
    let query = RefreshQuery::new(
        StoreKey::session(None, &sid.expect("a session's")),
        crate::test_stack::BEGIN,
        Scopes::new(None, read("tenant").as_deref(), &sub.expect("a user's")),
    );
    store.refresh_state(query).await
}

/// Checks that the session of `refresh_token` was never refreshed.
pub(crate) async fn assert_unused(store: &Store, refresh_token: &str) {
    let Ok(RefreshState::Known(session)) = state_of(store, refresh_token).await else {
        panic!("the session is known")
    };
    assert_eq!((session.generation, session.exchange), (0, None));
}

/// The rows of the security log, earliest first.
pub(crate) async fn security_log(stack: &TestStack) -> Vec<AuditRecord> {
    let scope = stack.sessions.everything();
    let page = stack.sessions.audit_log(scope, ListQuery::first(ListQuery::MAX_LIMIT)).await;
    let mut rows = page.expect("the store answers").items;
    rows.reverse();
    rows
}

/// The details of all rows of `event`.
pub(crate) async fn details(stack: &TestStack, event: &str) -> Vec<serde_json::Value> {
    let rows = security_log(stack).await.into_iter().filter(|row| row.event.name() == event);
    rows.map(|row| serde_json::from_str(&row.event.detail()).expect("JSON")).collect()
}

/// The record of the session of `grant`, if it is active.
pub(crate) async fn record(stack: &TestStack, grant: &Grant) -> Option<SessionRecord> {
    stack.sessions.session(grant.session_id()).await.expect("the store answers")
}

/// The `sid` of every active session of the account `acme`.
pub(crate) async fn listed(stack: &TestStack) -> Vec<String> {
    let scope = stack.sessions.account_scope("acme");
    let page = stack.sessions.sessions(scope, ListQuery::first(99)).await;
    page.expect("the store answers").items.into_iter().map(|record| record.sid).collect()
}
