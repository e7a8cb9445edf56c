//! Tickets (P38).

use std::time::Duration;

use crate::{
    identity::StoreKey,
    store::{
        OpenTicket, TicketUse,
        conformance::sign_in::{ADA, BOB, Store, after},
    },
    time::Timestamp,
};

const LIFE: Duration = Duration::from_secs(30);

/// A key of the ticket `id`; what a store gets is opaque.
fn key(id: u32) -> StoreKey {
    StoreKey::session(Some("tickets"), &id.to_string())
}

fn session(name: &str) -> StoreKey {
    StoreKey::session(None, name)
}

async fn open(store: &Store, id: u32, sid: &str, at: Timestamp) {
    let user = ADA.scopes().user;
    let ticket = OpenTicket::new(key(id), session(sid), user, at, at + LIFE);
    store.open_ticket(ticket).await.expect("the store answers");
}

async fn close(store: &Store, id: u32, now: Timestamp) -> bool {
    let used = TicketUse::new(key(id), ADA.scopes().user, now);
    store.use_ticket(used).await.expect("the store answers")
}

pub(super) async fn p38_a_ticket_is_used_once(store: Store) {
    open(&store, 1, "s", after(0)).await;
    open(&store, 2, "s", after(0)).await;
    assert!(!close(&store, 3, after(0)).await, "it was not opened");
    assert!(close(&store, 1, after(1)).await);
    assert!(!close(&store, 1, after(1)).await);
    assert!(close(&store, 2, after(2)).await, "each by itself");
    assert!(!close(&store, 2, after(0)).await);
}

pub(super) async fn p38_a_ticket_is_open_to_the_millisecond(store: Store) {
    open(&store, 1, "s", after(0)).await;
    open(&store, 2, "s", after(0)).await;
    assert!(close(&store, 1, after(29_999)).await);
    assert!(!close(&store, 2, after(30_000)).await);
}

pub(super) async fn p38_a_session_has_32_open_tickets(store: Store) {
    open(&store, 100, "other", after(0)).await;
    for id in 0..40 {
        open(&store, id, "s", after(id.into())).await;
    }
    let mut closed = Vec::new();
    for id in 0..40 {
        if close(&store, id, after(50)).await {
            closed.push(id);
        }
    }
    assert_eq!(closed, (8..40).collect::<Vec<_>>());
    assert!(close(&store, 100, after(50)).await, "another session has its own");
    open(&store, 41, "s", after(60)).await;
    assert!(close(&store, 41, after(60)).await, "used ones make room");
}

pub(super) async fn p38_concurrent_tickets_are_no_more_than_32(store: Store) {
    let opened = (0..40).map(|id| {
        let store = Store::clone(&store);
        tokio::spawn(async move { open(&store, id, "s", after(0)).await })
    });
    for opened in opened.collect::<Vec<_>>() {
        opened.await.expect("it opens");
    }
    let mut closed = 0;
    for id in 0..40 {
        closed += u32::from(close(&store, id, after(1)).await);
    }
    // Each that is used makes room for an older one, as long as its row is there.
    assert!((32..=40).contains(&closed), "{closed}");
}

pub(super) async fn p38_of_a_hundred_uses_one_succeeds(store: Store) {
    for id in 0..5 {
        open(&store, id, "s", after(0)).await;
        let uses = (0..100).map(|_| {
            let store = Store::clone(&store);
            tokio::spawn(async move { close(&store, id, after(1)).await })
        });
        let mut closed = 0;
        for used in uses.collect::<Vec<_>>() {
            closed += u32::from(used.await.expect("the task completes"));
        }
        assert_eq!(closed, 1);
    }
}

pub(super) async fn p31_the_tickets_of_a_user_close_none_of_another(store: Store) {
    let bob = OpenTicket::new(key(9000), session("b"), BOB.scopes().user, after(0), after(30_000));
    store.open_ticket(bob).await.expect("the store answers");
    for id in 0..100 {
        open(&store, id, &format!("s{}", id / 20), after(0)).await;
    }
    let used = TicketUse::new(key(9000), BOB.scopes().user, after(1));
    assert!(store.use_ticket(used).await.expect("the store answers"));
}
