//! Many tombstones of one user become one.

use std::{sync::Arc, time::Duration};

use crate::store::{
    CallerSession, Exempt, RefreshState, Rotated, SessionRecord, Tombstone, TouchOutcome,
    conformance::sign_in::{
        ABSOLUTE, ADA, ADA_AT_GLOBEX, BOB, IDLE, Person, Store, after, all_of, audit, begin,
        is_active, listed, revoke_all, rotate, rotation, state, touch,
    },
};
use tokio::{sync::Barrier, task::JoinSet};

/// More than a store keeps of one user, several times.
const MANY: u64 = 140;

/// A session of `person` that begins after that many milliseconds.
async fn begun_at(store: &Store, person: Person, millis: u64) -> SessionRecord {
    let record = person.signs_in(&format!("{} {millis}", person.sub), after(millis));
    assert_eq!(begin(store, &record).await, record.epoch);
    record
}

fn tombstone_of(record: &SessionRecord) -> Tombstone {
    let (user, epoch) = (record.scopes.user, Some(record.epoch));
    Tombstone::new(record.key, record.epoch, record.ends_at).of_user(user, epoch)
}

/// Ends a session, which was active.
async fn end(store: &Store, record: &SessionRecord) {
    let row = audit(record, "session_ended", record.epoch);
    let was_active = store.revoke(tombstone_of(record), row).await;
    assert!(was_active.expect("the store answers"), "{}", record.sid);
}

/// Whether a request with a token of the session is rejected as revoked.
async fn is_revoked(store: &Store, record: &SessionRecord) -> bool {
    let now = record.epoch;
    let touched = store.touch(record.keys(), touch(now, now)).await.expect("the store answers");
    // As the layers do: after the answer of the store.
    let revocations = store.revocations().expect("the store supports bulk revocation");
    let revoked_by = revocations.revoked_by(record.key, record.epoch, || record.scopes);
    touched == TouchOutcome::Ended || revoked_by.is_some()
}

async fn assert_ended(store: &Store, record: &SessionRecord) {
    assert!(is_revoked(store, record).await, "{}", record.sid);
    assert_eq!(state(store, record).await, RefreshState::Revoked, "{}", record.sid);
    assert!(!is_active(store, record, record.epoch).await, "{}", record.sid);
    let rotated = rotate(store, rotation(record, 0, "late", record.epoch)).await;
    assert_eq!(rotated, Rotated::Refused(RefreshState::Revoked), "{}", record.sid);
}

async fn assert_active(store: &Store, record: &SessionRecord) {
    assert!(!is_revoked(store, record).await, "{}", record.sid);
    assert!(is_active(store, record, record.epoch).await, "{}", record.sid);
    assert!(matches!(state(store, record).await, RefreshState::Known(_)), "{}", record.sid);
}

pub(super) async fn p31_a_user_who_ends_many_sessions_ends_no_other(store: Store) {
    // Of a user whose sessions the store does not know, as after a loss.
    let unknown = ADA.signs_in("unknown", after(5));
    let elsewhere = begun_at(&store, ADA_AT_GLOBEX, 50).await;
    let other = begun_at(&store, BOB, 51).await;
    let (mut ended, mut kept) = (Vec::new(), Vec::new());
    for id in 0..MANY {
        let record = begun_at(&store, ADA, 100 + id).await;
        if id % 20 == 7 {
            kept.push(record);
        } else {
            end(&store, &record).await;
            ended.push(record);
        }
    }
    for record in &ended {
        assert_ended(&store, record).await;
    }
    for record in kept.iter().chain([&elsewhere, &other]) {
        assert_active(&store, record).await;
    }
    assert!(!is_revoked(&store, &unknown).await);
    assert_eq!(listed(&store, ADA.user(), after(400)).await.len(), kept.len());
    let next = begun_at(&store, ADA, 100 + MANY).await;
    assert_active(&store, &next).await;
    assert_eq!(revoke_all(&store, all_of(ADA.user(), after(401))).await, kept.len() as u64 + 1);
    for record in kept.iter().chain([&next, &unknown]) {
        assert!(is_revoked(&store, record).await, "{}", record.sid);
    }
}

pub(super) async fn p04_a_session_that_a_fold_has_exempted_ends(store: Store) {
    let kept = begun_at(&store, ADA, 100).await;
    let mut ended = Vec::new();
    for round in 0..3 {
        for id in (60..=130).filter(|id| *id != 100) {
            ended.push(begun_at(&store, ADA, round * 1_000 + id).await);
        }
        for record in ended.iter().skip(ended.len() - 70) {
            end(&store, record).await;
        }
        if round == 0 {
            assert_active(&store, &kept).await;
            end(&store, &kept).await;
        }
    }
    for record in ended.iter().chain([&kept]) {
        assert_ended(&store, record).await;
    }
}

