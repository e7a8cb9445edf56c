//! Whose tokens a change makes stale, on which node and for how long.

use serde_json::json;
use tower_sliding_session::{Policy, Session, lifecycle::ClaimsChangedError, store::ListQuery};

use super::{change, editor, get, role_of, roles_of, show_role};
use crate::{
    client::{ada, details, refreshed, service, service_of},
    empty_stores::Store,
    test_stack::{HOUR, MILLI, MINUTE, claims, renewed, with},
};

pub(crate) async fn p37_a_change_reaches_the_tokens_of_its_scope(store: Store) {
    let (stack, roles) = roles_of(&store, |builder| builder);
    let sessions = &stack.sessions;
    for (number, scope, reached) in [
        (0, sessions.user_scope(Some("acme"), "ada"), [true, false, false, false]),
        (1, sessions.subject_scope("ada"), [true, true, false, false]),
        (2, sessions.account_scope("acme"), [true, false, true, false]),
        (3, sessions.everything(), [true, true, true, true]),
    ] {
        stack.at(number * MINUTE);
        roles.set("editor");
        let mut tokens = Vec::new();
        for (tenant, sub) in
            [(Some("acme"), "ada"), (Some("globex"), "ada"), (Some("acme"), "bob"), (None, "joy")]
        {
            let start = sessions.start(sub);
            let start = if let Some(tenant) = tenant { start.tenant(tenant) } else { start };
            tokens.push(start.await.expect("the session starts").access_token().to_owned());
        }
        roles.asked();
        roles.set("reader");
        sessions.claims_changed(scope).await.expect("the store answers");
        for (token, is_reached) in tokens.iter().zip(reached) {
            let response = get(&stack, token).await;
            let successor = renewed(&response);
            assert_eq!(roles.asked(), usize::from(is_reached), "{number}");
            assert_eq!(successor.is_some(), is_reached, "{number}");
            let Some(successor) = successor else { continue };
            let (old, new) = (claims(token), claims(&successor));
            assert_eq!((&old["role"], &new["role"]), (&json!("editor"), &json!("reader")));
            assert!(new["claims_at"].as_u64() > old["claims_at"].as_u64());
            for name in ["sid", "sub", "tenant", "auth_time", "epoch", "idle_max", "abs_max"] {
                assert_eq!(old[name], new[name], "{name}");
            }
            assert_eq!(role_of(&stack, &successor).await, "reader");
            assert_eq!(roles.asked(), 0, "the successor is up to date");
        }
    }
}

pub(crate) async fn p37_another_node_asks_after_a_restart(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    change(&stack, &roles, "reader").await;
    drop((stack, roles));
    let (stack, roles) = roles_of(&store, |builder| builder);
    roles.set("reader");
    assert_eq!(role_of(&stack, grant.access_token()).await, "reader");
    assert_eq!(roles.asked(), 1);
}

/// The later change has the greater number, and the token carries the greatest of its scopes.
pub(crate) async fn p37_a_change_after_the_clock_was_set_back_counts(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    stack.at(10 * MINUTE);
    change(&stack, &roles, "reader").await;
    let response = get(&stack, grant.access_token()).await;
    let successor = renewed(&response).expect("the response carries the successor");
    stack.at(10 * MINUTE - 3000 * MILLI);
    roles.set("admin");
    let account = stack.sessions.account_scope("acme");
    stack.sessions.claims_changed(account).await.expect("the store answers");
    assert_eq!(role_of(&stack, &successor).await, "admin");
    stack.at(10 * MINUTE);
    change(&stack, &roles, "reader").await;
    assert_eq!(role_of(&stack, &successor).await, "reader");
}

/// Once every older token has expired, the number is removed.
pub(crate) async fn p37_a_number_is_kept_for_the_longest_token_lifetime(store: Store) {
    let policy = Policy::builder().idle_timeout(3 * HOUR).build().expect("a legal policy");
    let long = policy.to_builder().token_lifetime(2 * HOUR).build().expect("a legal policy");
    let roles = super::Roles::new();
    let source = roles.clone();
    let stack =
        service_of(policy, &store, |builder| builder.profile("long", long).claims_source(source));
    let start = stack.sessions.start("ada").tenant("acme").profile("long");
    let grant = start.await.expect("the session starts");
    roles.set("reader");
    change(&stack, &roles, "reader").await;
    stack.at(2 * HOUR - 1000 * MILLI);
    let changes = store.claims_changes().expect("the store supports them");
    changes.remove_expired(stack_now(&stack));
    assert_eq!(role_of(&stack, grant.access_token()).await, "reader");
    stack.at(3 * HOUR);
    changes.remove_expired(stack_now(&stack));
    let scopes = tower_sliding_session::identity::Scopes::new(None, Some("acme"), "ada");
    assert_eq!(changes.number_of(&scopes), None);
}

fn stack_now(stack: &crate::test_stack::TestStack) -> tower_sliding_session::Timestamp {
    tower_sliding_session::Clock::now(&stack.clock)
}

pub(crate) async fn p37_without_a_claims_source_a_change_is_an_error(store: Store) {
    let stack = service(&store);
    let grant = ada(&stack).await;
    let changed = stack.sessions.claims_changed(stack.sessions.everything()).await;
    assert_eq!(changed, Err(ClaimsChangedError::NoClaimsSource));
    let next = refreshed(&stack, &grant).await;
    assert_eq!(claims(next.access_token()).get("claims_at"), None);
}

pub(crate) async fn p40_a_change_is_audited_with_its_actor(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    let sessions = stack.sessions.clone();
    let handler = move |request: http::Request<()>| {
        let sessions = sessions.clone();
        async move {
            let session = request.extensions().get::<Session>().expect("authenticated").clone();
            let scope = sessions.user_scope(Some("acme"), "bob");
            sessions.claims_changed(scope).actor(&session).await.expect("the store answers");
            show_role(request).await
        }
    };
    stack.send_to(handler, with(grant.access_token())).await;
    assert_eq!(roles.asked(), 0);
    assert_eq!(details(&stack, "claims_changed").await, [json!({ "scope": "user" })]);
    let scope = stack.sessions.user_scope(Some("acme"), "bob");
    let page = stack.sessions.audit_log(scope, ListQuery::first(1)).await.expect("it answers");
    let ada = stack.sessions.user_scope(Some("acme"), "ada").key();
    assert_eq!(page.items[0].actor.as_ref().map(|actor| actor.user), Some(ada));
}
