//! Pages of session lists.

use std::cmp::Reverse;

use crate::{
    identity::{Scope, StoreKey},
    store::{
        Cursor, ListQuery, Page, SessionRecord,
        conformance::sign_in::{
            ABSOLUTE, ADA, BEGIN, BOB, EVE, Person, Store, after, all_of, begin, begun, everything,
            revoke_all, session, tombstone,
        },
    },
    time::Timestamp,
};

const NOW: Timestamp = after(1000);

async fn page(store: &Store, scope: Scope, query: ListQuery) -> Page<SessionRecord> {
    store.sessions(scope, query, NOW).await.expect("the store answers")
}

fn query(limit: u32, cursor: Option<Cursor>) -> ListQuery {
    let first = ListQuery::first(limit);
    cursor.map_or(first.clone(), |cursor| first.after(cursor))
}

fn sids(records: &[SessionRecord]) -> Vec<&str> {
    records.iter().map(|record| record.sid.as_str()).collect()
}

/// Reads a whole list in pages of `limit`; each cursor passes through its text form.
async fn all_pages(store: &Store, scope: Scope, limit: u32) -> Vec<SessionRecord> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = page(store, scope, query(limit, cursor)).await;
        assert!(page.items.len() <= limit as usize);
        assert!(page.next.is_none() || page.items.len() == limit as usize);
        all.extend(page.items);
        let Some(next) = page.next else { return all };
        cursor = Some(next.to_string().parse().expect("a cursor parses from its text"));
    }
}

/// Signs users in: many at the same instant, in no order.
async fn crowd(store: &Store) -> Vec<(Person, SessionRecord)> {
    let mut crowd = Vec::new();
    for id in 0..30_u64 {
        let person = [ADA, BOB, EVE][usize::try_from(id % 3).unwrap_or_default()];
        let record = person.signs_in(&format!("s{id}"), after(id * 7 % 4));
        begin(store, &record).await;
        crowd.push((person, record));
    }
    crowd
}

pub(super) async fn pages_hold_each_session_once_and_in_order(store: Store) {
    let crowd = crowd(&store).await;
    for scope in [ADA.user(), ADA.account(), everything()] {
        let of_scope = crowd.iter().filter(|(person, _)| scope.contains(&person.scopes()));
        let mut expected: Vec<_> = of_scope.map(|(_, record)| record.clone()).collect();
        expected.sort_by_key(|record| Reverse((record.auth_time, *record.key.as_bytes())));
        for limit in [1, 3, 10, 29, 30, 100] {
            let all = all_pages(&store, scope, limit).await;
            assert_eq!(sids(&all), sids(&expected), "{scope:?} by {limit}");
            assert!(all == expected, "the records are complete");
        }
    }
}

pub(super) async fn a_page_continues_after_the_last_one_despite_changes(store: Store) {
    for millis in 0..6 {
        begin(&store, &ADA.signs_in(&format!("s{millis}"), after(millis))).await;
    }
    let first = page(&store, ADA.user(), query(2, None)).await;
    assert_eq!(sids(&first.items), ["s5", "s4"]);
    begin(&store, &ADA.signs_in("later", after(50))).await;
    for sid in ["s4", "s2"] {
        store
            .write_tombstone(tombstone(session(sid), BEGIN + ABSOLUTE))
            .await
            .expect("the store answers");
    }
    let second = page(&store, ADA.user(), query(2, first.next)).await;
    assert_eq!(sids(&second.items), ["s3", "s1"]);
    let third = page(&store, ADA.user(), query(2, second.next)).await;
    assert_eq!((sids(&third.items), third.next), (vec!["s0"], None));
    let nowhere = Cursor::new(0, 0);
    assert!(page(&store, ADA.user(), query(2, Some(nowhere))).await.items.is_empty());
    let from_the_end = Cursor::new(u64::MAX, u128::MAX);
    let again = page(&store, ADA.user(), query(2, Some(from_the_end))).await;
    assert_eq!(sids(&again.items), ["later", "s5"]);
}

pub(super) async fn pages_skip_expired_and_revoked_sessions(store: Store) {
    let crowd = crowd(&store).await;
    let keys: Vec<StoreKey> = crowd.iter().map(|(_, record)| record.key).collect();
    for key in keys.iter().step_by(2) {
        store.write_tombstone(tombstone(*key, BEGIN + ABSOLUTE)).await.expect("the store answers");
    }
    revoke_all(&store, all_of(EVE.user(), after(100))).await;
    begun(&store, EVE, "eve again").await;
    let mut expected: Vec<_> = crowd
        .iter()
        .skip(1)
        .step_by(2)
        .filter(|(person, _)| person.sub != EVE.sub)
        .map(|(_, record)| record.sid.as_str())
        .chain(["eve again"])
        .collect();
    expected.sort_unstable();
    for limit in [1, 4, 100] {
        let all = all_pages(&store, everything(), limit).await;
        let mut live = sids(&all);
        live.sort_unstable();
        assert_eq!(live, expected, "by {limit}");
    }
}
