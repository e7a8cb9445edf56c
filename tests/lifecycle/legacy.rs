//! Legacy refresh tokens.

use serde::Deserialize;
use serde_json::json;
use tower_sliding_session::{
    Policy, RejectionKind,
    store::ListQuery,
    token::{AdoptedSession, LegacyClaims, LegacyTokens},
};

use crate::{
    client::{
        DAY, asked, assert_revoked, details, refresh_token, refreshed, refused, service, service_of,
    },
    empty_stores::Store,
    test_stack::{BEGIN, HOUR, MILLI, MINUTE, SECRET, TestStack, claims, forge},
};

const INVALID: RejectionKind = RejectionKind::InvalidRefreshToken;

#[derive(Deserialize)]
struct Old {
    purpose: String,
}

fn is_for(
    purpose: &'static str,
) -> impl Fn(&LegacyClaims<'_>) -> Option<AdoptedSession> + Send + Sync + 'static {
    move |claims| {
        let Old { purpose: own } = claims.parse()?;
        (own == purpose).then_some(AdoptedSession::new(claims.id("sub")?))
    }
}

fn adopting(store: &Store) -> TestStack {
    let legacy = LegacyTokens::adopt(is_for("access")).adopt_refresh(is_for("refresh"));
    service_of(Policy::long_lived(), store, |builder| builder.legacy_tokens(legacy))
}

/// A legacy refresh token: valid for 30 days, without session claims.
fn old(purpose: &str) -> String {
    let now = BEGIN.as_secs();
    let payload = json!({
        "sub": "ada", "tenant": "acme", "jti": "old-1", "iat": now, "exp": now + 30 * 86_400,
        "purpose": purpose,
    });
    forge(r#"{"alg":"HS256","typ":"rt+jwt"}"#, &payload.to_string(), &SECRET)
}

pub(crate) async fn an_adopted_refresh_token_becomes_a_session(store: Store) {
    let stack = adopting(&store);
    stack.at(HOUR);
    let first = stack.sessions.refresh(&old("refresh")).await.expect("the token is adopted");
    assert_eq!(asked(&stack, &first).await, None);
    let read = [first.access_token(), refresh_token(&first)].map(claims);
    for token in &read {
        assert_eq!(token["sid"], first.session_id());
        assert_eq!(token["auth_time"], BEGIN.as_secs());
        assert_eq!((&token["idle_max"], &token["abs_max"]), (&json!(259_200), &json!(1_209_600)));
        assert_eq!((&token["sub"], &token["tenant"]), (&json!("ada"), &json!("acme")));
    }
    assert_eq!(read[0]["exp"], (BEGIN + HOUR + 15 * MINUTE).as_secs());
    assert_eq!(read[1]["exp"], (BEGIN + 14 * DAY).as_secs());
    assert_eq!(first.absolute_expires_at(), BEGIN + 14 * DAY);
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    let page =
        stack.sessions.sessions(scope, ListQuery::first(9)).await.expect("the store answers");
    let sids: Vec<_> = page.items.iter().map(|record| record.sid.as_str()).collect();
    assert_eq!(sids, [first.session_id()]);
    let second = refreshed(stack.at(2 * HOUR), &first).await;
    for (old, new) in
        [(&read[0], claims(second.access_token())), (&read[1], claims(refresh_token(&second)))]
    {
        for name in ["sid", "auth_time", "idle_max", "abs_max", "sub", "tenant", "purpose"] {
            assert_eq!(old[name], new[name], "{name}");
        }
    }
}

pub(crate) async fn an_adopted_refresh_token_is_used_once(store: Store) {
    let stack = adopting(&store);
    let token = old("refresh");
    let first = stack.sessions.refresh(&token).await.expect("the token is adopted");
    let again = stack.sessions.refresh(&token).await.expect("within reuse_grace");
    assert_eq!(again, first);
    assert_eq!(asked(&stack, &first).await, None);
    stack.at(15_000 * MILLI);
    assert_eq!(refused(&stack, &token).await, RejectionKind::RefreshTokenReused);
    assert_revoked(&stack, &first).await;
    assert_eq!(refused(&stack, &token).await, INVALID);
    assert_eq!(details(&stack, "refresh_reuse_detected").await.len(), 1);
}

pub(crate) async fn an_adopted_session_is_revoked_with_all_others(store: Store) {
    let stack = adopting(&store);
    stack.at(MINUTE);
    let scope = stack.sessions.account_scope("acme");
    let exempt = tower_sliding_session::store::Exempt::None;
    assert_eq!(stack.sessions.revoke_all(scope, exempt).await.expect("the session is revoked"), 0);
    assert_eq!(refused(&stack, &old("refresh")).await, INVALID);
}

pub(crate) async fn p33_an_adopted_refresh_token_is_active_until_the_absolute_deadline(
    store: Store,
) {
    let stack = adopting(&store);
    stack.at(14 * DAY - MILLI);
    let grant = stack.sessions.refresh(&old("refresh")).await.expect("the token is adopted");
    assert_eq!(asked(&stack, &grant).await, None);
    stack.at(14 * DAY);
    let refused = refused(&stack, &old("refresh")).await;
    assert_eq!(refused, RejectionKind::SessionExpiredAbsolute);
}

pub(crate) async fn a_refresh_token_that_is_not_adopted_is_refused(store: Store) {
    let access_only = LegacyTokens::adopt(|_| Some(AdoptedSession::new("ada")));
    for (stack, purpose) in [
        (service(&store), "refresh"),
        (service_of(Policy::long_lived(), &store, |it| it.legacy_tokens(access_only)), "refresh"),
        (adopting(&store), "access"),
        (adopting(&store), "password-reset"),
    ] {
        assert_eq!(refused(&stack, &old(purpose)).await, INVALID, "{purpose}");
    }
    adopting(&store).sessions.refresh(&old("refresh")).await.expect("the token is not consumed");
}
