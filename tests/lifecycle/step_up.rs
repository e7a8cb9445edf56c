//! Step-up: a new session replaces another after its user has authenticated again.

use std::sync::Arc;

use http::{Request, Response};
use serde_json::{Value, json};
use tower_sliding_session::{
    MaybeReady, Policy, RejectionKind, SlidingSessions,
    store::{ListQuery, MemoryStore},
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};

use crate::{
    client::{DAY, details, refresh_token, refused, service_of, session},
    empty_stores::Store,
    test_stack::{BEGIN, HOUR, MINUTE, TestStack, claims, patient, rejected, text, with},
};

fn remembering(store: &Store) -> TestStack {
    let long = Policy::long_lived()
        .to_builder()
        .idle_timeout(14 * DAY)
        .build()
        .expect("a legal configuration");
    service_of(Policy::long_lived(), store, |builder| builder.profile("remember_me", long))
}

/// The response of a handler that has checked the password again.
async fn step_up(sessions: SlidingSessions, request: Request<()>) -> Response<String> {
    let session = session(&request);
    let grant = sessions.reauthenticate(&session).await.expect("the session starts");
    Response::new(serde_json::to_string(&grant).expect("JSON"))
}

/// Sends a request with `token` to such a handler and returns the grant in its response.
async fn stepped_up(stack: &TestStack, token: &str) -> Value {
    let handler = |request| step_up(stack.sessions.clone(), request);
    let response = stack.send_to(handler, with(token)).await;
    assert_eq!(rejected(&response), None);
    serde_json::from_str(&text(response).await).expect("JSON")
}

fn token<'a>(grant: &'a Value, name: &str) -> &'a str {
    grant[name].as_str().expect("a token")
}

pub(crate) async fn p21_a_step_up_is_a_new_session_of_the_same_user(store: Store) {
    let stack = remembering(&store);
    let start = stack.sessions.start("ada").tenant("acme").profile("remember_me");
    let old =
        start.claims(&json!({ "role": "editor", "team": [7] })).await.expect("the session starts");
    stack.at(10 * MINUTE);
    let new = stepped_up(&stack, old.access_token()).await;
    assert_eq!(new["absolute_expires_at"], (BEGIN + 10 * MINUTE + 14 * DAY).to_string());
    assert_ne!(new["session_id"], old.session_id());
    for (old, new) in [
        (old.access_token(), token(&new, "access_token")),
        (refresh_token(&old), token(&new, "refresh_token")),
    ]
    .map(|(old, new)| (claims(old), claims(new)))
    {
        for name in ["sub", "tenant", "session_profile", "role", "team", "idle_max", "abs_max"] {
            assert_eq!(old[name], new[name], "{name}");
        }
        for name in ["sid", "jti", "auth_time", "epoch"] {
            assert_ne!(old[name], new[name], "{name}");
        }
        assert_eq!(new["auth_time"], (BEGIN + 10 * MINUTE).as_secs());
    }
}

pub(crate) async fn p21_a_step_up_revokes_the_old_session_only(store: Store) {
    let stack = remembering(&store);
    let old = stack.sessions.start("ada").await.expect("the session starts");
    let other = stack.sessions.start("ada").await.expect("the session starts");
    let new = stepped_up(stack.at(MINUTE), old.access_token()).await;
    let revoked = Some(RejectionKind::SessionRevoked);
    assert_eq!(rejected(&stack.get(old.access_token()).await), revoked);
    let refused = refused(&stack, refresh_token(&old)).await;
    assert_eq!(refused, RejectionKind::InvalidRefreshToken);
    for token in [other.access_token(), token(&new, "access_token")] {
        assert_eq!(rejected(&stack.get(token).await), None);
    }
    stack.sessions.refresh(token(&new, "refresh_token")).await.expect("the token is refreshed");
    let scope = stack.sessions.user_scope(None, "ada");
    let page =
        stack.sessions.sessions(scope, ListQuery::first(9)).await.expect("the store answers");
    let listed: Vec<_> = page.items.iter().map(|record| record.sid.as_str()).collect();
    assert_eq!(listed, [token(&new, "session_id"), other.session_id()]);
    assert_eq!(details(&stack, "session_ended").await.len(), 1);
}

pub(crate) async fn p21_every_sign_in_starts_a_new_session(store: Store) {
    let stack = remembering(&store);
    let grants = [
        stack.sessions.start("ada").await.expect("the session starts"),
        stack.sessions.start("ada").await.expect("the session starts"),
    ];
    assert_ne!(grants[0].session_id(), grants[1].session_id());
    let handler = async |_| {
        let grant = stack.sessions.start("ada").await.expect("the session starts");
        Response::new(grant.session_id().to_owned())
    };
    let within = text(stack.send_to(handler, with(grants[0].access_token())).await).await;
    assert!(grants.iter().all(|grant| grant.session_id() != within));
    assert_eq!(rejected(&stack.get(grants[0].access_token()).await), None);
}

pub(crate) async fn p19_p21_a_step_up_from_an_unknown_profile_starts_a_normal_session(
    store: Store,
) {
    let start = remembering(&store);
    let old = start.sessions.start("ada").profile("remember_me").await.expect("the session starts");
    let stack = service_of(Policy::long_lived(), &store, |builder| builder);
    let new = stepped_up(stack.at(MINUTE), old.access_token()).await;
    let new = claims(token(&new, "access_token"));
    assert_eq!((new.get("session_profile"), &new["idle_max"]), (None, &json!(259_200)));
}

#[tokio::test]
async fn p21_a_step_up_needs_a_session_store_only() {
    let store = Arc::new(MemoryStore::new());
    let stack = TestStack::with(patient(), |builder| builder.store(store));
    let old = stack.sign_in().await;
    let new = stepped_up(stack.at(HOUR / 2), &old).await;
    let revoked = Some(RejectionKind::SessionRevoked);
    assert_eq!(rejected(&stack.get(&old).await), revoked);
    assert_eq!(rejected(&stack.get(token(&new, "access_token")).await), None);
}

/// A claims source that returns current claims.
struct Now(fn() -> ClaimsUpdate);

impl ClaimsSource for Now {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        MaybeReady::ready(Ok((self.0)()))
    }
}

/// The claims after the step-up of a session that started as an admin's.
async fn role_after_step_up(store: &Store, now: fn() -> ClaimsUpdate) -> Option<Value> {
    let stack = service_of(Policy::long_lived(), store, |builder| builder.claims_source(Now(now)));
    let start = stack.sessions.start("ada").tenant("acme");
    let old = start.claims(&json!({ "role": "admin" })).await.expect("the session starts");
    let handler = async |request: Request<()>| {
        let session = session(&request);
        let grant = stack.sessions.reauthenticate(&session).await;
        Response::new(grant.map_or_else(|_| String::new(), |it| it.access_token().to_owned()))
    };
    let token = text(stack.send_to(handler, with(old.access_token())).await).await;
    (!token.is_empty()).then(|| claims(&token)["role"].clone())
}

pub(crate) async fn p02_a_step_up_asks_the_claims_source(store: Store) {
    let guest = || ClaimsUpdate::replace(&json!({ "role": "guest" })).expect("an object");
    assert_eq!(role_after_step_up(&store, guest).await, Some("guest".into()));
    assert_eq!(role_after_step_up(&store, || ClaimsUpdate::Keep).await, Some("admin".into()));
    assert_eq!(role_after_step_up(&store, || ClaimsUpdate::Deny).await, None);
    assert_eq!(role_after_step_up(&store, || ClaimsUpdate::End).await, None);
}
