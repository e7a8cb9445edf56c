//! Folding ends no session that is active, whatever its record has become meanwhile.

use super::{nodes::*, *};
use crate::{
    clock::{Clock as _, ManualClock},
    identity::{CutoffScope, Scope},
    store::{
        BulkRevocation, Exempt, LifecycleStore as _, RefreshQuery, RevocationCutoff, Rotated,
        Rotation, SessionRecord, SignIn, TokenExchange,
        node::{GRACE, SharedStore as _},
        tombstone::{MAX_PER_USER, MAX_UNFOLDED},
    },
};

/// As many sessions of a user as can have a record.
const MOST: u64 = 1000;

/// A session that begins after that many milliseconds.
fn begun_at(millis: u64) -> SessionRecord {
    let at = NOW + Duration::from_millis(millis);
    SessionRecord { last_seen: at, auth_time: at, epoch: at, ..record(&millis.to_string()) }
}

async fn begin_at(node: &RedisStore, millis: u64) -> SessionRecord {
    let record = begun_at(millis);
    let begun = node.begin(SignIn::new(record.clone(), audit("session_started"))).await;
    let epoch = begun.expect("it begins").begun().expect("no limit").epoch;
    SessionRecord { epoch, ..record }
}

/// Signs in after each of these milliseconds.
async fn begin_all(node: &RedisStore, millis: impl IntoIterator<Item = u64>) {
    for millis in millis {
        begin_at(node, millis).await;
    }
}

async fn try_end(node: &RedisStore, record: &SessionRecord) -> Result<bool, StoreError> {
    let tombstone = Tombstone::new(record.key, record.epoch, NOW + DAY);
    let tombstone = tombstone.of_user(record.scopes.user, Some(record.epoch));
    node.revoke(tombstone, audit("session_ended")).await
}

async fn end_all(node: &RedisStore, millis: impl IntoIterator<Item = u64>) {
    for millis in millis {
        assert!(try_end(node, &begun_at(millis)).await.expect("it ends"), "{millis}");
    }
}

/// Whether a request with a token of the session is rejected as revoked.
async fn is_revoked(node: &RedisStore, record: &SessionRecord) -> bool {
    let touch = Touch::new(record.epoch, record.epoch, IDLE);
    let touched = node.touch(record.keys(), touch).await.expect("the server answers");
    let revoked_by = node.0.revocations.revoked_by(record.key, record.epoch, || record.scopes);
    touched == TouchOutcome::Ended || revoked_by.is_some()
}

async fn refresh(node: &RedisStore, record: &SessionRecord) -> Rotated {
    let query = RefreshQuery::new(record.key, record.epoch, record.scopes);
    let exchange = TokenExchange::new(record.epoch, None);
    let rotation = Rotation::new(query, 0, exchange, record.clone());
    node.rotate(rotation).await.expect("the server answers")
}

/// The session is active on both nodes and on one that starts now, and can be refreshed.
async fn assert_active(server: &RedisServer, nodes: [&RedisStore; 2], record: &SessionRecord) {
    let late = node(server).await;
    for node in nodes.into_iter().chain([&late]) {
        node.0.sync_now().await.expect("the server answers");
        assert!(!is_revoked(node, record).await, "{}", record.sid);
    }
    assert_eq!(refresh(&late, record).await, Rotated::Done, "{}", record.sid);
}

async fn assert_ended(nodes: [&RedisStore; 2], millis: impl IntoIterator<Item = u64>) {
    for millis in millis {
        for node in nodes {
            node.0.sync_now().await.expect("the server answers");
            assert!(is_revoked(node, &begun_at(millis)).await, "{millis}");
        }
    }
}

fn folded(node: &RedisStore) -> Option<(u64, u64)> {
    let folded = node.0.revocations.folded_of(&scopes().user)?;
    let millis = |at: Timestamp| at.as_millis() - NOW.as_millis();
    Some((millis(folded.first), millis(folded.last)))
}

#[tokio::test]
async fn p33_a_session_without_a_record_is_not_folded() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    // Session 0 is active later; so session 1 loses its record.
    begin_at(&one, 0).await;
    let touch = Touch::new(NOW + Duration::from_secs(60), NOW, IDLE);
    one.touch(begun_at(0).keys(), touch).await.expect("the server answers");
    one.flush().await.expect("the server answers");
    begin_all(&one, 1..=MOST).await;
    let dropped = begun_at(1);
    assert!(one.0.stored(dropped.keys()).await.map_err(StoreError::from).expect("ok").is_none());
    // That is known for as long as it may be active.
    let key = String::from_utf8(keys::Keys::new("tss").tombstones(scopes().user)).expect("text");
    let life: u128 = server.command(&["PTTL", &key]).parse().expect("a number");
    assert!(life > DAY.as_millis(), "{life}");
    // A fold would reach from session 0 over session 1.
    let ended = (0..70).filter(|millis| *millis != 1);
    end_all(&one, ended.clone()).await;
    assert_eq!(folded(&one), Some((2, 66)), "those that began after it");
    assert_active(&server, [&one, &other], &dropped).await;
    assert_ended([&one, &other], ended).await;
}