pub(super) async fn p22_a_session_that_a_bulk_revocation_has_exempted_ends(store: Store) {
    let record = begun_at(&store, ADA, 0).await;
    let mut others = all_of(ADA.user(), after(5_000));
    others.exempt = Exempt::Sessions(vec![record.key]);
    assert_eq!(revoke_all(&store, others).await, 0);
    end(&store, &record).await;
    for id in 0..MANY {
        end(&store, &begun_at(&store, ADA, 6_000 + id).await).await;
    }
    assert_ended(&store, &record).await;
}

pub(super) async fn p04_a_folded_session_is_exempt_from_nothing(store: Store) {
    let first = begun_at(&store, ADA, 0).await;
    end(&store, &first).await;
    for id in 1..MANY {
        end(&store, &begun_at(&store, ADA, id).await).await;
    }
    // A request that was authenticated before its session ended.
    let caller = CallerSession::new(first.key, first.scopes, first.epoch, IDLE);
    for exempt in [Exempt::Caller(caller), Exempt::Sessions(vec![first.key])] {
        let mut others = all_of(ADA.user(), after(MANY));
        others.exempt = exempt;
        revoke_all(&store, others).await;
        assert_ended(&store, &first).await;
    }
    // Its token signs out again.
    let row = audit(&first, "session_ended", after(MANY));
    let was_active = store.revoke(tombstone_of(&first), row).await;
    assert!(!was_active.expect("the store answers"));
    store.write_tombstone(tombstone_of(&first)).await.expect("the store answers");
    assert_ended(&store, &first).await;
}

pub(super) async fn p29_a_sign_in_with_a_clock_that_is_behind_is_not_folded(store: Store) {
    for id in 0..MANY {
        end(&store, &begun_at(&store, ADA, 1_000 + id).await).await;
    }
    let mut record = ADA.signs_in("behind", after(1_050));
    record.epoch = begin(&store, &record).await;
    assert!(record.epoch > after(1_126), "later than the last that was folded");
    assert_active(&store, &record).await;
    assert_eq!(begin(&store, &BOB.signs_in("bob", after(1_050))).await, after(1_050));
}

pub(super) async fn p31_concurrent_endings_end_no_other_session(store: Store) {
    let mut records = Vec::new();
    for id in 0..4 * 80 {
        records.push(begun_at(&store, ADA, id).await);
    }
    let start = Arc::new(Barrier::new(4));
    let mut tasks = JoinSet::new();
    for task in 0..4 {
        let (store, start) = (Arc::clone(&store), Arc::clone(&start));
        let own: Vec<_> = records.iter().skip(task).step_by(4).cloned().collect();
        tasks.spawn(async move {
            start.wait().await;
            for (id, record) in own.iter().enumerate() {
                if id % 10 == 0 {
                    assert!(!is_revoked(&store, record).await, "{}", record.sid);
                } else {
                    end(&store, record).await;
                    assert!(is_revoked(&store, record).await, "{}", record.sid);
                }
            }
        });
    }
    tasks.join_all().await;
    for (id, record) in records.iter().enumerate() {
        if id / 4 % 10 == 0 {
            assert_active(&store, record).await;
        } else {
            assert_ended(&store, record).await;
        }
    }
}

pub(super) async fn p29_a_session_that_begins_during_a_fold_is_active(store: Store) {
    for round in 0..3 {
        for id in 0..64 {
            end(&store, &begun_at(&store, ADA, round * 1_000 + id).await).await;
        }
        let last = begun_at(&store, ADA, round * 1_000 + 64).await;
        let mut tasks = JoinSet::new();
        let start = Arc::new(Barrier::new(4));
        for task in 0..3 {
            let record = ADA.signs_in(&format!("{round}-{task}"), after(round * 1_000 + 30));
            let (store, start) = (Arc::clone(&store), Arc::clone(&start));
            tasks.spawn(async move {
                start.wait().await;
                let epoch = begin(&store, &record).await;
                SessionRecord { epoch, ..record }
            });
        }
        start.wait().await;
        end(&store, &last).await;
        for record in tasks.join_all().await {
            assert_active(&store, &record).await;
        }
    }
}

/// The later of two instants counts, also where the session was folded in between.
pub(super) async fn p22_a_later_end_of_a_folded_session_counts(store: Store) {
    let first = begun_at(&store, ADA, 0).await;
    end(&store, &first).await;
    for id in 1..MANY {
        end(&store, &begun_at(&store, ADA, id).await).await;
    }
    let until = first.ends_at + ABSOLUTE;
    let longer = tombstone_of(&first);
    store.write_tombstone(Tombstone { until, ..longer }).await.expect("the store answers");
    assert_ended(&store, &first).await;
    let revocations = store.revocations().expect("the store supports bulk revocation");
    revocations.remove_expired(until - Duration::from_millis(1));
    assert!(is_revoked(&store, &first).await);
}
