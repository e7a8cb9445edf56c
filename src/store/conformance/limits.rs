//! Limits of the sessions of a subject.

use std::time::Duration;

use crate::{
    audit::{AuditEvent, AuditRecord, SessionEndCause},
    store::{
        OnSessionLimit::{self, LeastActive, Oldest, Refuse},
        ReplacedSession, SessionLimit, SessionRecord, SignIn, SignedIn, Tombstone,
        conformance::sign_in::{
            ABSOLUTE, ADA, ADA_AT_GLOBEX, BEGIN, BOB, IDLE, Person, Store, after, all_of, ask,
            audit, audited, begin, begun, is_active, listed, revoke_all, rotate, rotation, started,
            tombstone, touch, try_begin,
        },
    },
    time::Timestamp,
};
use tokio::task::JoinSet;

fn limit(max: u32, on_limit: OnSessionLimit) -> SessionLimit {
    SessionLimit::new(max, on_limit, Duration::ZERO)
}

/// A sign-in at `at` under a limit.
fn limited(person: Person, sid: &str, at: Timestamp, max: u32, on_limit: OnSessionLimit) -> SignIn {
    let record = person.signs_in(sid, at);
    let audit = started(&record);
    SignIn { limit: Some(limit(max, on_limit)), ..SignIn::new(record, audit) }
}

/// Signs [`ADA`] in, `millis` after [`BEGIN`]; which sessions end for it, or `None` if it is refused.
async fn signs_in(
    store: &Store,
    (sid, millis): (&str, u64),
    max: u32,
    on_limit: OnSessionLimit,
) -> Option<usize> {
    let sign_in = limited(ADA, sid, after(millis), max, on_limit);
    try_begin(store, sign_in).await.map(|SignedIn { ended, .. }| ended.len())
}

async fn sessions(store: &Store, now: u64) -> Vec<String> {
    listed(store, ADA.subject(), after(now)).await
}

pub(super) async fn a_sign_in_beyond_the_limit_ends_the_oldest_session(store: Store) {
    for millis in 0..3 {
        assert_eq!(signs_in(&store, (&millis.to_string(), millis), 3, Oldest).await, Some(0));
    }
    let first = ADA.signs_in("0", after(0));
    store.touch(first.keys(), touch(after(500), BEGIN)).await.expect("the store answers");
    let begun = try_begin(&store, limited(ADA, "3", after(900), 3, Oldest)).await;
    let ended = begun.expect("it begins").ended;
    let cause = SessionEndCause::SessionLimit;
    let expected =
        AuditRecord { event: AuditEvent::SessionEnded { cause }, ..audit(&first, "", after(900)) };
    assert!(ended == [expected], "{ended:?}");
    assert!(audited(&store, "session_ended").await == ended);
    assert_eq!(sessions(&store, 900).await, ["3", "2", "1"]);
    assert!(!is_active(&store, &first, after(900)).await);
    assert_eq!(audited(&store, "session_started").await.len(), 4);
}

pub(super) async fn a_sign_in_beyond_the_limit_ends_the_least_active_session(store: Store) {
    for millis in 0..3 {
        signs_in(&store, (&millis.to_string(), millis), 3, LeastActive).await;
    }
    for (sid, seen) in [("0", 600), ("1", 700)] {
        store.touch(ADA.keys(sid), touch(after(seen), BEGIN)).await.expect("the store answers");
    }
    assert_eq!(signs_in(&store, ("3", 900), 3, LeastActive).await, Some(1));
    assert_eq!(sessions(&store, 900).await, ["3", "1", "0"]);
    assert_eq!(signs_in(&store, ("4", 901), 3, LeastActive).await, Some(1));
    assert_eq!(sessions(&store, 901).await, ["4", "3", "1"]);
}

pub(super) async fn a_sign_in_beyond_the_limit_is_refused_and_changes_nothing(store: Store) {
    for millis in 0..3 {
        assert_eq!(signs_in(&store, (&millis.to_string(), millis), 3, Refuse).await, Some(0));
    }
    assert_eq!(signs_in(&store, ("3", 900), 3, Refuse).await, None);
    assert_eq!(sessions(&store, 900).await, ["2", "1", "0"]);
    assert_eq!(audited(&store, "session_started").await.len(), 3);
    assert!(audited(&store, "session_ended").await.is_empty());
    let signed_out = ADA.signs_in("1", after(1));
    let row = audit(&signed_out, "session_ended", after(901));
    store.revoke(tombstone(signed_out.key, BEGIN + ABSOLUTE), row).await.expect("it ends");
    assert_eq!(signs_in(&store, ("3", 902), 3, Refuse).await, Some(0), "there is room again");
}

pub(super) async fn expired_and_revoked_sessions_do_not_count(store: Store) {
    for on_limit in [Oldest, LeastActive, Refuse] {
        let prefix = format!("{on_limit:?}");
        let begun = |sid: &str, at: Timestamp| ADA.signs_in(&format!("{prefix} {sid}"), at);
        begin(&store, &begun("revoked", BEGIN)).await;
        revoke_all(&store, all_of(ADA.user(), BEGIN)).await;
        let idle = begun("idle", after(10));
        begin(&store, &idle).await;
        begin(&store, &SessionRecord { ends_at: after(12), ..begun("absolute", after(11)) }).await;
        // Past its idle deadline, and past the time that another node has to write an activity.
        let now = idle.last_seen + IDLE + Duration::from_secs(60);
        let mut sign_in = SignIn::new(begun("new", now), started(&begun("new", now)));
        sign_in.limit = Some(limit(1, on_limit));
        let answer = try_begin(&store, sign_in).await.expect("there is room");
        assert_eq!(answer.ended.len(), 0, "{on_limit:?}");
        revoke_all(&store, all_of(ADA.user(), now)).await;
    }
}

