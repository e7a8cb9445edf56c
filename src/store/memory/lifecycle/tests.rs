//! What is the memory store's own; what every store promises is in `tests/stores`.

use super::*;
use crate::{
    audit::{AuditEvent, AuditSubject},
    identity::Scopes,
    maybe_ready::StoreError,
    store::{SessionStore, TokenExchange},
};

const IDLE: Duration = Duration::from_secs(1200);
const DAY: Duration = Duration::from_secs(24 * 3600);
const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

fn answer<T>(future: MaybeReady<T>) -> Result<T, StoreError> {
    future.try_ready().expect("a memory store answers at once")
}

fn session(id: usize) -> StoreKey {
    StoreKey::session(None, &id.to_string())
}

fn record(id: usize) -> SessionRecord {
    SessionRecord {
        key: session(id),
        sid: id.to_string(),
        sub: id.to_string(),
        tenant: None,
        profile: None,
        scopes: Scopes::new(None, None, &id.to_string()),
        auth_time: BEGIN,
        epoch: BEGIN,
        idle: IDLE,
        ends_at: BEGIN + DAY,
        is_adopted: false,
        last_seen: BEGIN,
        label: None,
    }
}

fn tombstone(session: StoreKey, until: Timestamp) -> Tombstone {
    Tombstone::new(session, BEGIN, until)
}

fn audit() -> AuditRecord {
    AuditRecord::new(BEGIN, AuditEvent::SessionStarted, AuditSubject::default())
}

fn begin(store: &MemoryStore, id: usize) -> Result<Timestamp, StoreError> {
    answer(store.begin(SignIn::new(record(id), audit())))
        .map(|outcome| outcome.begun().expect("there is no limit").epoch)
}

fn is_listed(store: &MemoryStore, id: usize) -> bool {
    answer(store.session(session(id), BEGIN)).expect("memory never fails a read").is_some()
}

fn rotation(id: usize, generation: u32, now: Timestamp) -> Rotation {
    let query = RefreshQuery::new(session(id), BEGIN, Scopes::new(None, None, "ada"));
    let rotation = Rotation::new(query, generation, TokenExchange::new(now, None), record(id));
    Rotation { is_activity: true, ..rotation }
}

#[test]
fn p15_the_record_that_ends_first_is_evicted() {
    let store = MemoryStore::with_capacity(4);
    (0..4).for_each(|id| {
        begin(&store, id).expect("there is room");
    });
    for id in [0, 1, 3] {
        let active = active_at(BEGIN + Duration::from_secs(1));
        answer(store.touch(record(id).keys(), active)).expect("memory never fails a touch");
    }
    begin(&store, 4).expect("a record is evicted");
    assert_eq!([0, 1, 2, 3, 4].map(|id| is_listed(&store, id)), [true, true, false, true, true]);
}

#[test]
fn a_refresh_is_recorded_although_its_entry_was_evicted() {
    let store = MemoryStore::with_capacity(1);
    begin(&store, 1).expect("there is room");
    let at = BEGIN + Duration::from_secs(600);
    let rotated = answer(store.rotate(rotation(1, 0, at)));
    assert_eq!(rotated.expect("there is room"), Rotated::Done);
    answer(store.touch(record(2).keys(), active_at(at))).expect("memory never fails a touch");
    assert_eq!(store.get_now(&session(1)), StoredSession::Unknown);
    let record = answer(store.session(session(1), at + IDLE - Duration::from_millis(1)));
    assert!(record.expect("memory never fails a read").is_some_and(|it| it.last_seen == at));
}

/// Its record says that it has expired; the entry, which is lost, may have said otherwise.
#[test]
fn a_session_whose_entry_was_evicted_ends_for_another_unless_it_has_ended() {
    let minutes = |minutes: u64| BEGIN + Duration::from_secs(60 * minutes);
    let at = minutes(25);
    for (case, expected) in [
        ("it may be active", 1),
        ("its tombstone is kept", 0),
        ("a cutoff has revoked it", 0),
        ("its absolute deadline has passed", 0),
        ("its entry says that it has expired", 0),
    ] {
        let store = MemoryStore::with_capacity(2);
        let mut first = record(1);
        if case.contains("deadline") {
            first.ends_at = at;
        }
        let begun = answer(store.begin(SignIn::new(first, audit())));
        begun.expect("there is room").begun().expect("there is no limit");
        if !case.contains("entry") {
            answer(store.touch(record(1).keys(), active_at(minutes(10)))).expect("it is active");
            for id in [8, 9] {
                let touched = store.touch(record(id).keys(), active_at(minutes(11)));
                answer(touched).expect("another entry makes room");
            }
            assert_eq!(store.get_now(&session(1)), StoredSession::Unknown, "it is evicted");
        }
        if case.contains("tombstone") {
            let ended = store.write_tombstone(tombstone(session(1), BEGIN + DAY));
            answer(ended).expect("there is room");
        } else if case.contains("cutoff") {
            let cutoff = RevocationCutoff::new(at, at + DAY);
            store.revocations.insert_cutoff(record(1).scopes.user, cutoff);
        }
        let second = SessionRecord { scopes: record(1).scopes, last_seen: at, ..record(2) };
        let mut sign_in = SignIn::new(second, audit());
        let limit = crate::store::SessionLimit::new(
            1,
            crate::store::OnSessionLimit::Refuse,
            Duration::ZERO,
        );
        sign_in.limit = Some(limit);
        let begun = answer(store.begin(sign_in)).expect("there is room").begun();
        let begun = begun.unwrap_or_else(|| panic!("{case}: it is no reason to refuse"));
        assert_eq!(begun.ended.len(), expected, "{case}");
    }
}

