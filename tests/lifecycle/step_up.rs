//! A session in the place of another: its user has proven again to be it.

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
    let long =
        Policy::long_lived().to_builder().idle_timeout(14 * DAY).build().expect("consistent");
    service_of(Policy::long_lived(), store, |builder| builder.profile("remember_me", long))
}

/// What a handler answers that has checked the password once more.
async fn step_up(sessions: SlidingSessions, request: Request<()>) -> Response<String> {
    let session = session(&request);
    let grant = sessions.reauthenticate(&session).await.expect("started");
    Response::new(serde_json::to_string(&grant).expect("JSON"))
}

/// A request with `token` to such a handler; the grant that it answers.
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
    let old = start.claims(&json!({ "role": "editor", "team": [7] })).await.expect("started");
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

pub(crate) async fn p21_a_step_up_ends_the_old_session_and_no_other(store: Store) {
    let stack = remembering(&store);
    let old = stack.sessions.start("ada").await.expect("started");
    let other = stack.sessions.start("ada").await.expect("started");
    let new = stepped_up(stack.at(MINUTE), old.access_token()).await;
    let revoked = Some(RejectionKind::SessionRevoked);
    assert_eq!(rejected(&stack.get(old.access_token()).await), revoked);
    let refused = refused(&stack, refresh_token(&old)).await;
    assert_eq!(refused, RejectionKind::InvalidRefreshToken);
    for token in [other.access_token(), token(&new, "access_token")] {
        assert_eq!(rejected(&stack.get(token).await), None);
    }
    stack.sessions.refresh(token(&new, "refresh_token")).await.expect("refreshed");
    let scope = stack.sessions.user_scope(None, "ada");
    let page = stack.sessions.sessions(scope, ListQuery::first(9)).await.expect("it answers");
    let listed: Vec<_> = page.items.iter().map(|record| record.sid.as_str()).collect();
    assert_eq!(listed, [token(&new, "session_id"), other.session_id()]);
    assert_eq!(details(&stack, "session_ended").await.len(), 1);
}

pub(crate) async fn p21_every_sign_in_is_a_session_of_its_own(store: Store) {
    let stack = remembering(&store);
    let grants = [
        stack.sessions.start("ada").await.expect("started"),
        stack.sessions.start("ada").await.expect("started"),
    ];
    assert_ne!(grants[0].session_id(), grants[1].session_id());
    let handler = async |_| {
        let grant = stack.sessions.start("ada").await.expect("started");
        Response::new(grant.session_id().to_owned())
    };
    let within = text(stack.send_to(handler, with(grants[0].access_token())).await).await;
    assert!(grants.iter().all(|grant| grant.session_id() != within));
    assert_eq!(rejected(&stack.get(grants[0].access_token()).await), None);
}

pub(crate) async fn p19_p21_a_step_up_of_an_abolished_profile_is_a_normal_session(store: Store) {
    let start = remembering(&store);
    let old = start.sessions.start("ada").profile("remember_me").await.expect("started");
    let stack = service_of(Policy::long_lived(), &store, |builder| builder);
    let new = stepped_up(stack.at(MINUTE), old.access_token()).await;
    let new = claims(token(&new, "access_token"));
    assert_eq!((new.get("session_profile"), &new["idle_max"]), (None, &json!(259_200)));
}

#[tokio::test]
async fn p21_a_store_for_the_layers_alone_is_enough() {
    let store = Arc::new(MemoryStore::new());
    let stack = TestStack::with(patient(), |builder| builder.store(store));
    let old = stack.sign_in().await;
    let new = stepped_up(stack.at(HOUR / 2), &old).await;
    let revoked = Some(RejectionKind::SessionRevoked);
    assert_eq!(rejected(&stack.get(&old).await), revoked);
    assert_eq!(rejected(&stack.get(token(&new, "access_token")).await), None);
}

/// Tells who everybody is by now.
struct Now(fn() -> ClaimsUpdate);

impl ClaimsSource for Now {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        MaybeReady::ready(Ok((self.0)()))
    }
}

/// The claims of a session that steps up, begun as an admin's.
async fn role_after_step_up(store: &Store, now: fn() -> ClaimsUpdate) -> Option<Value> {
    let stack = service_of(Policy::long_lived(), store, |builder| builder.claims_source(Now(now)));
    let start = stack.sessions.start("ada").tenant("acme");
    let old = start.claims(&json!({ "role": "admin" })).await.expect("started");
    let handler = async |request: Request<()>| {
        let session = session(&request);
        let grant = stack.sessions.reauthenticate(&session).await;
        Response::new(grant.map_or_else(|_| String::new(), |it| it.access_token().to_owned()))
    };
    let token = text(stack.send_to(handler, with(old.access_token())).await).await;
    (!token.is_empty()).then(|| claims(&token)["role"].clone())
}

pub(crate) async fn p02_a_step_up_asks_who_the_user_is_today(store: Store) {
    let guest = || ClaimsUpdate::replace(&json!({ "role": "guest" })).expect("an object");
    assert_eq!(role_after_step_up(&store, guest).await, Some("guest".into()));
    assert_eq!(role_after_step_up(&store, || ClaimsUpdate::Keep).await, Some("admin".into()));
    assert_eq!(role_after_step_up(&store, || ClaimsUpdate::Deny).await, None);
    assert_eq!(role_after_step_up(&store, || ClaimsUpdate::End).await, None);
}
