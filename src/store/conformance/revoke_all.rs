//! Bulk revocation of the sessions of a scope.

use std::time::Duration;

use crate::{
    audit::{AuditEvent, AuditSubject},
    identity::Scope,
    store::{
        BulkRevocation, CallerSession, Exempt, RefreshState, SessionRecord, StoredSession,
        conformance::sign_in::{
            ABSOLUTE, ADA, ADA_AT_GLOBEX, BEGIN, BOB, EVE, IDLE, JOY, Person, Store, after, all_of,
            audit, audited, begin, begun, everything, is_active, listed, revoke_all, session,
            state, tombstone, touch, unrefreshed,
        },
    },
};

const PEOPLE: [Person; 4] = [ADA, BOB, EVE, JOY];

/// Signs everyone in, each with two sessions.
async fn all_signed_in(store: &Store, round: &str) {
    for person in PEOPLE {
        for device in 1..=2 {
            begun(store, person, &format!("{} {device}{round}", person.sub)).await;
        }
    }
}

/// The number of active sessions of each user.
async fn active_sessions(store: &Store) -> [usize; 4] {
    let mut live = [0; 4];
    for (count, person) in live.iter_mut().zip(PEOPLE) {
        *count = listed(store, person.user(), after(10)).await.len();
    }
    live
}

fn exempting(scope: Scope, exempt: Exempt) -> BulkRevocation {
    BulkRevocation { exempt, ..all_of(scope, after(10)) }
}

pub(super) async fn one_scope_is_revoked_only(store: Store) {
    all_signed_in(&store, "").await;
    assert_eq!(active_sessions(&store).await, [2, 2, 2, 2]);
    assert_eq!(revoke_all(&store, all_of(ADA.user(), after(10))).await, 2);
    assert_eq!(active_sessions(&store).await, [0, 2, 2, 2]);
    assert_eq!(revoke_all(&store, all_of(ADA.account(), after(10))).await, 2);
    assert_eq!(active_sessions(&store).await, [0, 0, 2, 2]);
    assert_eq!(revoke_all(&store, all_of(everything(), after(10))).await, 4);
    assert_eq!(active_sessions(&store).await, [0, 0, 0, 0]);
    let records = audited(&store, "sessions_revoked_bulk").await.into_iter();
    let events: Vec<_> = records.map(|record| (record.event, record.subject)).collect();
    let expected = [(everything(), 4), (ADA.account(), 2), (ADA.user(), 2)];
    let expected = expected.map(|(scope, revoked_count)| {
        let event = AuditEvent::SessionsRevokedBulk { scope: scope.kind(), revoked_count };
        (event, AuditSubject::from_scope(scope))
    });
    assert_eq!(events, expected);
}

