//! Sign-ins under a limit that fail, or whose endings do.

use super::{nodes::*, sign_in::limited, *};
use crate::{
    clock::ManualClock,
    identity::Scope,
    store::{LifecycleQueries as _, LifecycleStore as _, ListQuery},
};

/// A node that is a user of the server whose rights are set.
async fn node_with_rights(server: &RedisServer, clock: &ManualClock) -> RedisStore {
    set_rights(server, &["~*"]);
    let address = server.url().replacen("://", "://app:pass@", 1);
    let store = RedisStore::at(address).time_limit(BOUND).audit_log(true).clock(clock.clone());
    store.connect().await.expect("the server runs")
}

fn set_rights(server: &RedisServer, keys: &[&str]) {
    let user = ["ACL", "SETUSER", "app", "reset", "on", ">pass", "+@all"];
    server.command(&[&user, keys].concat());
}

#[tokio::test]
async fn p23_a_limited_sign_in_that_fails_ends_no_session() {
    let (server, clock) = (RedisServer::start(), ManualClock::new(NOW));
    let one = node_with_rights(&server, &clock).await;
    let before = begin(&one, "before").await;
    // The directory of subjects can be read, and no session be added to it.
    set_rights(&server, &["~tss:{*", "~tss:d:*", "%R~tss:b:*"]);
    one.begin(limited("after", NOW, 1)).await.expect_err("it cannot be listed");
    assert_eq!(touched(&one, &before).await, TouchOutcome::Active(Some(NOW)));
    set_rights(&server, &["~*"]);
    let begun = one.begin(limited("after", NOW, 1)).await.expect("the server answers").begun();
    assert_eq!(begun.expect("it begins").ended.len(), 1);
    assert_eq!(touched(&one, &before).await, TouchOutcome::Ended);
}

#[tokio::test]
async fn p23_a_session_beyond_the_limit_whose_end_fails_ends_later() {
    let (server, clock) = (RedisServer::start(), ManualClock::new(NOW));
    let one = node_with_rights(&server, &clock).await;
    let other = node(&server).await;
    let before = begin(&one, "before").await;
    // Everything but publishing.
    set_rights(&server, &["~tss:{??*}*", "~tss:[bd]:*", "~tss:{g}:[fqm]"]);
    let begun = one.begin(limited("after", NOW, 1)).await.expect("it has begun").begun();
    assert_eq!(begun.expect("no limit refuses it").ended.len(), 1);
    assert_eq!(touched(&one, &before).await, TouchOutcome::Ended);
    assert_eq!(touched(&other, &before).await, TouchOutcome::Active(Some(NOW)));
    set_rights(&server, &["~*"]);
    clock.advance(Duration::from_secs(30));
    one.0.repair().await.expect("the server answers");
    other.0.sync_now().await.expect("the server answers");
    assert_eq!(touched(&other, &before).await, TouchOutcome::Ended);
    let user = Scope::User(before.scopes.user);
    let log = one.audit_log(user, ListQuery::first(10)).await.expect("the server answers");
    let ended = log.items.iter().filter(|row| row.event.name() == "session_ended");
    assert_eq!(ended.count(), 1);
}
