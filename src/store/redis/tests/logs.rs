//! What the logs keep of a user, and for how long.

use super::{nodes::NOW, *};
use crate::{
    audit::{AuditEvent, AuditRecord, AuditSubject},
    clock::ManualClock,
    identity::Scopes,
    store::{LifecycleQueries as _, LifecycleStore as _, ListQuery},
};

/// As long as a row is kept.
const AGE: Duration = Duration::from_secs(90 * 86_400);
const MILLI: Duration = Duration::from_millis(1);

fn scopes(sub: &str) -> Scopes {
    Scopes::new(None, Some("acme"), sub)
}

fn row(sub: &str, at: Timestamp) -> AuditRecord {
    let subject = AuditSubject::from_session(StoreKey::session(None, sub), &scopes(sub));
    AuditRecord::new(at, AuditEvent::SessionStarted, subject)
}

/// A log on a server of its own.
struct Log {
    server: RedisServer,
    node: RedisStore,
}

impl Log {
    async fn new() -> Self {
        let server = RedisServer::start();
        let node = RedisStore::at(server.url()).time_limit(BOUND).audit_log(true);
        let node = node.clock(ManualClock::new(NOW)).connect().await.expect("the server runs");
        Self { server, node }
    }

    async fn append(&self, rows: Vec<AuditRecord>) {
        self.node.append_audit(rows.into()).await.expect("the server answers");
    }

    fn keys_of(sub: &str) -> [String; 2] {
        let keys = keys::Keys::new("tss");
        let account = scopes(sub).account.expect("each has an account");
        [keys.log('a', scopes(sub).user), keys.log('i', account)]
            .map(|key| String::from_utf8(key).expect("the key is text"))
    }

    /// How many rows of a user there are, and how many of the account.
    fn counts(&self, sub: &str) -> [String; 2] {
        let [rows, list] = Self::keys_of(sub);
        [self.server.command(&["LLEN", &rows]), self.server.command(&["ZCARD", &list])]
    }
}

#[tokio::test]
async fn p31_a_log_keeps_a_thousand_rows_of_a_user() {
    let log = Log::new().await;
    log.append(vec![row("bob", NOW)]).await;
    log.append((0..1_003).map(|millis| row("ada", NOW + millis * MILLI)).collect()).await;
    assert_eq!(log.counts("ada"), ["1000", "1001"], "the list of the account names no others");
    assert_eq!(log.counts("bob")[0], "1");
    let user = crate::identity::Scope::User(scopes("ada").user);
    let latest = log.node.audit_log(user, ListQuery::first(1)).await.expect("the server answers");
    assert_eq!(latest.items[0].at, NOW + 1_002 * MILLI);
}

#[tokio::test]
async fn p15_rows_older_than_the_limit_are_removed_with_the_next() {
    let log = Log::new().await;
    log.append((0..150).map(|_| row("ada", NOW)).collect()).await;
    log.append(vec![row("ada", NOW + AGE)]).await;
    assert_eq!(log.counts("ada"), ["151", "151"], "the limit is not passed");
    for key in Log::keys_of("ada") {
        let life: u128 = log.server.command(&["PTTL", &key]).parse().expect("it expires");
        assert!(life > (AGE / 9 * 8).as_millis(), "{life} ms");
    }
    // At most a hundred of the user at once; the list of the account is a matter of one command.
    log.append(vec![row("ada", NOW + AGE + MILLI)]).await;
    assert_eq!(log.counts("ada"), ["52", "2"]);
    log.append(vec![row("ada", NOW + AGE + MILLI)]).await;
    assert_eq!(log.counts("ada"), ["3", "3"]);
}

#[tokio::test]
async fn p40_a_row_that_is_sent_twice_is_there_once() {
    let log = Log::new().await;
    log.node.0.connection.send_twice();
    for millis in 0..3 {
        log.append(vec![row("ada", NOW + millis * MILLI)]).await;
    }
    assert_eq!(log.counts("ada"), ["3", "3"]);
}
