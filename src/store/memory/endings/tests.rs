use std::{
    sync::{Barrier, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};

use super::*;
use crate::{
    audit::{AuditEvent, AuditSubject},
    identity::{Scopes, SessionKeys},
    maybe_ready::MaybeReady,
    store::{
        LifecycleStore as _, RefreshQuery, RefreshState, Rotated, Rotation, SessionRecord,
        SessionStore as _, SignIn, StoredSession, TokenExchange, Touch, TouchOutcome,
    },
};

const IDLE: Duration = Duration::from_secs(1200);
const ABSOLUTE: Duration = Duration::from_secs(12 * 3600);
const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

fn after(millis: u64) -> Timestamp {
    BEGIN + Duration::from_millis(millis)
}

fn answer<T>(answer: MaybeReady<T>) -> Result<T, StoreError> {
    answer.try_ready().expect("a memory store answers at once")
}

/// A session of `sub` that begins `id` milliseconds after [`BEGIN`].
fn record(sub: &str, id: u64) -> SessionRecord {
    let (key, scopes) = (session(sub, id), Scopes::new(None, None, sub));
    SessionRecord::new(key, id.to_string(), sub, scopes, after(id), IDLE, after(id) + ABSOLUTE)
}

fn session(sub: &str, id: u64) -> StoreKey {
    StoreKey::session(Some(sub), &id.to_string())
}

fn user(sub: &str) -> StoreKey {
    StoreKey::user(None, None, sub)
}

fn audit(at: Timestamp) -> AuditRecord {
    AuditRecord::new(at, AuditEvent::SessionStarted, AuditSubject::default())
}

fn begin(store: &MemoryStore, sub: &str, id: u64) -> Timestamp {
    let begun = answer(store.begin(SignIn::new(record(sub, id), audit(after(id)))));
    begun.expect("the store answers").begun().expect("the session begins").epoch
}

/// Ends a session whose epoch is `epoch`.
fn end_with(
    store: &MemoryStore,
    sub: &str,
    id: u64,
    epoch: Option<Timestamp>,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let tombstone = Tombstone::new(session(sub, id), at, after(id) + ABSOLUTE);
    answer(store.revoke(tombstone.of_user(user(sub), epoch), audit(at)))
}

fn end(store: &MemoryStore, sub: &str, id: u64) -> Result<bool, StoreError> {
    end_with(store, sub, id, Some(after(id)), after(id))
}

fn state(store: &MemoryStore, sub: &str, id: u64) -> RefreshState {
    let query = RefreshQuery::new(session(sub, id), after(id), Scopes::new(None, None, sub));
    answer(store.refresh_state(query)).expect("memory never fails a read")
}

fn is_active(store: &MemoryStore, sub: &str, id: u64) -> bool {
    matches!(state(store, sub, id), RefreshState::Known(_))
}

fn tombstones(store: &MemoryStore) -> usize {
    store.lifecycle_state().tombstones.len()
}

fn touch(store: &MemoryStore, sub: &str, id: u64, at: Timestamp) -> TouchOutcome {
    answer(store.touch(SessionKeys::new(session(sub, id), user(sub)), Touch::new(at, at, IDLE)))
        .expect("memory never fails")
}

#[test]
fn p31_one_user_who_signs_in_and_out_takes_nobodys_room() {
    let store = MemoryStore::with_capacity(1_000);
    begin(&store, "bob", 0);
    begin(&store, "ada", 0);
    for id in 1..=100_000 {
        assert_eq!(begin(&store, "ada", id), after(id));
        assert!(end(&store, "ada", id).expect("there is room"), "{id}");
        assert!(tombstones(&store) <= MAX_PER_USER && store.len() <= MAX_PER_USER + 2, "{id}");
    }
    for id in (1..=100_000).step_by(97) {
        assert_eq!(state(&store, "ada", id), RefreshState::Revoked, "{id}");
    }
    assert!(is_active(&store, "ada", 0) && is_active(&store, "bob", 0));
    assert_eq!(store.get_now(&session("bob", 0)), StoredSession::Active(BEGIN));
    let debug = format!("{:?}", store.revocations);
    assert!(debug.contains("folded: 1, exempt: 0"), "{debug}");
}

/// No user can fill the table alone, so many do.
fn full(capacity: usize) -> MemoryStore {
    let store = MemoryStore::with_capacity(capacity);
    for id in 0..capacity as u64 {
        let sub = (id / 64).to_string();
        end(&store, &sub, id).expect("there is room");
    }
    store
}

#[test]
fn p31_a_full_table_is_noticed_without_a_search() {
    let store = full(10_000);
    for id in 0..10_000 {
        touch(&store, "active", id, after(id));
    }
    assert!(store.table.len() > 9_000, "tombstones take no room of active sessions");
    let visited = store.table.visited.load(Relaxed);
    for id in 0..1_000 {
        begin(&store, "bob", id);
        let visited = store.table.visited.load(Relaxed);
        end(&store, "bob", id).expect_err("there is no room");
        assert_eq!(store.table.visited.load(Relaxed), visited, "{id}");
        assert!(is_active(&store, "bob", id), "it has not ended");
    }
    // An active session of the full table ends in place; nothing is evicted for an unknown one.
    assert!(visited > 0, "touches of unknown sessions have evicted others");
}

#[test]
fn p31_active_sessions_take_no_room_from_tombstones() {
    let store = MemoryStore::with_capacity(1_000);
    for id in 0..1_000 {
        touch(&store, "active", id, BEGIN);
    }
    let (visited, active) = (store.table.visited.load(Relaxed), store.table.len());
    for id in 0..1_000 {
        end(&store, &id.to_string(), id).expect("there is room");
    }
    end(&store, "one more", 0).expect_err("there is no room");
    assert_eq!((store.table.visited.load(Relaxed), store.table.len()), (visited, active));
    assert_eq!(store.len(), active + 1_000);
}

#[test]
fn p32_expired_tombstones_make_room_a_few_at_a_time() {
    let store = full(1_000);
    let later = after(999) + ABSOLUTE;
    let visited = store.table.visited.load(Relaxed);
    for id in 0..1_000 {
        let sub = format!("later {id}");
        end_with(&store, &sub, 2_000_000, None, later).expect("there is room");
    }
    assert_eq!((tombstones(&store), store.table.visited.load(Relaxed)), (1_000, visited));
    assert_eq!(store.get_now(&session("0", 0)), StoredSession::Unknown);
}

#[test]
fn p32_nothing_is_kept_of_a_session_after_its_own_end() {
    let store = MemoryStore::with_capacity(1_000);
    for id in 0..1_000 {
        begin(&store, "ada", id);
        end(&store, "ada", id).expect("there is room");
    }
    let folded = store.revocations.folded_of(&user("ada")).expect("it is folded");
    let kept = tombstones(&store) as u64;
    assert_eq!((folded.first, folded.last), (BEGIN, after(999 - kept)));
    assert_eq!(folded.until, after(999 - kept) + ABSOLUTE);
}

#[test]
fn p33_a_fold_revokes_no_active_session() {
    let store = MemoryStore::with_capacity(10_000);
    // The store has lost these: it knows the entry of one, the token of another proves itself.
    touch(&store, "ada", 1, after(1));
    begin(&store, "bob", 100);
    for id in 10..500 {
        begin(&store, "ada", id);
        if id % 10 != 0 {
            end(&store, "ada", id).expect("there is room");
        }
    }
    let revoked_by = |sub, id| {
        let scopes = || Scopes::new(None, None, sub);
        store.revocations.revoked_by(session(sub, id), after(id), scopes)
    };
    for id in 10..500 {
        assert_eq!(is_active(&store, "ada", id), id % 10 == 0, "{id}");
        assert!(id % 10 != 0 || revoked_by("ada", id).is_none(), "{id}");
    }
    assert_eq!((revoked_by("ada", 1), revoked_by("ada", 2)), (None, None));
    assert_eq!((revoked_by("ada", 501), revoked_by("bob", 100)), (None, None));
    // Those that were exempt end, too.
    for id in (10..500).step_by(10) {
        assert!(end(&store, "ada", id).expect("there is room"), "{id}");
    }
    for id in 500..700 {
        begin(&store, "ada", id);
        end(&store, "ada", id).expect("there is room");
    }
    assert!(tombstones(&store) <= MAX_PER_USER);
    assert!((10..700).all(|id| state(&store, "ada", id) == RefreshState::Revoked));
}

#[test]
fn p33_a_session_that_did_not_begin_here_is_not_folded() {
    let store = MemoryStore::with_capacity(1_000);
    // After a restart: one session is refreshed and ends, another is still unknown.
    for id in [1, 3] {
        let query =
            RefreshQuery::new(session("ada", id), after(id), Scopes::new(None, None, "ada"));
        let rotation =
            Rotation::new(query, 0, TokenExchange::new(after(9), None), record("ada", id));
        assert_eq!(answer(store.rotate(rotation)).expect("memory never fails"), Rotated::Done);
    }
    end(&store, "ada", 1).expect("there is room");
    end(&store, "ada", 3).expect("there is room");
    for id in 10..200 {
        begin(&store, "ada", id);
        end(&store, "ada", id).expect("there is room");
    }
    assert_eq!(state(&store, "ada", 2), RefreshState::Unknown(None), "it is not revoked");
    assert_eq!(store.revocations.folded_of(&user("ada")).map(|it| it.first), Some(after(10)));
    assert!([1, 3, 10].iter().all(|id| state(&store, "ada", *id) == RefreshState::Revoked));
}

#[test]
fn p33_nothing_is_folded_while_an_active_session_may_have_no_record() {
    let store = MemoryStore::with_capacity(2_000);
    begin(&store, "ada", 5_000);
    // Others sign in until the record of ada's session is evicted.
    for id in 0..2_000 {
        begin(&store, &format!("other {id}"), 6_000 + id);
    }
    assert!(!is_active(&store, "ada", 5_000), "it has no record");
    for id in 1_000..1_000 + MAX_PER_USER as u64 + 61 {
        begin(&store, "ada", id);
        end(&store, "ada", id).expect("there is room");
    }
    assert_eq!(store.revocations.folded_of(&user("ada")), None);
    begin(&store, "ada", 4_000);
    end(&store, "ada", 4_000).expect_err("a sixteenth of the room is ada's");
    let scopes = || Scopes::new(None, None, "ada");
    let revoked_by = store.revocations.revoked_by(session("ada", 5_000), after(5_000), scopes);
    assert_eq!(revoked_by, None);
    // Sessions that begin later than any that lost its record are folded.
    let later = 9_000_000;
    for id in later..later + 500 {
        begin(&store, "eve", id);
        end(&store, "eve", id).expect("there is room");
    }
    assert!(store.revocations.folded_of(&user("eve")).is_some());
}

#[test]
fn p33_a_fold_is_not_extended_over_a_session_that_lost_its_record() {
    let store = MemoryStore::with_capacity(1_000);
    for id in 0..65 {
        begin(&store, "ada", id);
        end(&store, "ada", id).expect("there is room");
    }
    let before = store.revocations.folded_of(&user("ada")).expect("it is folded");
    begin(&store, "ada", 70);
    for id in 0..1_000 {
        begin(&store, &format!("other {id}"), 100 + id);
    }
    assert!(!is_active(&store, "ada", 70), "it has no record");
    for id in 2_000..2_063 {
        begin(&store, "ada", id);
        end(&store, "ada", id).expect("there is room");
    }
    begin(&store, "ada", 3_000);
    end(&store, "ada", 3_000).expect_err("there is no room for more of ada's");
    assert_eq!(store.revocations.folded_of(&user("ada")), Some(before));
    // Its entry may have made room for others, too.
    let state = state(&store, "ada", 70);
    assert!(matches!(state, RefreshState::Unknown(_)), "it has not ended: {state:?}");
}

#[test]
fn p31_sessions_of_unknown_origin_have_a_bound_of_their_own() {
    let store = MemoryStore::with_capacity(10_000);
    for id in 0..625 {
        end(&store, "ada", id).expect("there is room");
    }
    end(&store, "ada", 625).expect_err("a sixteenth of the room is ada's");
    end(&store, "ada", 0).expect("it has a tombstone");
    begin(&store, "ada", 700);
    end(&store, "ada", 700).expect("it began here");
    end(&store, "bob", 625).expect("there is room");
}

#[test]
fn p04_a_folded_session_stays_ended_and_takes_no_room_again() {
    let store = MemoryStore::with_capacity(1_000);
    for id in 0..650 {
        begin(&store, "ada", id);
        end(&store, "ada", id).expect("there is room");
    }
    let kept = tombstones(&store);
    // The tokens of all sessions sign out again.
    for id in 0..500 {
        assert!(!end(&store, "ada", id).expect("it has ended"), "{id}");
    }
    assert_eq!(tombstones(&store), kept);
    let longer = Tombstone::new(session("ada", 7), after(7), after(7) + 3 * ABSOLUTE);
    let longer = longer.of_user(user("ada"), Some(after(7)));
    answer(store.write_tombstone(longer)).expect("it has ended");
    let until = store.revocations.folded_of(&user("ada")).map(|folded| folded.until);
    assert_eq!(until, Some(after(7) + 3 * ABSOLUTE), "the later end counts");
}

#[test]
fn p22_a_session_that_was_exempt_ends_for_good() {
    let store = MemoryStore::with_capacity(1_000);
    begin(&store, "ada", 0);
    let scope = crate::identity::Scope::User(user("ada"));
    let cutoff = crate::store::RevocationCutoff::new(after(60_000), after(60_000) + ABSOLUTE);
    let mut others = crate::store::BulkRevocation::new(scope, after(1), cutoff, audit(after(1)));
    others.exempt = crate::store::Exempt::Sessions(vec![session("ada", 0)]);
    assert_eq!(answer(store.revoke_all(others)).expect("memory never fails"), 0);
    end(&store, "ada", 0).expect("there is room");
    for id in 60_001..60_100 {
        begin(&store, "ada", id);
        end(&store, "ada", id).expect("there is room");
    }
    let folded = store.revocations.folded_of(&user("ada")).expect("it is folded");
    assert_eq!(folded.first, BEGIN);
    assert_eq!(store.get_now(&session("ada", 0)), StoredSession::Unknown, "it has no tombstone");
    assert_eq!(state(&store, "ada", 0), RefreshState::Revoked);
}

#[test]
fn p29_a_sign_in_after_the_clock_was_set_back_is_not_folded() {
    let store = MemoryStore::with_capacity(1_000);
    for id in 1_000..1_065 {
        begin(&store, "ada", id);
        end(&store, "ada", id).expect("there is room");
    }
    let last = store.revocations.folded_of(&user("ada")).expect("it is folded").last;
    let epoch = begin(&store, "ada", 500);
    assert_eq!(epoch, last + MILLISECOND);
    assert!(is_active(&store, "ada", 500) || epoch > last);
    let scopes = || Scopes::new(None, None, "ada");
    assert_eq!(store.revocations.revoked_by(session("ada", 500), epoch, scopes), None);
}

#[test]
fn p31_concurrent_endings_leave_few_tombstones_and_every_session_ended() {
    let store = MemoryStore::with_capacity(1_000);
    for id in 0..2_000 {
        begin(&store, "ada", 10 * id);
        // The records of all would not fit.
        if id % 2 == 0 {
            end(&store, "ada", 10 * id).expect("there is room");
        }
    }
    let start = Barrier::new(5);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (store, start) = (&store, &start);
            scope.spawn(move || {
                start.wait();
                for id in (0..2_000).filter(|id| id % 2 == 1 && id % 8 == 2 * thread + 1) {
                    let kept = id % 16 == 1;
                    if !kept {
                        end(store, "ada", 10 * id).expect("there is room");
                        assert_eq!(state(store, "ada", 10 * id), RefreshState::Revoked);
                        touch(store, "ada", 10 * id, after(10 * id));
                        assert_eq!(state(store, "ada", 10 * id), RefreshState::Revoked);
                    }
                }
            });
        }
        let (store, start) = (&store, &start);
        scope.spawn(move || {
            start.wait();
            let scopes = || Scopes::new(None, None, "ada");
            for id in (0..2_000).filter(|id| id % 16 == 1).cycle().take(20_000) {
                let (key, epoch) = (session("ada", 10 * id), after(10 * id));
                assert_eq!(store.revocations.revoked_by(key, epoch, scopes), None, "{id}");
            }
        });
    });
    assert!(tombstones(&store) <= MAX_PER_USER);
    for id in 0..2_000 {
        assert_eq!(is_active(&store, "ada", 10 * id), id % 16 == 1, "{id}");
    }
}
