//! The security log of one scripted session.

use std::sync::Arc;

use serde_json::{Value, json};
use tower_sliding_session::{
    Grant, MaybeReady, Policy, RejectionKind,
    audit::{AuditRecord, AuditSink, LogCategory},
    policy::TimeoutOverrides,
    store::{Exempt, ListQuery, LogScope, StoreError},
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};

use crate::{
    client::{
        DAY, ada, asked, long_tokens, refresh_token, refreshed, refused, security_log, service,
        service_of, sign_in, signs_out,
    },
    empty_stores::Store,
    test_stack::{BEGIN, HOUR, MINUTE},
};

/// A claims source that denies the given users.
struct Denies(&'static str);

impl ClaimsSource for Denies {
    fn current_claims(&self, token: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        let denied = &*token.claims().sub == self.0;
        MaybeReady::ready(Ok(if denied { ClaimsUpdate::Deny } else { ClaimsUpdate::Keep }))
    }
}

fn shown(rows: &[AuditRecord]) -> Vec<(&str, Value)> {
    rows.iter().map(|row| (&*row.event, serde_json::from_str(&row.detail).expect("JSON"))).collect()
}

pub(crate) async fn the_events_of_a_session_are_logged_in_order(store: Store) {
    let stack = service_of(Policy::long_lived(), &store, |it| it.claims_source(Denies("mallory")));
    let grant = ada(&stack).await;
    let grant = refreshed(stack.at(MINUTE), &grant).await;
    assert_eq!(asked(stack.at(9 * MINUTE), &grant).await, None);
    let overrides = TimeoutOverrides::new().idle(HOUR);
    let changed = stack.at(10 * MINUTE).sessions.change_account_policy("acme", |_| overrides);
    changed.await.expect("within the bounds");
    let two = [ada(stack.at(11 * MINUTE)).await, ada(stack.at(12 * MINUTE)).await];
    stack.sessions.revoke(two[0].session_id()).await.expect("the session is revoked");
    stack.at(13 * MINUTE);
    refreshed(&stack, &two[1]).await;
    stack.at(14 * MINUTE);
    assert_eq!(refused(&stack, refresh_token(&two[1])).await, RejectionKind::RefreshTokenReused);
    stack.at(75 * MINUTE);
    assert_eq!(refused(&stack, refresh_token(&grant)).await, RejectionKind::SessionExpiredIdle);
    let mallory = sign_in(stack.at(76 * MINUTE), "mallory", "acme").await;
    stack.at(77 * MINUTE);
    assert_eq!(refused(&stack, refresh_token(&mallory)).await, RejectionKind::InvalidRefreshToken);
    stack.at(78 * MINUTE);
    let mallorys = stack.sessions.user_scope(Some("acme"), "mallory");
    stack.sessions.revoke_all(mallorys, Exempt::None).await.expect("the session is revoked");
    stack.at(79 * MINUTE);
    assert_eq!(asked(&stack, &mallory).await, Some(RejectionKind::SessionRevoked));
    let last = ada(stack.at(80 * MINUTE)).await;
    signs_out(stack.at(81 * MINUTE), &last).await;

    let limits = |idle: Value, absolute: Value| json!({ "idle_timeout": idle, "absolute_timeout": absolute });
    let update = json!({
        "old": limits(Value::Null, Value::Null),
        "new": limits(3600.into(), Value::Null),
        "effective_old": limits(259_200.into(), 1_209_600.into()),
        "effective_new": limits(3600.into(), 1_209_600.into()),
    });
    let nothing = json!({});
    let rows = security_log(&stack).await;
    assert_eq!(
        shown(&rows),
        [
            ("session_started", nothing.clone()),
            ("session_renewed", nothing.clone()),
            ("session_renewed", nothing.clone()),
            ("session_policy_update", update),
            ("session_started", nothing.clone()),
            ("session_started", nothing.clone()),
            ("session_ended", nothing.clone()),
            ("session_renewed", nothing.clone()),
            ("refresh_reuse_detected", nothing.clone()),
            ("session_expired", json!({ "limit": "idle", "inactive_for": 66 * 60 })),
            ("session_started", nothing.clone()),
            ("renewal_denied", nothing.clone()),
            ("sessions_revoked_bulk", json!({ "scope": "subject", "revoked_count": 1 })),
            ("token_rejected", json!({ "code": "session_revoked" })),
            ("session_started", nothing.clone()),
            ("session_ended", nothing),
        ]
    );
    assert!(rows.is_sorted_by_key(|row| row.at));
    assert_eq!(stack.sessions.audit_queue().expect("an audit queue").dropped(), 0);
    let account = Some(stack.sessions.account_scope("acme").key());
    for row in rows.iter().filter(|row| row.event != "sessions_revoked_bulk") {
        assert_eq!(row.account, account, "{}", row.event);
    }
}

pub(crate) async fn an_expired_session_is_logged_with_its_expiry_reason(store: Store) {
    let all_in_one =
        Policy::long_lived().to_builder().idle_timeout(14 * DAY).token_lifetime(14 * DAY);
    for (policy, limit, kind) in [
        (long_tokens(), "idle", RejectionKind::SessionExpiredIdle),
        (
            all_in_one.build().expect("a legal configuration"),
            "absolute",
            RejectionKind::SessionExpiredAbsolute,
        ),
    ] {
        let stack = service_of(policy, &store, |builder| builder);
        let grant = ada(&stack).await;
        stack.at(14 * DAY);
        assert_eq!(asked(&stack, &grant).await, Some(kind));
        assert_eq!(refused(&stack, refresh_token(&grant)).await, kind);
        let own = stack.sessions.session_key(grant.session_id());
        let rows = security_log(&stack).await.into_iter().filter(|row| row.session == Some(own));
        let expired = json!({ "limit": limit, "inactive_for": 14 * 86_400 });
        let expired = ("session_expired", expired);
        let expected = [("session_started", json!({})), expired.clone(), expired];
        assert_eq!(shown(&rows.collect::<Vec<_>>()), expected);
    }
}

pub(crate) async fn rows_hold_no_subject_or_name(store: Store) {
    let stack = service(&store);
    let grant = stack.sessions.start("countess-lovelace").tenant("byron-estate");
    let grant =
        grant.claims(&json!({ "mail": "ada@byron.example" })).await.expect("the session starts");
    signs_out(&stack, &refreshed(&stack, &grant).await).await;
    assert_eq!(refused(&stack, "countess-lovelace").await, RejectionKind::InvalidRefreshToken);
    for AuditRecord { event, detail, .. } in security_log(&stack).await {
        for name in ["lovelace", "byron", grant.session_id(), "ey"] {
            assert!(!event.contains(name) && !detail.contains(name), "{event} {detail}");
        }
    }
}

pub(crate) async fn a_log_holds_the_rows_of_its_scope_only(store: Store) {
    let stack = service(&store);
    let (one, other): (Grant, Grant) = (ada(&stack).await, sign_in(&stack, "bob", "globex").await);
    stack.at(MINUTE);
    for grant in [&one, &other] {
        stack.sessions.revoke(grant.session_id()).await.expect("the session is revoked");
    }
    let read = async |scope| {
        let log = LogScope { category: LogCategory::Security, scope };
        let page = stack.sessions.log(log, ListQuery::first(9)).await.expect("the store answers");
        page.items.into_iter().map(|row| (row.session, row.at)).collect::<Vec<_>>()
    };
    let key = Some(stack.sessions.session_key(one.session_id()));
    let own = [(key, BEGIN + MINUTE), (key, BEGIN)];
    assert_eq!(read(stack.sessions.user_scope(Some("acme"), "ada")).await, own);
    assert_eq!(read(stack.sessions.account_scope("acme")).await, own);
    assert_eq!(read(stack.sessions.everything()).await.len(), 4);
}

struct Full;

impl AuditSink for Full {
    fn record(&self, _: Vec<AuditRecord>) -> MaybeReady<()> {
        MaybeReady::ready(Err(StoreError::new("the disk is full")))
    }
}

pub(crate) async fn events_that_a_sink_drops_are_counted_and_fail_no_request(store: Store) {
    let stack =
        service_of(Policy::long_lived(), &store, |builder| builder.audit_sink(Arc::new(Full)));
    let grant = refreshed(&stack, &ada(&stack).await).await;
    assert_eq!(asked(stack.at(8 * MINUTE), &grant).await, None);
    let audit_queue = stack.sessions.audit_queue().expect("an audit queue");
    audit_queue.flush().await;
    assert_eq!(audit_queue.dropped(), 2);
    signs_out(&stack, &grant).await;
    audit_queue.flush().await;
    assert_eq!(audit_queue.dropped(), 2, "the store wrote the sign-out in its transaction");
}