pub(super) async fn a_session_that_has_just_expired_is_no_reason_to_refuse(store: Store) {
    let idle = begun(&store, ADA, "idle").await;
    let now = BEGIN + IDLE;
    for (at, is_refused) in [(Timestamp::from_millis(now.as_millis() - 1), true), (now, false)] {
        let answer = try_begin(&store, limited(ADA, "next", at, 1, Refuse)).await;
        assert_eq!(answer.is_none(), is_refused);
    }
    // Whatever another node knows of it, it stays expired.
    assert!(!is_active(&store, &idle, now).await);
    assert_eq!(listed(&store, ADA.subject(), now).await, ["next"]);
}

pub(super) async fn adopted_sessions_count_and_are_not_refused(store: Store) {
    for (sid, millis) in [("old", 0), ("older", 1), ("oldest", 2)] {
        let adopted = SessionRecord { is_adopted: true, ..ADA.signs_in(sid, after(millis)) };
        store.adopt(adopted).await.expect("the store answers");
    }
    // The record of a session that the store has lost is another that no limit refuses.
    let lost = ADA.signs_in("lost", after(3));
    let lost_exchange = rotation(&lost, 0, "lost", after(4));
    let _ = rotate(&store, lost_exchange).await;
    assert_eq!(sessions(&store, 5).await.len(), 4);
    assert_eq!(signs_in(&store, ("new", 6), 2, Refuse).await, None);
    assert_eq!(signs_in(&store, ("new", 6), 2, Oldest).await, Some(3));
    assert_eq!(sessions(&store, 7).await, ["new", "lost"]);
}

pub(super) async fn a_limit_holds_for_a_subject_in_all_accounts_and_for_no_other(store: Store) {
    for (at, person) in (0..).zip([ADA, ADA_AT_GLOBEX, BOB]) {
        let sign_in = limited(person, &at.to_string(), after(at), 2, Oldest);
        assert_eq!(try_begin(&store, sign_in).await.expect("it begins").ended.len(), 0);
    }
    let third = try_begin(&store, limited(ADA_AT_GLOBEX, "third", after(9), 2, Oldest)).await;
    let ended = third.expect("it begins").ended;
    assert_eq!(ended[0].subject.user, Some(ADA.scopes().user), "the oldest, of the other account");
    assert_eq!(listed(&store, BOB.subject(), after(9)).await.len(), 1);
}

/// The step-up of the session of `record` under a limit of one.
fn step_up(record: &SessionRecord, sid: &str, at: Timestamp, on_limit: OnSessionLimit) -> SignIn {
    let ends = Tombstone::new(record.key, at, record.ends_at)
        .of_user(record.scopes.user, Some(record.epoch));
    let row = audit(record, "session_ended", at);
    let replaced = ReplacedSession::new(ask(record), ends, row);
    SignIn { replaces: Some(replaced), ..limited(ADA, sid, at, 1, on_limit) }
}

pub(super) async fn p21_a_step_up_does_not_count(store: Store) {
    for sid in ["other", "old"] {
        begun(&store, ADA, sid).await;
    }
    let mut old = ADA.signs_in("old", BEGIN);
    for (on_limit, millis) in [(Refuse, 1), (Oldest, 2), (LeastActive, 3)] {
        let sign_in = step_up(&old, &millis.to_string(), after(millis), on_limit);
        old = sign_in.record.clone();
        let begun = try_begin(&store, sign_in).await.expect("it begins");
        assert_eq!(begun.ended.len(), 1, "{on_limit:?}: the one that it replaces");
    }
    assert_eq!(sessions(&store, 6).await.len(), 2, "the other goes on");
    assert!(is_active(&store, &ADA.signs_in("other", BEGIN), after(6)).await);
}

pub(super) async fn p21_a_step_up_from_a_session_that_has_ended_counts(store: Store) {
    let old = begun(&store, ADA, "old").await;
    assert_eq!(signs_in(&store, ("evicts", 5), 1, Oldest).await, Some(1));
    let refused = try_begin(&store, step_up(&old, "again", after(6), Refuse)).await;
    assert!(refused.is_none(), "it does not bring a second session back");
    assert_eq!(sessions(&store, 7).await, ["evicts"]);
    let begun = try_begin(&store, step_up(&old, "again", after(8), Oldest)).await;
    assert_eq!(begun.expect("it begins").ended.len(), 1);
    assert_eq!(sessions(&store, 9).await, ["again"]);
}

pub(super) async fn p31_a_thousand_concurrent_sign_ins_leave_as_many_sessions_as_the_limit(
    store: Store,
) {
    for (on_limit, sign_ins) in [(Oldest, 1000), (LeastActive, 100), (Refuse, 100)] {
        let mut tasks = JoinSet::new();
        for number in 0..sign_ins {
            let store = std::sync::Arc::clone(&store);
            let sid = format!("{on_limit:?} {number}");
            tasks.spawn(async move {
                let sign_in = limited(ADA, &sid, after(number), 3, on_limit);
                try_begin(&store, sign_in).await.is_some()
            });
        }
        let begun = tasks.join_all().await.into_iter().filter(|begun| *begun).count();
        let all = usize::try_from(sign_ins).expect("few");
        assert_eq!(begun, if on_limit == Refuse { 0 } else { all }, "{on_limit:?}");
        assert_eq!(sessions(&store, 2000).await.len(), 3, "{on_limit:?}");
    }
    let bob = begun(&store, BOB, "bob").await;
    assert!(is_active(&store, &bob, after(2000)).await);
}
