//! Lists of sessions and users.

use tower_sliding_session::{Grant, identity::Scope, store::ListQuery};

use crate::{
    client::{DAY, ada, asked, long_tokens, record, refreshed, service, service_of, sign_in},
    empty_stores::Store,
    test_stack::{BEGIN, HOUR, MINUTE, TestStack},
};

/// The `sid`s of the active sessions of `scope`, page by page.
async fn pages(stack: &TestStack, scope: Scope, limit: u32) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut query = ListQuery::first(limit);
    loop {
        let page = stack.sessions.sessions(scope, query).await.expect("the store answers");
        pages.push(page.items.into_iter().map(|record| record.sid).collect());
        let Some(next) = page.next else { return pages };
        // In the text form that a client sends.
        let next = next.to_string().parse().expect("a cursor");
        query = ListQuery::first(limit).after(next);
    }
}

fn sids(grants: &[&Grant]) -> Vec<String> {
    grants.iter().map(|grant| grant.session_id().to_owned()).collect()
}

pub(crate) async fn a_users_sessions_are_paged_the_latest_sign_in_first(store: Store) {
    let stack = service(&store);
    let mut own = Vec::new();
    for minute in 1..=5 {
        stack.at(minute * MINUTE);
        own.push(ada(&stack).await);
        sign_in(&stack, "bob", "acme").await;
        sign_in(&stack, "ada", "globex").await;
    }
    let [one, two, three, four, five] =
        own.iter().collect::<Vec<_>>().try_into().expect("five parts");
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    let expected = [sids(&[five, four]), sids(&[three, two]), sids(&[one])];
    assert_eq!(pages(&stack, scope, 2).await, expected);
    assert_eq!(pages(&stack, scope, 5).await, [sids(&[five, four, three, two, one])]);
    let account = pages(&stack, stack.sessions.account_scope("acme"), 100).await;
    assert_eq!(account[0].len(), 10);
    assert_eq!(pages(&stack, stack.sessions.everything(), 100).await[0].len(), 15);
    let without_account = stack.sessions.user_scope(None, "ada");
    assert_eq!(pages(&stack, without_account, 2).await, [sids(&[])]);
}

pub(crate) async fn a_list_holds_active_sessions_only(store: Store) {
    let stack = service(&store);
    let idle = ada(&stack).await;
    let ended = ada(&stack).await;
    let active = ada(&stack).await;
    stack.sessions.revoke(ended.session_id()).await.expect("the session is revoked");
    let active = refreshed(stack.at(DAY), &active).await;
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    let mut both = sids(&[&idle, &active]);
    let mut listed = pages(&stack, scope, 9).await.remove(0);
    both.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, both);
    assert_eq!(pages(stack.at(3 * DAY), scope, 9).await, [sids(&[&active])]);
    assert_eq!(record(&stack, &idle).await, None);
    assert_eq!(pages(stack.at(4 * DAY), scope, 9).await, [sids(&[])]);
}

pub(crate) async fn a_record_describes_the_session_and_flags_the_callers(store: Store) {
    let stack = service_of(long_tokens(), &store, |builder| builder);
    let grant = ada(&stack).await;
    let other = ada(&stack).await;
    assert_eq!(asked(stack.at(2 * HOUR), &grant).await, None);
    let found = record(&stack, &grant).await.expect("the session is active");
    assert_eq!((found.sub.as_str(), found.tenant.as_deref()), ("ada", Some("acme")));
    assert_eq!((found.auth_time, found.ends_at), (BEGIN, BEGIN + 14 * DAY));
    assert_eq!((found.idle, found.last_seen), (3 * DAY, BEGIN + 2 * HOUR));
    assert_eq!((found.profile, found.sid.as_str()), (None, grant.session_id()));
    assert_eq!(found.key, stack.sessions.session_key(grant.session_id()));
    assert_ne!(found.key, stack.sessions.session_key(other.session_id()));
}

pub(crate) async fn an_accounts_users_are_listed_once(store: Store) {
    let stack = service(&store);
    for minute in [1, 2] {
        stack.at(minute * MINUTE);
        ada(&stack).await;
    }
    sign_in(stack.at(3 * MINUTE), "bob", "acme").await;
    sign_in(stack.at(4 * MINUTE), "eve", "globex").await;
    let users = stack.sessions.active_users("acme", 9).await.expect("the store answers");
    let users: Vec<_> = users.iter().map(|user| (user.sub.as_str(), user.last_login_at)).collect();
    assert_eq!(users, [("bob", BEGIN + 3 * MINUTE), ("ada", BEGIN + 2 * MINUTE)]);
    let one = stack.sessions.active_users("acme", 1).await.expect("the store answers");
    assert_eq!(one.len(), 1);
}