#[tokio::test]
async fn p33_a_session_that_was_exempt_and_lost_its_record_stays_exempt() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    // What is folded reaches from 0 to 70 over session 30.
    let exempt = begin_at(&one, 30).await;
    begin_at(&one, 500).await;
    let ended = (0..=70).filter(|millis| *millis != 30);
    begin_all(&one, ended.clone()).await;
    end_all(&one, ended.clone()).await;
    let first = folded(&one).expect("it is folded");
    assert!(first.0 < 30 && 30 < first.1, "{first:?}");
    assert!(!is_revoked(&one, &exempt).await);
    let exempt_until = |millis| one.0.revocations.exempt_until(&begun_at(millis).key);
    assert!(exempt_until(30).is_some() && exempt_until(500).is_none(), "as many as needed");
    // It loses its record; and as many end as are folded, later.
    begin_all(&other, 1_000..1_000 + MOST).await;
    assert!(one.0.stored(exempt.keys()).await.map_err(StoreError::from).expect("ok").is_none());
    end_all(&one, 1_000..1_070).await;
    assert_active(&server, [&one, &other], &exempt).await;
    assert_ended([&one, &other], ended.chain(1_000..1_070)).await;
    assert_eq!(folded(&one), Some(first), "nothing more is folded while that stands");
    // So they count among those that cannot be folded.
    let mut unknown = 20_000;
    while try_end(&one, &begun_at(unknown)).await.is_ok() {
        unknown += 1;
    }
    assert!(unknown < 20_000 + MAX_UNFOLDED as u64 - 70, "{unknown}");
    try_end(&one, &begun_at(1_070)).await.expect_err("there is no room");
    let expired = NOW + DAY + 3 * GRACE;
    one.0.clean(expired).await.expect("the server answers");
    for millis in 0..70 {
        let at = expired + Duration::from_millis(millis);
        let times = SessionRecord { last_seen: at, epoch: at, ends_at: at + DAY, ..exempt.clone() };
        let key = StoreKey::session(None, &format!("later {millis}"));
        let record = SessionRecord { key, ..times };
        one.begin(SignIn::new(record.clone(), audit("session_started"))).await.expect("it begins");
        let tombstone = Tombstone::new(key, at, at + DAY).of_user(record.scopes.user, Some(at));
        assert!(one.revoke(tombstone, audit("session_ended")).await.expect("it ends"));
    }
    assert!(folded(&one).expect("it is folded").0 > 86_400_000);
}

#[tokio::test]
async fn p33_a_session_that_loses_its_record_during_a_fold_is_exempt() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    let live = begin_at(&one, 30).await;
    begin_all(&one, (0..=MAX_PER_USER as u64 + 1).filter(|millis| *millis != 30)).await;
    // All but one: what the last ending does is done here step by step.
    let ended = (0..=MAX_PER_USER as u64).filter(|millis| *millis != 30);
    end_all(&one, ended.clone()).await;
    let last = begun_at(MAX_PER_USER as u64 + 1);
    let until = NOW + DAY;
    let written = one.0.write_tombstone(last.keys(), until, NOW, None, endings::Room::OfUser);
    assert_eq!(written.await.map_err(StoreError::from).expect("it ends"), (true, 65));
    let user = scopes().user;
    let fold = one.0.begin_fold(user, NOW).await.map_err(StoreError::from).expect("it begins");
    begin_all(&other, 1_000..1_000 + MOST).await;
    assert!(other.0.stored(live.keys()).await.map_err(StoreError::from).expect("ok").is_none());
    let fold = fold.expect("there are too many");
    assert!(one.0.publish_fold(user, NOW, fold).await.expect("the server answers"));
    assert_active(&server, [&one, &other], &live).await;
    assert_ended([&one, &other], ended).await;
    // The same command, which runs late.
    let again = one.0.begin_fold(user, NOW).await.map_err(StoreError::from);
    assert!(again.expect("the server answers").is_none());
}

