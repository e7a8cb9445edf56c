//! Concurrent calls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use super::policies::change;
use crate::{
    policy::TimeoutOverrides,
    store::{
        BulkRevocation, Exempt, RefreshState, Rotated, SessionRecord, StoredSession, TouchOutcome,
        conformance::sign_in::{
            ABSOLUTE, ADA, BEGIN, Store, after, all_of, audit, audited, begin, begun, is_active,
            listed, revoke_all, rotate, rotation, state, tombstone, touch,
        },
    },
    time::Timestamp,
};
use tokio::{
    sync::Barrier,
    task::{JoinSet, yield_now},
};

const ROUNDS: u64 = 200;
const TASKS: usize = 4;

/// The instant of a round, ten milliseconds after the one before.
const fn round_at(round: u64) -> Timestamp {
    after(round * 10)
}

pub(super) async fn p05_one_of_fifty_rotations_of_one_token_succeeds(store: Store) {
    let record = begun(&store, ADA, "s").await;
    let mut tasks = JoinSet::new();
    for id in 0..50 {
        let rotation = rotation(&record, 0, &id.to_string(), after(id));
        let store = Arc::clone(&store);
        tasks.spawn(async move { rotate(&store, rotation).await });
    }
    let answers = tasks.join_all().await;
    let refused: Vec<_> = answers
        .into_iter()
        .filter_map(|answer| match answer {
            Rotated::Done => None,
            Rotated::Refused(state) => Some(state),
        })
        .collect();
    assert_eq!(refused.len(), 49, "exactly one succeeds");
    let state = state(&store, &record).await;
    assert!(
        refused.iter().all(|refused| *refused == state),
        "every refused rotation returns the same successors"
    );
    let RefreshState::Known(session) = state else { panic!("the session is known") };
    assert!(session.generation == 1 && session.exchange.is_some());
}

/// Refreshes `record` by one chain of tokens until a refresh is refused. Panics if a refresh that
/// started after `is_revoked` was set succeeds.
async fn refresh_until_revoked(
    store: Store,
    record: SessionRecord,
    chain: usize,
    is_revoked: Arc<AtomicBool>,
) {
    for generation in 0.. {
        let was_revoked = is_revoked.load(SeqCst);
        let id = format!("{} {chain} {generation}", record.sid);
        match rotate(&store, rotation(&record, generation, &id, record.auth_time)).await {
            Rotated::Done => assert!(!was_revoked, "{id} was rotated after the revocation"),
            Rotated::Refused(RefreshState::Revoked) => return,
            // Another chain is ahead.
            Rotated::Refused(RefreshState::Known(_)) => {}
            other => panic!("{id}: {other:?}"),
        }
        yield_now().await;
    }
    unreachable!("the session ends")
}

/// Runs refreshes and `end` concurrently, [`ROUNDS`] times.
async fn race_against<F>(store: Store, end: impl Fn(Store, SessionRecord) -> F)
where
    F: Future<Output = ()>,
{
    for round in 0..ROUNDS {
        let record = ADA.signs_in(&round.to_string(), round_at(round));
        assert_eq!(begin(&store, &record).await, record.epoch);
        race_once(&store, &record, &end).await;
    }
}

/// Runs refreshes and the revocation of their session concurrently: afterwards the session is
/// revoked, whether the store knew it before or a refresh was about to adopt it.
async fn race_once<F>(
    store: &Store,
    record: &SessionRecord,
    end: impl Fn(Store, SessionRecord) -> F,
) where
    F: Future<Output = ()>,
{
    let is_revoked = Arc::new(AtomicBool::new(false));
    let start = Arc::new(Barrier::new(TASKS + 1));
    let mut tasks = JoinSet::new();
    for chain in 0..TASKS {
        let (store, record) = (Arc::clone(store), record.clone());
        let (is_revoked, start) = (Arc::clone(&is_revoked), Arc::clone(&start));
        tasks.spawn(async move {
            start.wait().await;
            refresh_until_revoked(store, record, chain, is_revoked).await;
        });
    }
    start.wait().await;
    end(Arc::clone(store), record.clone()).await;
    is_revoked.store(true, SeqCst);
    tasks.join_all().await;
    assert_eq!(state(store, record).await, RefreshState::Revoked);
    assert!(!is_active(store, record, record.auth_time).await, "{}", record.sid);
    assert!(listed(store, ADA.user(), record.auth_time).await.is_empty(), "{}", record.sid);
}

pub(super) async fn p05_nothing_is_usable_after_a_revocation(store: Store) {
    race_against(store, |store, record| async move {
        let row = audit(&record, "session_ended", record.auth_time);
        let was_live = store.revoke(tombstone(record.key, record.ends_at), row).await;
        assert!(was_live.expect("the store answers"), "{}", record.sid);
    })
    .await;
}

pub(super) async fn p05_nothing_is_usable_after_a_tombstone(store: Store) {
    race_against(store, |store, record| async move {
        store
            .write_tombstone(tombstone(record.key, record.ends_at))
            .await
            .expect("the store answers");
        let stored = store.get(record.keys()).await.expect("the store answers");
        assert_eq!(stored, StoredSession::Ended);
    })
    .await;
}

pub(super) async fn p05_nothing_is_adopted_after_a_tombstone(store: Store) {
    for round in 0..ROUNDS {
        let unknown = ADA.signs_in(&round.to_string(), round_at(round));
        race_once(&store, &unknown, |store, record| async move {
            store
                .write_tombstone(tombstone(record.key, record.ends_at))
                .await
                .expect("the store answers");
        })
        .await;
    }
}