pub(super) async fn p29_a_subject_is_revoked_in_all_accounts(store: Store) {
    let sessions = async |person: Person, now| listed(&store, person.user(), now).await.len();
    let bare = Person { sub: "ada", tenant: None };
    for (person, sid) in [(ADA, "1"), (ADA_AT_GLOBEX, "2"), (bare, "3"), (BOB, "4"), (EVE, "5")] {
        begun(&store, person, sid).await;
    }
    assert_eq!(listed(&store, ADA.subject(), after(1)).await.len(), 3);
    // In the millisecond of the sign-ins.
    let exempt = Exempt::Sessions(vec![session("3"), session("4")]);
    let revocation = BulkRevocation { exempt, ..all_of(ADA.subject(), BEGIN) };
    assert_eq!(revoke_all(&store, revocation).await, 2);
    for (person, live) in [(ADA, 0), (ADA_AT_GLOBEX, 0), (bare, 1), (BOB, 1), (EVE, 1)] {
        assert_eq!(sessions(person, after(1)).await, live, "{:?}", person.tenant);
    }
    for (person, sid) in [(ADA, "1"), (ADA_AT_GLOBEX, "2"), (ADA_AT_GLOBEX, "unrecorded")] {
        let revoked = RefreshState::Revoked;
        assert_eq!(state(&store, &person.signs_in(sid, BEGIN)).await, revoked, "{sid}");
    }
    let revocations = store.revocations().expect("the store supports bulk revocation");
    assert_eq!(revocations.cutoff_of(&ADA.subject().key()), Some(BEGIN));
    let record = audited(&store, "sessions_revoked_bulk").await.pop().expect("a record");
    assert_eq!(record.subject, AuditSubject::from_scope(ADA.subject()));
    assert_eq!(record.event.detail(), r#"{"revoked_count":2,"scope":"subject"}"#);
    begun(&store, ADA_AT_GLOBEX, "later").await;
    assert_eq!(sessions(ADA_AT_GLOBEX, after(1)).await, 1);
}

pub(super) async fn a_second_call_revokes_nothing(store: Store) {
    all_signed_in(&store, "").await;
    assert_eq!(revoke_all(&store, all_of(ADA.account(), after(10))).await, 4);
    assert_eq!(revoke_all(&store, all_of(ADA.account(), after(10))).await, 0);
    assert_eq!(revoke_all(&store, all_of(ADA.user(), after(20))).await, 0);
    assert_eq!(audited(&store, "sessions_revoked_bulk").await.len(), 3, "each call is audited");
}

pub(super) async fn expired_and_revoked_sessions_are_not_counted(store: Store) {
    let milli = Duration::from_millis(1);
    for sid in ["idle", "ended", "revoked", "active", "absolute"] {
        begun(&store, ADA, sid).await;
    }
    for (sid, at) in [("active", BEGIN + IDLE - milli), ("absolute", BEGIN + IDLE - milli)] {
        store.touch(ADA.keys(sid), touch(at, at)).await.expect("the store answers");
    }
    store.flush().await.expect("the activities are written");
    store
        .write_tombstone(tombstone(session("ended"), BEGIN + ABSOLUTE))
        .await
        .expect("the store answers");
    let revoked = audit(&ADA.signs_in("revoked", BEGIN), "session_ended", after(10));
    assert!(
        store
            .revoke(tombstone(session("revoked"), BEGIN + ABSOLUTE), revoked)
            .await
            .expect("answers")
    );
    assert_eq!(listed(&store, ADA.user(), BEGIN + IDLE).await.len(), 2);
    let at = BEGIN + IDLE;
    let exempt = Exempt::Sessions(vec![session("absolute")]);
    let first = BulkRevocation { exempt, ..all_of(ADA.user(), at) };
    assert_eq!(revoke_all(&store, first).await, 1, "one session was still active");
    let last = BEGIN + ABSOLUTE - IDLE;
    store.touch(ADA.keys("absolute"), touch(last, last)).await.expect("the store answers");
    store.flush().await.expect("the activity is written");
    assert_eq!(revoke_all(&store, all_of(ADA.user(), BEGIN + ABSOLUTE)).await, 0);
}

pub(super) async fn exempt_sessions_stay_active(store: Store) {
    all_signed_in(&store, "").await;
    let kept = ["ada 1", "bob 2"].map(session);
    let exempt = || Exempt::Sessions(vec![kept[0], session("unknown"), kept[1], kept[0]]);
    for (scope, ended, live) in [
        (ADA.user(), 1, [1, 2, 2, 2]),
        (ADA.account(), 1, [1, 1, 2, 2]),
        (everything(), 4, [1, 1, 0, 0]),
    ] {
        assert_eq!(revoke_all(&store, exempting(scope, exempt())).await, ended, "{scope:?}");
        assert_eq!(active_sessions(&store).await, live, "{scope:?}");
    }
    for (person, sid) in [(ADA, "ada 1"), (BOB, "bob 2")] {
        assert_eq!(listed(&store, person.user(), after(10)).await, [sid]);
        let known = unrefreshed(BEGIN);
        assert_eq!(state(&store, &person.signs_in(sid, BEGIN)).await, known);
    }
    let gone = state(&store, &ADA.signs_in("ada 2", BEGIN)).await;
    assert_eq!(gone, RefreshState::Revoked);
}

pub(super) async fn the_sessions_of_an_exempt_user_are_exempt(store: Store) {
    all_signed_in(&store, "").await;
    let exempt = || Exempt::User(ADA.scopes().user);
    assert_eq!(revoke_all(&store, exempting(ADA.account(), exempt())).await, 2);
    assert_eq!(active_sessions(&store).await, [2, 0, 2, 2]);
    assert_eq!(revoke_all(&store, exempting(everything(), exempt())).await, 4);
    assert_eq!(active_sessions(&store).await, [2, 0, 0, 0]);
    assert_eq!(revoke_all(&store, exempting(ADA.user(), exempt())).await, 0);
    assert_eq!(active_sessions(&store).await, [2, 0, 0, 0]);
}

pub(super) async fn an_exemption_holds_for_one_cutoff(store: Store) {
    all_signed_in(&store, "").await;
    let exempt = Exempt::Sessions(vec![session("ada 1")]);
    assert_eq!(revoke_all(&store, exempting(ADA.user(), exempt)).await, 1);
    assert_eq!(revoke_all(&store, all_of(ADA.user(), after(11))).await, 1);
    assert_eq!(active_sessions(&store).await, [0, 2, 2, 2]);
}

pub(super) async fn p29_an_exempt_session_is_revoked_by_a_second_cutoff_of_the_same_millisecond(
    store: Store,
) {
    all_signed_in(&store, "").await;
    let exempt = Exempt::User(ADA.scopes().user);
    assert_eq!(revoke_all(&store, exempting(everything(), exempt)).await, 6);
    assert_eq!(revoke_all(&store, all_of(everything(), after(10))).await, 2);
    assert_eq!(active_sessions(&store).await, [0; 4]);
    let ada = ADA.signs_in("ada 1", BEGIN);
    assert_eq!(state(&store, &ada).await, RefreshState::Revoked);
}

fn caller(person: Person, sid: &str) -> CallerSession {
    CallerSession::new(session(sid), person.scopes(), BEGIN, IDLE)
}

/// Whether the layers and a refresh see the session of this sign-in as revoked.
async fn is_revoked(store: &Store, person: Person, sid: &str) -> bool {
    let revocations = store.revocations().expect("the store supports bulk revocation");
    let by_cutoff = revocations.revoked_by(session(sid), BEGIN, || person.scopes()).is_some();
    let state = state(store, &person.signs_in(sid, BEGIN)).await;
    assert_eq!(by_cutoff, state == RefreshState::Revoked, "{sid}");
    by_cutoff
}

pub(super) async fn a_caller_without_a_record_is_exempt(store: Store) {
    for sid in ["recorded", "touched", "unknown"] {
        let person = Person { sub: sid, tenant: Some(sid) };
        match sid {
            "recorded" => drop(begun(&store, person, sid).await),
            "touched" => {
                store
                    .touch(person.keys(sid), touch(BEGIN, BEGIN))
                    .await
                    .expect("the store answers");
            }
            _ => {}
        }
        for (millis, exempt) in [
            (10, Exempt::Caller(caller(person, sid))),
            (20, Exempt::UserOfCaller(caller(person, sid))),
        ] {
            for scope in [person.user(), person.subject(), person.account()] {
                let revocation =
                    BulkRevocation { exempt: exempt.clone(), ..all_of(scope, after(millis)) };
                assert_eq!(revoke_all(&store, revocation).await, 0, "{sid}");
                assert!(!is_revoked(&store, person, sid).await, "{sid} {exempt:?} {scope:?}");
                assert!(is_revoked(&store, person, "phone").await, "{sid}");
            }
            // The caller is not in this scope.
            let revocation =
                BulkRevocation { exempt: exempt.clone(), ..all_of(EVE.user(), after(millis)) };
            assert_eq!(revoke_all(&store, revocation).await, 0, "{sid}");
        }
        assert_eq!(
            listed(&store, person.user(), after(20)).await.len(),
            usize::from(sid == "recorded")
        );
        revoke_all(&store, all_of(person.account(), after(30))).await;
        assert!(is_revoked(&store, person, sid).await, "{sid}");
    }
}

pub(super) async fn p29_an_exempt_caller_without_a_record_ends_with_the_next_cutoff(store: Store) {
    for sid in ["touched", "unknown"] {
        let joy = Person { sub: sid, tenant: Some("acme") };
        if sid == "touched" {
            store.touch(joy.keys(sid), touch(BEGIN, BEGIN)).await.expect("the store answers");
        }
        let exempt = Exempt::Caller(caller(joy, sid));
        let revocation = BulkRevocation { exempt: exempt.clone(), ..all_of(joy.user(), after(10)) };
        assert_eq!(revoke_all(&store, revocation).await, 0);
        assert!(!is_revoked(&store, joy, sid).await);
        // Of another scope and in the same millisecond.
        assert_eq!(revoke_all(&store, all_of(joy.subject(), after(10))).await, 0);
        assert!(is_revoked(&store, joy, sid).await, "{sid}");
        let revocation = BulkRevocation { exempt, ..all_of(joy.user(), after(11)) };
        assert_eq!(revoke_all(&store, revocation).await, 0);
        assert!(is_revoked(&store, joy, sid).await, "{sid}: an exemption revives nothing");
    }
    store
        .write_tombstone(tombstone(session("ended"), BEGIN + ABSOLUTE))
        .await
        .expect("the store answers");
    let exempt = Exempt::Caller(caller(ADA, "ended"));
    revoke_all(&store, exempting(ADA.user(), exempt)).await;
    assert_eq!(store.get(ADA.keys("ended")).await.expect("it answers"), StoredSession::Ended);
}

pub(super) async fn an_exemption_revives_no_session(store: Store) {
    all_signed_in(&store, "").await;
    store
        .write_tombstone(tombstone(session("ada 1"), BEGIN + ABSOLUTE))
        .await
        .expect("the store answers");
    let idle = SessionRecord { idle: Duration::from_millis(11), ..ADA.signs_in("idle", BEGIN) };
    begin(&store, &idle).await;
    let but_idle = Exempt::Sessions(vec![session("idle")]);
    let first = BulkRevocation { exempt: but_idle, ..all_of(ADA.account(), after(10)) };
    assert_eq!(revoke_all(&store, first).await, 3);
    let exempt = Exempt::Sessions(["ada 1", "ada 2", "bob 1", "idle"].map(session).to_vec());
    let later = BulkRevocation { exempt, ..all_of(everything(), after(11)) };
    assert_eq!(revoke_all(&store, later).await, 4);
    assert_eq!(active_sessions(&store).await, [0; 4]);
    assert_eq!(state(&store, &idle).await, RefreshState::Revoked);
    let user = Exempt::User(EVE.scopes().user);
    let last = BulkRevocation { exempt: user, ..all_of(EVE.account(), after(12)) };
    assert_eq!(revoke_all(&store, last).await, 0);
    assert_eq!(active_sessions(&store).await, [0; 4]);
}

pub(super) async fn p40_an_empty_scope_gets_a_cutoff_and_a_record(store: Store) {
    begun(&store, EVE, "eve").await;
    assert_eq!(revoke_all(&store, all_of(ADA.account(), after(10))).await, 0);
    assert_eq!(audited(&store, "sessions_revoked_bulk").await.len(), 1);
    let stranger = ADA.signs_in("stranger", BEGIN);
    let revoked = RefreshState::Revoked;
    assert_eq!(state(&store, &stranger).await, revoked);
    assert!(is_active(&store, &EVE.signs_in("eve", BEGIN), after(10)).await);
}

pub(super) async fn the_layers_see_new_cutoffs(store: Store) {
    all_signed_in(&store, "").await;
    let exempt = Exempt::Sessions(vec![session("ada 1")]);
    revoke_all(&store, exempting(ADA.user(), exempt)).await;
    let revocations = store.revocations().expect("the store supports bulk revocation");
    assert_eq!(revocations.cutoff_of(&ADA.user().key()), Some(after(10)));
    let is_revoked = |sid, epoch, person: Person| {
        revocations.revoked_by(session(sid), epoch, || person.scopes()).is_some()
    };
    assert!(is_revoked("ada 2", BEGIN, ADA));
    assert!(is_revoked("ada 3", after(10), ADA));
    assert!(!is_revoked("ada 3", after(11), ADA));
    assert!(!is_revoked("ada 1", BEGIN, ADA));
    assert!(!is_revoked("bob 1", BEGIN, BOB));
}

/// A session that is known by its activity alone, and that an earlier revocation has ended: whether the store
/// refuses to exempt it or ignores that.
pub(super) async fn p22_an_exemption_revives_no_session_without_a_record(store: Store) {
    for (number, first) in [ADA.user(), ADA.account(), ADA.subject()].into_iter().enumerate() {
        let (sid, millis) = (format!("touched {number}"), 100 * (number as u64 + 1));
        let seen = after(millis);
        store.touch(ADA.keys(&sid), touch(seen, seen)).await.expect("the store answers");
        store.flush().await.expect("the activity is written");
        revoke_all(&store, all_of(first, after(millis + 10))).await;
        for (later, scope) in [ADA.user(), ADA.account(), everything()].into_iter().enumerate() {
            let at = after(millis + 20 + later as u64);
            let exempt = Exempt::Sessions(vec![session(&sid)]);
            let _ = store.revoke_all(BulkRevocation { exempt, ..all_of(scope, at) }).await;
            let revocations = store.revocations().expect("the store supports bulk revocation");
            let revoked_by = revocations.revoked_by(session(&sid), seen, || ADA.scopes());
            assert!(revoked_by.is_some(), "{first:?}, then {scope:?}");
        }
    }
}