#[tokio::test]
async fn p22_a_node_that_folds_less_than_another_begins_again() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    begin_all(&one, 0..66).await;
    end_all(&one, 0..64).await;
    let until = NOW + DAY;
    let keys = begun_at(64).keys();
    let written = one.0.write_tombstone(keys, until, NOW, None, endings::Room::OfUser).await;
    assert_eq!(written.map_err(StoreError::from).expect("it ends").1, 65);
    let user = scopes().user;
    let fold = one.0.begin_fold(user, NOW).await.map_err(StoreError::from).expect("it answers");
    let fold = fold.expect("there are too many");
    end_all(&other, [65]).await;
    assert_eq!(folded(&other), Some((0, 65)));
    assert!(!one.0.publish_fold(user, NOW, fold).await.expect("the server answers"));
    one.0.fold_or_warn(user, NOW).await;
    assert_ended([&one, &other], 0..66).await;
    assert_eq!(folded(&node(&server).await), Some((0, 65)));
}

#[tokio::test]
async fn p31_a_user_without_a_record_of_each_session_ends_a_bounded_number() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    begin_all(&one, 0..=MOST).await;
    // Session 0 has lost its record, and is the latest; so all others that began before 5,000 cannot be folded.
    let latest = SessionRecord { last_seen: NOW, ..begun_at(5_000) };
    let sign_in = SignIn::new(latest.clone(), audit("session_started"));
    one.begin(sign_in).await.expect("it begins");
    begin_all(&one, 2_000..2_100).await;
    // They count with those of sessions that did not begin here.
    end_all(&one, 10_000..11_000).await;
    let mut refused = 2_000;
    while try_end(&one, &begun_at(refused)).await.is_ok() {
        refused += 1;
    }
    assert_eq!(refused - 1_000, MAX_UNFOLDED as u64);
    other.0.sync_now().await.expect("the server answers");
    assert!(!is_revoked(&other, &begun_at(refused)).await, "it has not ended");
    assert_active(&server, [&one, &other], &latest).await;
    // Those that begin later can be folded.
    begin_all(&one, 6_000..6_100).await;
    end_all(&one, 6_000..6_100).await;
    assert!(folded(&one).expect("it is folded").0 >= 6_000);
    assert_ended([&one, &other], (2_000..refused).chain(6_000..6_100)).await;
}

#[tokio::test]
async fn p22_a_fold_revives_no_session() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    begin_all(&one, [5, 10]).await;
    let (scope, at) = (Scope::User(scopes().user), NOW + Duration::from_millis(20));
    let cutoff = RevocationCutoff::new(at, NOW + DAY);
    let all = BulkRevocation::new(scope, at, cutoff, audit("sessions_revoked_bulk"));
    assert_eq!(one.revoke_all(all).await.expect("they end"), 2);
    // What is folded reaches from session 5, whose token has signed out since, over session 10.
    try_end(&one, &begun_at(5)).await.expect("the server answers");
    begin_all(&one, 100..170).await;
    end_all(&one, 100..170).await;
    assert_eq!(folded(&one).expect("it is folded").0, 5);
    assert_ended([&one, &other], [5, 10].into_iter().chain(100..170)).await;
    assert_eq!(one.0.revocations.exempt_until(&begun_at(10).key), None);
}

#[tokio::test]
async fn p22_a_fold_is_later_than_the_exemption_of_a_session_that_has_ended() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    let record = begin_at(&one, 5).await;
    let (at, until) = (NOW + Duration::from_secs(3_600), NOW + DAY);
    let scope = Scope::User(scopes().user);
    let cutoff = RevocationCutoff::new(at, until);
    let mut all = BulkRevocation::new(scope, NOW, cutoff, audit("sessions_revoked_bulk"));
    all.exempt = Exempt::Sessions(vec![record.key]);
    one.revoke_all(all).await.expect("it is revoked");
    end_all(&one, [5]).await;
    // A node that has not read of its end writes the exemption back.
    let exemption = node::Change::Exempt { session: record.key, at, until }.into();
    other.0.publish_exemptions(&[exemption]).await.expect("the server answers");
    one.0.sync_now().await.expect("the server answers");
    assert_eq!(one.0.revocations.exempt_until(&record.key), Some(at));
    for millis in 100..170 {
        let record = begin_at(&one, millis).await;
        let tombstone = Tombstone::new(record.key, NOW, until);
        let tombstone = tombstone.of_user(record.scopes.user, Some(record.epoch));
        assert!(one.revoke(tombstone, audit("session_ended")).await.expect("it ends"));
    }
    for node in [&one, &other] {
        node.0.sync_now().await.expect("the server answers");
        let revoked_by = node.0.revocations.revoked_by(record.key, record.epoch, || record.scopes);
        assert_eq!(revoked_by, Some(CutoffScope::Session));
    }
}