fn active_at(now: Timestamp) -> crate::store::Touch {
    crate::store::Touch::new(now, now, IDLE)
}

#[test]
fn p22_a_tombstone_is_kept_until_the_absolute_deadline_of_its_session() {
    let store = MemoryStore::with_capacity(1);
    begin(&store, 1).expect("there is room");
    answer(store.write_tombstone(tombstone(session(1), BEGIN)))
        .expect("its entry becomes the tombstone");
    let end = |at| answer(store.write_tombstone(Tombstone::new(session(2), at, at + DAY)));
    end(BEGIN + DAY - Duration::from_millis(1)).expect_err("there is no room");
    assert_eq!(store.get_now(&session(1)), StoredSession::Ended);
    end(BEGIN + DAY).expect("there is room");
    assert_eq!(store.get_now(&session(1)), StoredSession::Unknown);
}

#[test]
fn p22_a_revocation_without_room_for_its_tombstone_fails() {
    let store = MemoryStore::with_capacity(1);
    answer(store.write_tombstone(tombstone(session(9), BEGIN + DAY))).expect("there is room");
    begin(&store, 1).expect("tombstones take no room from records");
    assert!(answer(store.revoke(tombstone(session(1), BEGIN + DAY), audit())).is_err());
    assert!(answer(store.write_tombstone(tombstone(session(1), BEGIN + DAY))).is_err());
    assert!(is_listed(&store, 1));
}

#[test]
fn p21_a_session_with_a_tombstone_does_not_begin() {
    let store = MemoryStore::new();
    answer(store.write_tombstone(tombstone(session(1), BEGIN + DAY))).expect("there is room");
    assert!(begin(&store, 1).is_err());
    assert!(!is_listed(&store, 1));
}

#[test]
fn bulk_revocations_remove_expired_cutoffs() {
    let store = MemoryStore::new();
    let user = Scopes::new(None, None, "ada").user;
    let revoke_all = |scope, now| {
        let cutoff = RevocationCutoff::new(now, now + DAY);
        let revocation = BulkRevocation::new(Scope::User(scope), now, cutoff, audit());
        answer(store.revoke_all(revocation)).expect("memory never fails a bulk revocation")
    };
    revoke_all(user, BEGIN);
    let other = StoreKey::user(None, None, "bob");
    (2..REVOCATIONS_PER_CLEANUP).for_each(|_| {
        revoke_all(other, BEGIN + DAY);
    });
    assert!(store.revocations.cutoff_of(&user).is_some());
    revoke_all(other, BEGIN + DAY);
    assert!(store.revocations.cutoff_of(&user).is_none());
    assert!(store.revocations.cutoff_of(&other).is_some());
}

#[test]
fn p31_p33_the_sessions_of_a_user_are_not_exempt_while_one_of_them_may_have_lost_its_record() {
    let store = MemoryStore::with_capacity(3);
    for id in 0..4 {
        begin(&store, id).expect("it begins");
    }
    let revoke = |exempt: Exempt, now: Timestamp| {
        let cutoff = RevocationCutoff::new(now, now + DAY);
        let scope = Scope::Everything(record(0).scopes.everything);
        let revocation = BulkRevocation::new(scope, now, cutoff, audit());
        answer(store.revoke_all(BulkRevocation { exempt, ..revocation }))
    };
    let evicted = (0..4).find(|id| !is_listed(&store, *id)).expect("a session has no record");
    let user = Exempt::User(record(evicted).scopes.user);
    let error = revoke(user.clone(), BEGIN).expect_err("a session has no record");
    assert!(format!("{error:?}").contains("Exempt::Sessions"), "{error:?}");
    let caller = CallerSession::new(session(evicted), record(evicted).scopes, BEGIN, IDLE);
    revoke(Exempt::UserOfCaller(caller), BEGIN).expect_err("the same");
    assert!(is_listed(&store, 3), "nothing is revoked");
    let other = Exempt::User(record(3).scopes.user);
    assert_eq!(revoke(other, BEGIN).expect("its sessions have records"), 2);
    // The session without a record has reached its end.
    revoke(user, BEGIN + DAY).expect("every active session has a record");
}
