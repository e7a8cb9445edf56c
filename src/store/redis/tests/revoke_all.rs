//! Bulk revocation: the cutoff first, however many sessions there are.

use super::{nodes::*, *};
use crate::{
    clock::ManualClock,
    identity::{Scope, SessionKeys},
    store::{
        BulkRevocation, Exempt, LifecycleQueries as _, LifecycleStore as _, ListQuery,
        RevocationCutoff, SignIn,
    },
};

fn all_of(scope: Scope, at: Timestamp, exempt: Exempt) -> BulkRevocation {
    let cutoff = RevocationCutoff::new(at, at + DAY);
    let audit = audit("sessions_revoked_bulk");
    BulkRevocation { exempt, ..BulkRevocation::new(scope, at, cutoff, audit) }
}

fn is_revoked(node: &RedisStore, keys: SessionKeys) -> bool {
    let revocations = node.revocations().expect("it has them");
    revocations.revoked_by(keys.session, NOW, scopes).is_some()
}

#[tokio::test]
async fn p29_a_revocation_of_everything_is_in_force_before_the_sessions_are_counted() {
    let server = RedisServer::start();
    let rights = |keys: &[&str]| {
        let user = ["ACL", "SETUSER", "app", "reset", "on", ">pass", "+@all"];
        server.command(&[&user, keys].concat());
    };
    rights(&["~*"]);
    let address = server.url().replacen("://", "://app:pass@", 1);
    let one = RedisStore::at(address).time_limit(BOUND).list_everything(true);
    let one = one.clock(ManualClock::new(NOW)).connect().await.expect("the server runs");
    let other = node(&server).await;
    let record = begin(&one, "s").await;
    // It can publish, and read no list.
    rights(&["~tss:{g}:*", "%R~tss:{*}:m"]);
    let everything = Scope::Everything(scopes().everything);
    one.revoke_all(all_of(everything, NOW, Exempt::None)).await.expect_err("it cannot count");
    other.0.sync_now().await.expect("the server answers");
    for node in [&one, &other] {
        assert!(is_revoked(node, record.keys()));
    }
}

#[tokio::test]
async fn p29_without_a_list_everything_is_revoked_and_nothing_is_counted() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let everything = Scope::Everything(scopes().everything);
    let mut sessions = Vec::new();
    for round in 0..3 {
        // Each in the millisecond of the cutoff before.
        let sign_in = SignIn::new(record(&round.to_string()), audit("session_started"));
        let begun = node.begin(sign_in).await.expect("it begins").begun().expect("no limit");
        let revocations = node.revocations().expect("it has them");
        let key = record(&round.to_string()).key;
        assert!(revocations.revoked_by(key, begun.epoch, scopes).is_none());
        sessions.push((key, begun.epoch));
        let revocation = all_of(everything, NOW, Exempt::None);
        assert_eq!(node.revoke_all(revocation).await.expect("it is revoked"), 0);
        for (key, epoch) in &sessions {
            assert!(revocations.revoked_by(*key, *epoch, scopes).is_some());
        }
    }
    let query = ListQuery::first(1);
    let error = node.sessions(everything, query.clone(), NOW).await.expect_err("no list");
    assert!(format!("{error:?}").contains("list_everything"), "{error:?}");
    let error = node.audit_log(everything, query).await.expect_err("no log");
    assert!(format!("{error:?}").contains("audit_log"), "{error:?}");
}

#[tokio::test]
async fn p33_a_session_that_is_known_by_its_activity_alone_is_exempt() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let keys = |sid: &str| SessionKeys::new(StoreKey::session(None, sid), scopes().user);
    let touch = async |sid: &str, at: Timestamp| {
        node.touch(keys(sid), Touch::new(at, at, IDLE)).await.expect("the server answers");
        node.flush().await.expect("the server answers");
    };
    let account = Scope::Account(scopes().account.expect("ada has an account"));
    for (at, scope) in [
        (NOW + Duration::from_secs(1), Scope::User(scopes().user)),
        (NOW + Duration::from_secs(2), account),
        (NOW + Duration::from_secs(3), Scope::Everything(scopes().everything)),
    ] {
        let session = format!("{scope:?}");
        let seen = at - Duration::from_millis(1);
        touch(&session, seen).await;
        touch("another", seen).await;
        let exempt = Exempt::Sessions(vec![keys(&session).session]);
        let count = node.revoke_all(all_of(scope, at, exempt)).await.expect("it is revoked");
        assert_eq!(count, 0, "neither has a record");
        let revocations = node.revocations().expect("it has them");
        let is_revoked =
            |sid: &str| revocations.revoked_by(keys(sid).session, seen, scopes).is_some();
        assert!(!is_revoked(&session) && is_revoked("another"), "{scope:?}");
        // It has ended, and its activity is as it was.
        let later = at + Duration::from_millis(1);
        node.revoke_all(all_of(scope, later, Exempt::None)).await.expect("it is revoked");
        let exempt = Exempt::Sessions(vec![keys(&session).session]);
        let last = all_of(scope, later + Duration::from_millis(1), exempt);
        node.revoke_all(last).await.expect("it is revoked");
        assert!(is_revoked(&session), "an exemption revives nothing: {scope:?}");
    }
}
