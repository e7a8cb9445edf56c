//! What is the memory store's own; what every store promises is in `tests/stores`.

use super::*;
use crate::{
    audit::LogCategory,
    identity::Scopes,
    store::{SessionStore, SuccessorPayloads},
};

const IDLE: Duration = Duration::from_secs(1200);
const DAY: Duration = Duration::from_secs(24 * 3600);
const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

fn answer<T>(future: MaybeReady<T>) -> Result<T, StoreError> {
    future.try_ready().expect("at hand")
}

fn session(id: usize) -> StoreKey {
    StoreKey::session(None, &id.to_string())
}

fn record(id: usize) -> SessionRecord {
    SessionRecord {
        key: session(id),
        sid: id.to_string(),
        sub: "ada".to_owned(),
        tenant: None,
        profile: None,
        scopes: Scopes::new(None, None, "ada"),
        auth_time: BEGIN,
        epoch: BEGIN,
        idle: IDLE,
        ends_at: BEGIN + DAY,
        last_seen: BEGIN,
    }
}

fn row() -> AuditRecord {
    AuditRecord {
        at: BEGIN,
        category: LogCategory::Security,
        session: None,
        user: None,
        account: None,
        event: "happened".into(),
        detail: "{}".into(),
    }
}

fn begin(store: &MemoryStore, id: usize) -> Result<Timestamp, StoreError> {
    answer(store.begin(record(id), row()))
}

fn is_listed(store: &MemoryStore, id: usize) -> bool {
    answer(store.session(session(id), BEGIN)).expect("memory never fails a read").is_some()
}

fn ask(id: usize, token: usize) -> RefreshAsk {
    RefreshAsk {
        session: session(id),
        token: StoreKey::token(None, &token.to_string()),
        epoch: BEGIN,
        scopes: Scopes::new(None, None, "ada"),
    }
}

fn rotation(id: usize, token: usize, now: Timestamp) -> Rotation {
    let next = StoreKey::token(None, &(token + 1).to_string());
    let payload = || "{}".to_owned();
    Rotation {
        ask: ask(id, token),
        now,
        until: BEGIN + DAY,
        successors: Some(SuccessorPayloads { access: payload(), refresh: payload(), token: next }),
        is_activity: true,
        adopt: None,
    }
}

#[test]
fn p15_a_store_full_of_used_tokens_refuses_a_rotation_whole() {
    let store = MemoryStore::with_capacity(1);
    begin(&store, 1).expect("there is room");
    for token in 0..8 {
        let rotated = answer(store.rotate(rotation(1, token, BEGIN)));
        assert_eq!(rotated.expect("there is room"), Rotated::Done);
    }
    let late = BEGIN + Duration::from_secs(60);
    let adopting = Rotation { adopt: Some(record(2)), ..rotation(2, 20, late) };
    for refused in [rotation(1, 8, late), adopting] {
        let (before, session) = (refused.ask, refused.ask.session);
        let before_it = answer(store.refresh_state(before)).expect("memory never fails a read");
        let peeked = store.get_now(&session);
        assert!(answer(store.rotate(refused)).is_err());
        let after_it = answer(store.refresh_state(before)).expect("memory never fails a read");
        assert_eq!(after_it, before_it);
        assert_eq!(store.get_now(&session), peeked);
    }
    let again = answer(store.rotate(rotation(1, 8, BEGIN + DAY)));
    assert_eq!(again.expect("tokens past their time make room"), Rotated::Done);
}

#[test]
fn p15_of_records_the_first_to_end_makes_room() {
    let store = MemoryStore::with_capacity(4);
    (0..4).for_each(|id| {
        begin(&store, id).expect("there is room");
    });
    for id in [0, 1, 3] {
        let active = active_at(BEGIN + Duration::from_secs(1));
        answer(store.touch(session(id), active)).expect("memory never fails a touch");
    }
    begin(&store, 4).expect("one makes room");
    assert_eq!([0, 1, 2, 3, 4].map(|id| is_listed(&store, id)), [true, true, false, true, true]);
}

#[test]
fn a_refresh_is_remembered_where_the_entry_made_room_for_another() {
    let store = MemoryStore::with_capacity(1);
    begin(&store, 1).expect("there is room");
    let at = BEGIN + Duration::from_secs(600);
    let rotated = answer(store.rotate(rotation(1, 1, at)));
    assert_eq!(rotated.expect("there is room"), Rotated::Done);
    answer(store.touch(session(2), active_at(at))).expect("memory never fails a touch");
    assert_eq!(store.get_now(&session(1)), StoredSession::Unknown);
    let record = answer(store.session(session(1), at + IDLE - Duration::from_millis(1)));
    assert!(record.expect("memory never fails a read").is_some_and(|it| it.last_seen == at));
}

fn active_at(now: Timestamp) -> crate::store::Touch {
    crate::store::Touch { now, token_activity: now, idle: IDLE, known_only: false }
}

#[test]
fn p22_a_tombstone_stands_as_long_as_the_session_could_have_lived() {
    let store = MemoryStore::with_capacity(1);
    begin(&store, 1).expect("there is room");
    answer(store.write_tombstone(session(1), BEGIN)).expect("its entry becomes the tombstone");
    let last = BEGIN + DAY - Duration::from_millis(1);
    answer(store.touch(session(2), active_at(last))).expect("memory never fails a touch");
    assert_eq!(store.get_now(&session(1)), StoredSession::Ended);
    answer(store.touch(session(2), active_at(BEGIN + DAY))).expect("memory never fails a touch");
    assert_eq!(store.get_now(&session(1)), StoredSession::Unknown);
}

#[test]
fn p22_where_no_tombstone_finds_room_the_session_lives_and_the_caller_knows() {
    let store = MemoryStore::with_capacity(1);
    answer(store.write_tombstone(session(9), BEGIN + DAY)).expect("there is room");
    begin(&store, 1).expect("records have room of their own");
    assert!(answer(store.revoke(session(1), BEGIN + DAY, row())).is_err());
    assert!(answer(store.write_tombstone(session(1), BEGIN + DAY)).is_err());
    assert!(is_listed(&store, 1));
}

#[test]
fn p21_a_session_does_not_begin_over_its_tombstone() {
    let store = MemoryStore::new();
    answer(store.write_tombstone(session(1), BEGIN + DAY)).expect("there is room");
    assert!(begin(&store, 1).is_err());
    assert!(!is_listed(&store, 1));
}

#[test]
fn marks_leave_in_time_though_nobody_asks() {
    let store = MemoryStore::new();
    let user = Scopes::new(None, None, "ada").user;
    let revoke_all = |scope, now| {
        let revocation = BulkRevocation {
            scope: Scope::User(scope),
            exempt: Exempt::None,
            now,
            mark: now,
            until: now + DAY,
            log: row(),
        };
        answer(store.revoke_all(revocation)).expect("memory never fails a bulk revocation")
    };
    revoke_all(user, BEGIN);
    let other = StoreKey::user(None, None, "bob");
    (2..REVOCATIONS_A_CLEARING).for_each(|_| {
        revoke_all(other, BEGIN + DAY);
    });
    assert!(store.revocations.cutoff_of(&user).is_some());
    revoke_all(other, BEGIN + DAY);
    assert!(store.revocations.cutoff_of(&user).is_none());
    assert!(store.revocations.cutoff_of(&other).is_some());
}
