//! The audit log, and the sinks that receive its records.

use std::sync::{Arc, Mutex};

use http::Request;
use serde_json::{Value, json};
use tower_sliding_session::{
    Grant, MaybeReady, Policy, RejectionKind, Session,
    audit::{AuditRecord, AuditSink},
    policy::TimeoutOverrides,
    request_class::RequestHead,
    store::{Exempt, ListQuery, StoreError},
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};

use crate::{
    client::{
        DAY, ada, asked, long_tokens, refresh_token, refreshed, refused, security_log, service,
        service_of, sign_in, signs_out,
    },
    empty_stores::{self, Store},
    test_stack::{BEGIN, HOUR, MINUTE, TestStack, ok, with},
    unreliable_store::{State, UnreliableStore},
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
    rows.iter()
        .map(|row| (row.event.name(), serde_json::from_str(&row.event.detail()).expect("JSON")))
        .collect()
}

/// Signs in a user whom the claims source denies at the refresh.
async fn mallory(stack: &TestStack) -> Grant {
    let start = stack.sessions.start("mallory").tenant("acme").claims(&json!({ "role": "guest" }));
    start.await.expect("the session starts")
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
    let next = refreshed(&stack, &two[1]).await;
    assert_eq!(asked(&stack, &next).await, None);
    stack.at(14 * MINUTE);
    assert_eq!(refused(&stack, refresh_token(&two[1])).await, RejectionKind::RefreshTokenReused);
    stack.at(75 * MINUTE);
    assert_eq!(refused(&stack, refresh_token(&grant)).await, RejectionKind::SessionExpiredIdle);
    let mallory = mallory(stack.at(76 * MINUTE)).await;
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
            ("session_ended", json!({ "cause": "revoked" })),
            ("session_renewed", nothing.clone()),
            ("refresh_reuse_detected", nothing.clone()),
            ("session_expired", json!({ "reason": "idle", "inactive_for": 66 * 60 })),
            ("session_started", nothing.clone()),
            ("renewal_denied", nothing.clone()),
            ("sessions_revoked_bulk", json!({ "scope": "user", "revoked_count": 1 })),
            ("token_rejected", json!({ "code": "session_revoked", "cause": "user_cutoff" })),
            ("session_started", nothing.clone()),
            ("session_ended", json!({ "cause": "signed_out" })),
        ]
    );
    assert!(rows.is_sorted_by_key(|row| row.at));
    assert_eq!(stack.sessions.audit_queue().expect("an audit queue").dropped(), 0);
    let account = Some(stack.sessions.account_scope("acme").key());
    for row in rows.iter().filter(|row| row.event.name() != "sessions_revoked_bulk") {
        assert_eq!(row.subject.account, account, "{}", row.event.name());
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
        let rows =
            security_log(&stack).await.into_iter().filter(|row| row.subject.session == Some(own));
        let expired = json!({ "reason": limit, "inactive_for": 14 * 86_400 });
        // The refresh is refused within a minute of the request, with the same code.
        let expected = [("session_started", json!({})), ("session_expired", expired)];
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
    for AuditRecord { event, subject, .. } in security_log(&stack).await {
        assert_eq!(subject.sub, None, "{}", event.name());
        let (event, detail) = (event.name(), event.detail());
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
        let page =
            stack.sessions.audit_log(scope, ListQuery::first(9)).await.expect("the store answers");
        page.items.into_iter().map(|row| (row.subject.session, row.at)).collect::<Vec<_>>()
    };
    let key = Some(stack.sessions.session_key(one.session_id()));
    let own = [(key, BEGIN + MINUTE), (key, BEGIN)];
    assert_eq!(read(stack.sessions.user_scope(Some("acme"), "ada")).await, own);
    assert_eq!(read(stack.sessions.account_scope("acme")).await, own);
    assert_eq!(read(stack.sessions.everything()).await.len(), 4);
}

/// Keeps nothing.
struct Full;

impl AuditSink for Full {
    fn record(&self, _: Arc<[AuditRecord]>) -> MaybeReady<()> {
        MaybeReady::ready(Err(StoreError::new("the disk is full")))
    }
}

pub(crate) async fn records_that_a_sink_does_not_keep_are_counted(store: Store) {
    let stack = service_of(Policy::long_lived(), &store, |builder| builder.audit_sink(Full));
    let grant = refreshed(&stack, &ada(&stack).await).await;
    assert_eq!(asked(stack.at(8 * MINUTE), &grant).await, None);
    let audit_queue = stack.sessions.audit_queue().expect("an audit queue");
    audit_queue.flush().await;
    assert_eq!(audit_queue.dropped(), 3, "started, refreshed, renewed");
    signs_out(&stack, &grant).await;
    audit_queue.flush().await;
    assert_eq!(audit_queue.dropped(), 4);
    assert_eq!(security_log(&stack).await.len(), 4, "the log of the store has room");
}

/// Keeps every record.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<AuditRecord>>>);