pub(super) async fn p05_nothing_is_usable_after_a_bulk_revocation(store: Store) {
    race_against(store, |store, record| async move {
        let ended = revoke_all(&store, all_of(ADA.account(), record.auth_time)).await;
        assert_eq!(ended, 1, "{}", record.sid);
    })
    .await;
}

pub(super) async fn p29_a_session_started_during_a_bulk_revocation_is_before_or_after_it(
    store: Store,
) {
    let mut lived_before = 0;
    for round in 0..ROUNDS {
        let now = round_at(round);
        let start = Arc::new(Barrier::new(TASKS + 1));
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let record = ADA.signs_in(&format!("{round} {task}"), now);
            let (store, start) = (Arc::clone(&store), Arc::clone(&start));
            tasks.spawn(async move {
                start.wait().await;
                (begin(&store, &record).await, record)
            });
        }
        start.wait().await;
        let ended = revoke_all(&store, all_of(ADA.user(), now)).await;
        let mut died = lived_before;
        for (epoch, record) in tasks.join_all().await {
            let lifecycle_state = epoch == now + Duration::from_millis(1);
            assert!(lifecycle_state || epoch == now, "{}: {epoch:?}", record.sid);
            assert_eq!(is_active(&store, &record, now).await, lifecycle_state, "{}", record.sid);
            died += u64::from(!lifecycle_state);
        }
        assert_eq!(ended, died, "round {round}");
        lived_before = listed(&store, ADA.user(), now).await.len() as u64;
    }
}

pub(super) async fn an_exempt_session_is_never_seen_as_revoked(store: Store) {
    let record = begun(&store, ADA, "kept").await;
    // Dropped by a failure, too: the listener must not outlive the test.
    let stop = StopOnDrop(Arc::default());
    let listener = {
        let (store, record) = (Arc::clone(&store), record.clone());
        let is_stopped = Arc::clone(&stop.0);
        tokio::task::spawn_blocking(move || {
            let revocations = store.revocations().expect("the store supports bulk revocation");
            while !is_stopped.load(SeqCst) {
                let revoked_by = revocations.revoked_by(record.key, record.epoch, || record.scopes);
                assert_eq!(revoked_by, None);
            }
        })
    };
    for round in 0..ROUNDS {
        let exempt = Exempt::Sessions(vec![record.key]);
        let revocation = BulkRevocation { exempt, ..all_of(ADA.user(), round_at(round)) };
        assert_eq!(revoke_all(&store, revocation).await, 0);
        yield_now().await;
    }
    drop(stop);
    listener.await.expect("the session was never revoked");
}

struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

pub(super) async fn concurrent_bulk_revocations_count_each_session_once(store: Store) {
    for id in 0..20 {
        begun(&store, ADA, &id.to_string()).await;
    }
    let mut tasks = JoinSet::new();
    for scope in [ADA.user(), ADA.account(), ADA.user(), ADA.account()] {
        let store = Arc::clone(&store);
        tasks.spawn(async move { revoke_all(&store, all_of(scope, after(10))).await });
    }
    let mut ended = tasks.join_all().await;
    ended.sort_unstable();
    assert_eq!(ended, [0, 0, 0, 20]);
    assert_eq!(audited(&store, "sessions_revoked_bulk").await.len(), 4);
}

pub(super) async fn concurrent_overrides_are_replaced_once(store: Store) {
    let new = |id| TimeoutOverrides::new().idle(Duration::from_secs(id));
    let mut tasks = JoinSet::new();
    for id in 0..20 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let change = change(TimeoutOverrides::default(), new(id));
            store.set_overrides(change).await.expect("the store answers").then_some(id)
        });
    }
    let winners: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let in_force = store.overrides(ADA.account().key()).await.expect("the store answers");
    assert_eq!(in_force, new(winners[0]));
    assert_eq!(audited(&store, "policy_changed").await.len(), 1);
}

pub(super) async fn p04_no_touch_succeeds_after_a_tombstone(store: Store) {
    for round in 0..ROUNDS {
        let record = begun(&store, ADA, &round.to_string()).await;
        let is_revoked = Arc::new(AtomicBool::new(false));
        let start = Arc::new(Barrier::new(TASKS + 1));
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let (store, keys) = (Arc::clone(&store), record.keys());
            let (is_revoked, start) = (Arc::clone(&is_revoked), Arc::clone(&start));
            tasks.spawn(async move {
                start.wait().await;
                for millis in 0.. {
                    let was_revoked = is_revoked.load(SeqCst);
                    let now = after(millis % 1000);
                    let touched = store.touch(keys, touch(now, now)).await;
                    match touched.expect("the store answers") {
                        TouchOutcome::Ended => break,
                        TouchOutcome::Active(_) => {
                            assert!(!was_revoked, "a touch succeeded after the tombstone");
                        }
                        other => panic!("{other:?}"),
                    }
                    yield_now().await;
                }
            });
        }
        start.wait().await;
        store
            .write_tombstone(tombstone(record.key, BEGIN + ABSOLUTE))
            .await
            .expect("the store answers");
        is_revoked.store(true, SeqCst);
        tasks.join_all().await;
        assert!(!is_active(&store, &record, BEGIN).await);
    }
}