/// Its token may have no epoch: what is folded does not count for it.
#[tokio::test]
async fn p22_a_session_that_did_not_begin_here_is_not_folded() {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    for millis in 0..70 {
        one.adopt(begun_at(millis)).await.expect("it is adopted");
    }
    end_all(&one, 0..70).await;
    assert_eq!(folded(&one), None);
    assert_ended([&one, &other], 0..70).await;
}

#[tokio::test]
async fn p33_nothing_is_folded_while_what_is_folded_is_missing() {
    let server = RedisServer::start();
    let node = node(&server).await;
    begin_all(&node, 0..140).await;
    end_all(&node, 0..70).await;
    let before = folded(&node).expect("it is folded");
    // As an old copy of the data.
    let key = String::from_utf8(keys::Keys::new("tss").tombstones(scopes().user)).expect("text");
    server.command(&["DEL", "tss:{g}:c"]);
    server.command(&["HDEL", &key, "f"]);
    end_all(&node, 70..140).await;
    assert_eq!(folded(&node), Some(before));
    // The clock of another node is behind.
    let behind = SessionRecord { key: StoreKey::session(None, "behind"), ..begun_at(30) };
    let begun = node.begin(SignIn::new(behind, audit("session_started"))).await;
    let epoch = begun.expect("it begins").begun().expect("no limit").epoch;
    assert!(epoch > NOW + Duration::from_millis(before.1));
}

#[tokio::test]
async fn p33_a_fold_that_has_expired_reaches_no_session_that_began_after_it() {
    let server = RedisServer::start();
    let clock = ManualClock::new(NOW);
    let connect = async || {
        let store = RedisStore::at(server.url()).time_limit(BOUND).clock(clock.clone());
        store.connect().await.expect("the server accepts connections")
    };
    let (one, other) = (connect().await, connect().await);
    begin_all(&one, 0..70).await;
    end_all(&one, 0..70).await;
    other.0.sync_now().await.expect("the server answers");
    assert!(folded(&other).is_some());
    // Its end has passed, and it is not removed yet.
    let later = 86_400_000 + 60_000;
    clock.advance(Duration::from_millis(later));
    let at = |millis: u64| SessionRecord { ends_at: clock.now() + DAY, ..begun_at(millis) };
    let between = at(later / 2);
    let sign_in = SignIn::new(between.clone(), audit("session_started"));
    one.begin(sign_in).await.expect("it begins");
    for millis in later..later + 70 {
        let record = at(millis);
        let sign_in = SignIn::new(record.clone(), audit("session_started"));
        one.begin(sign_in).await.expect("it begins");
        let tombstone = Tombstone::new(record.key, clock.now(), record.ends_at);
        let tombstone = tombstone.of_user(record.scopes.user, Some(record.epoch));
        assert!(one.revoke(tombstone, audit("session_ended")).await.expect("it ends"));
    }
    let late = connect().await;
    for node in [&one, &other, &late] {
        node.0.sync_now().await.expect("the server answers");
        let revoked_by =
            node.0.revocations.revoked_by(between.key, between.epoch, || between.scopes);
        assert_eq!(revoked_by, None);
    }
}

#[tokio::test]
async fn p33_a_session_whose_record_is_lost_is_not_folded() {
    lost_record(node::LossSign::Certain).await;
    // Nothing is missing that a node holds.
    lost_record(node::LossSign::Suspected).await;
}

async fn lost_record(sign: node::LossSign) {
    let server = RedisServer::start();
    let (one, other) = (node(&server).await, node(&server).await);
    let key = String::from_utf8(keys::Keys::new("tss").records(scopes().user)).expect("text");
    let ended = (0..40).filter(|millis| *millis != 20);
    begin_all(&one, ended.clone()).await;
    // A failover that loses one sign-in.
    server.command(&["COPY", &key, "copy"]);
    let lost = begin_at(&one, 20).await;
    server.command(&["COPY", "copy", &key, "REPLACE"]);
    one.0.note_loss(sign);
    one.0.sync_now().await.expect("the server answers");
    one.0.repair().await.expect("the server answers");
    // As late as the clocks may differ; on a node that has started since.
    let late = node(&server).await;
    begin_all(&one, 10_001..10_080).await;
    end_all(&late, ended.clone()).await;
    end_all(&late, 10_001..10_080).await;
    assert!(folded(&late).expect("it is folded").0 > 10_000);
    for node in [&one, &other, &late, &node(&server).await] {
        node.0.sync_now().await.expect("the server answers");
        assert!(!is_revoked(node, &lost).await);
    }
    assert_ended([&one, &other], ended.chain(10_001..10_080)).await;
}