impl AuditSink for Records {
    fn record(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()> {
        self.0.lock().expect("not poisoned").extend_from_slice(&records);
        MaybeReady::ready(Ok(()))
    }
}

impl Records {
    async fn flushed(&self, stack: &TestStack) -> Vec<AuditRecord> {
        stack.sessions.audit_queue().expect("there is one").flush().await;
        self.0.lock().expect("not poisoned").clone()
    }
}

pub(crate) async fn every_sink_receives_every_event_of_the_stores_log_once(store: Store) {
    let (one, other) = (Records::default(), Records::default());
    let stack = service_of(Policy::long_lived(), &store, |builder| {
        let sinks = builder.audit_sink(one.clone()).audit_sink(other.clone());
        sinks.claims_source(Denies("mallory"))
    });
    let grant = ada(&stack).await;
    let grant = refreshed(stack.at(MINUTE), &grant).await;
    assert_eq!(asked(stack.at(9 * MINUTE), &grant).await, None);
    let overrides = TimeoutOverrides::new().idle(HOUR);
    let changed = stack.at(10 * MINUTE).sessions.change_account_policy("acme", |_| overrides);
    changed.await.expect("in bounds");
    let two = [ada(stack.at(11 * MINUTE)).await, ada(stack.at(12 * MINUTE)).await];
    stack.sessions.revoke(two[0].session_id()).await.expect("revoked");
    let next = refreshed(stack.at(13 * MINUTE), &two[1]).await;
    assert_eq!(asked(&stack, &next).await, None);
    stack.at(14 * MINUTE);
    assert_eq!(refused(&stack, refresh_token(&two[1])).await, RejectionKind::RefreshTokenReused);
    stack.at(75 * MINUTE);
    assert_eq!(refused(&stack, refresh_token(&grant)).await, RejectionKind::SessionExpiredIdle);
    let mallory = mallory(stack.at(76 * MINUTE)).await;
    assert_eq!(refused(&stack, refresh_token(&mallory)).await, RejectionKind::InvalidRefreshToken);
    let scope = stack.sessions.user_scope(Some("acme"), "mallory");
    let revoke_all = async || stack.sessions.revoke_all(scope, Exempt::None).await;
    assert_eq!(revoke_all().await.expect("revoked"), 1);
    assert_eq!(revoke_all().await.expect("revoked"), 0, "audited as well");
    stack.sessions.claims_changed(scope).await.expect("the store answers");
    assert_eq!(asked(stack.at(79 * MINUTE), &mallory).await, Some(RejectionKind::SessionRevoked));
    let last = ada(stack.at(80 * MINUTE)).await;
    signs_out(stack.at(81 * MINUTE), &last).await;

    let events = one.flushed(&stack).await;
    let mut names: Vec<_> = events.iter().map(|record| record.event.name()).collect();
    names.sort_unstable();
    names.dedup();
    let every = [
        "claims_changed",
        "refresh_reuse_detected",
        "renewal_denied",
        "session_ended",
        "session_expired",
        "session_policy_update",
        "session_renewed",
        "session_started",
        "sessions_revoked_bulk",
        "token_rejected",
    ];
    assert_eq!(names, every);
    assert_eq!(other.flushed(&stack).await, events);
    let (mut stored, mut delivered) = (security_log(&stack).await, events);
    for records in [&mut stored, &mut delivered] {
        // Records of one instant are stored in the order of their transactions.
        records.sort_by_key(|record| (record.at, record.event.name().to_owned()));
    }
    assert_eq!(stored, delivered);
}

pub(crate) async fn a_failed_transaction_is_reported_to_no_sink(store: Store) {
    let records = Records::default();
    let unreliable = UnreliableStore::new(store);
    let stack = TestStack::with(Policy::long_lived(), |builder| {
        builder.lifecycle_store(Arc::clone(&unreliable)).audit_sink(records.clone())
    });
    let grant = sign_in(&stack, "ada", "acme").await;
    let started = records.flushed(&stack).await;
    assert_eq!(started.len(), 1);
    unreliable.set_state(State::Failing);
    stack.sessions.start("bob").await.expect_err("the store fails");
    stack.sessions.revoke(grant.session_id()).await.expect_err("the store fails");
    let scope = stack.sessions.everything();
    stack.sessions.revoke_all(scope, Exempt::None).await.expect_err("the store fails");
    let overrides = TimeoutOverrides::new().idle(HOUR);
    let changed = stack.sessions.change_account_policy("acme", |_| overrides).await;
    changed.expect_err("the store fails");
    assert_eq!(records.flushed(&stack).await, started);
    unreliable.set_state(State::Up);
    stack.sessions.revoke(grant.session_id()).await.expect("revoked");
    stack.sessions.revoke(grant.session_id()).await.expect("it is revoked already");
    assert_eq!(records.flushed(&stack).await.len(), 2, "the second call changed nothing");
}

pub(crate) async fn plain_subjects_are_recorded_only_on_request(store: Store) {
    let records = Records::default();
    let stack = service_of(Policy::long_lived(), &store, |builder| {
        builder.audit_sink(records.clone()).audit_plain_subjects()
    });
    let grant = refreshed(&stack, &ada(&stack).await).await;
    stack.sessions.revoke(grant.session_id()).await.expect("revoked");
    for records in [records.flushed(&stack).await, security_log(&stack).await] {
        let subs: Vec<_> = records.iter().map(|record| record.subject.sub.as_deref()).collect();
        assert_eq!(subs, [Some("ada"); 3]);
    }
}

/// The session of `grant`, as a handler receives it.
async fn session_of(stack: &TestStack, grant: &Grant) -> Session {
    let seen = Arc::new(Mutex::new(None));
    let handler = {
        let seen = Arc::clone(&seen);
        move |request: Request<()>| {
            *seen.lock().expect("not poisoned") = request.extensions().get::<Session>().cloned();
            std::future::ready(ok())
        }
    };
    stack.send_to(handler, with(grant.access_token())).await;
    seen.lock().expect("not poisoned").take().expect("the request is authenticated")
}

pub(crate) async fn p40_a_record_names_its_actor(store: Store) {
    let stack = service(&store);
    let (owner, bob) = (ada(&stack).await, sign_in(&stack, "bob", "acme").await);
    let actor = session_of(&stack, &owner).await;
    let sessions = &stack.sessions;
    let overrides = TimeoutOverrides::new().idle(HOUR);
    let change = sessions.change_account_policy("acme", |_| overrides).actor(&actor);
    change.await.expect("in bounds");
    sessions.revoke(bob.session_id()).actor(&actor).await.expect("revoked");
    let scope = sessions.account_scope("acme");
    sessions.revoke_all(scope, Exempt::None).actor(&actor).await.expect("revoked");
    let ada = sessions.user_scope(Some("acme"), "ada").key();
    let rows = security_log(&stack).await;
    for row in &rows {
        let expected = (row.event.name() != "session_started").then_some(ada);
        assert_eq!(row.actor.as_ref().map(|actor| actor.user), expected, "{row:?}");
    }
    assert_eq!(rows.len(), 5);
}

pub(crate) async fn p40_the_requests_of_one_expired_token_displace_no_rows(store: Store) {
    let stack = service_of(long_tokens(), &store, |builder| builder);
    let (eve, ada) = (sign_in(&stack, "eve", "globex").await, ada(&stack).await);
    stack.at(3 * DAY);
    let requests = async || {
        for _ in 0..6_000 {
            assert_eq!(asked(&stack, &eve).await, Some(RejectionKind::SessionExpiredIdle));
        }
        let refresh_token = refresh_token(&eve);
        for token in [refresh_token, "", "x.y.z", &refresh_token[..refresh_token.len() - 4]] {
            for _ in 0..500 {
                refused(&stack, token).await;
            }
        }
    };
    requests().await;
    stack.at(3 * DAY + MINUTE);
    requests().await;
    let of = async |tenant| {
        let scope = stack.sessions.account_scope(tenant);
        let page = stack.sessions.audit_log(scope, ListQuery::first(9)).await;
        let names = page.expect("the store answers").items.into_iter();
        names.map(|row| row.event.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("globex").await, ["session_expired", "session_expired", "session_started"]);
    assert_eq!(of("acme").await, ["session_started"]);
    assert_eq!(stack.sessions.audit_queue().expect("an audit queue").dropped(), 0);
    drop(ada);
}

/// The store does not know the session: after a restart of a store that forgets, or of another node.
pub(crate) async fn p40_each_sign_out_of_an_unknown_session_is_logged_once(store: Store) {
    let elsewhere = service(&empty_stores::memory().await);
    let (one, two) = (ada(&elsewhere).await, ada(&elsewhere).await);
    let stack = service(&store);
    signs_out(&stack, &one).await;
    let signs_out_by_token = async |grant: &Grant| {
        let request = with(grant.access_token());
        let signed_out = stack.sessions.sign_out_request(RequestHead::new(&request)).await;
        drop(signed_out.expect("the store answers"));
    };
    for _ in 0..3 {
        for grant in [&one, &two] {
            signs_out_by_token(grant).await;
        }
        stack.sessions.revoke(one.session_id()).await.expect("the session is revoked");
    }
    // By its `sid` alone, before a token names its user.
    let three = ada(&elsewhere).await;
    stack.sessions.revoke(three.session_id()).await.expect("the session is revoked");
    signs_out_by_token(&three).await;
    // Nothing is left to end, and the token still verifies.
    let over = ada(&elsewhere).await;
    stack.at(100 * DAY);
    signs_out_by_token(&over).await;
    let rows = security_log(&stack).await;
    let ended: Vec<_> = rows.iter().filter(|row| row.event.name() == "session_ended").collect();
    let sessions = ended.iter().map(|row| row.subject.session).collect::<Vec<_>>();
    let expected = [&one, &two, &three].map(|it| Some(stack.sessions.session_key(it.session_id())));
    assert_eq!(sessions, expected);
    let users = ended.iter().map(|row| row.subject.user.is_some());
    assert_eq!(users.collect::<Vec<_>>(), [true, true, false], "a token names the user");
}
