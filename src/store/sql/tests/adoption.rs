//! Records that begin of sessions which the store knows already, or knows to have ended.

use super::*;
use crate::store::{
    RefreshState, Rotated, SessionLabel, SessionStore as _, tombstone::MAX_PER_USER,
};

/// A session that begins after that many milliseconds.
fn record_at(millis: u64) -> SessionRecord {
    let at = NOW + Duration::from_millis(millis);
    SessionRecord { auth_time: at, epoch: at, last_seen: at, ..record(&millis.to_string()) }
}

fn query_of(record: &SessionRecord) -> RefreshQuery {
    RefreshQuery::new(record.key, record.epoch, record.scopes)
}

fn refresh_of(record: &SessionRecord) -> Rotation {
    Rotation::new(query_of(record), 0, exchange("first"), record.clone())
}

/// Begins sessions and folds their tombstones, but for that of the first, which is active. Returns that and
/// one of the others.
async fn folded(store: &SqlStore) -> [SessionRecord; 2] {
    for millis in 0..=MAX_PER_USER as u64 + 2 {
        let sign_in = SignIn::new(record_at(millis), audit("session_started"));
        store.begin(sign_in).await.expect("the store answers");
    }
    for millis in (0..=MAX_PER_USER as u64 + 2).filter(|millis| *millis != 10) {
        let ended = record_at(millis);
        let tombstone = Tombstone::new(ended.key, NOW, NOW + DAY);
        let tombstone = tombstone.of_user(ended.scopes.user, Some(ended.epoch));
        assert!(store.revoke(tombstone, audit("ended")).await.expect("the store answers"));
    }
    let forgotten = NOW + DAY / 2;
    store.0.clean(forgotten).await.expect("it cleans");
    [record_at(10), record_at(20)]
}

/// As after a loss: nodes write exemptions back, and no records.
#[tokio::test]
async fn p33_an_exempt_session_that_has_lost_its_record_is_refreshed() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let [of_fold, _] = folded(&store).await;
        begin(&store, "s").await;
        let of_cutoff = record("s");
        let exempt = Exempt::Sessions(vec![of_fold.key, of_cutoff.key]);
        let mut all = of_user(exempt);
        all.cutoff = RevocationCutoff::new(NOW + Duration::from_secs(1), NOW + DAY);
        store.revoke_all(all).await.expect("the store answers");
        database.run("UPDATE tss_sessions SET sid = NULL WHERE ended_until IS NULL").await;
        for record in [of_fold, of_cutoff] {
            let state = store.refresh_state(query_of(&record)).await.expect("the store answers");
            assert!(matches!(state, RefreshState::Unknown(_)), "{}: {state:?}", record.sid);
            let rotated = store.rotate(refresh_of(&record)).await.expect("the store answers");
            assert_eq!(rotated, Rotated::Done, "{}", record.sid);
        }
        database.remove().await;
    }
}

/// It may be revoked after it was judged.
#[tokio::test]
async fn p22_no_record_begins_of_a_session_that_is_revoked() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let [_, of_fold] = folded(&store).await;
        let eve = Scopes::new(None, None, "eve");
        let of_tombstone = SessionRecord { scopes: eve, ..record("ended") };
        let ended = tombstone(of_tombstone.key, NOW + DAY);
        store.write_tombstone(ended).await.expect("the store answers");
        let mut others = of_user(Exempt::None);
        let scopes = Scopes::new(None, None, "bob");
        others.scope = Scope::User(scopes.user);
        store.revoke_all(others).await.expect("the store answers");
        let of_cutoff = SessionRecord { scopes, ..record("bob's") };
        for record in [of_fold, of_tombstone, of_cutoff] {
            store.adopt(record.clone()).await.expect("the store answers");
            let state = store.refresh_state(query_of(&record)).await.expect("the store answers");
            assert_eq!(state, RefreshState::Revoked, "{}", record.sid);
            let key = record.key;
            let sql = "SELECT COUNT(*) FROM tss_sessions WHERE key = $1 AND sid IS NOT NULL";
            let rows = store.0.database.fetch(sql, Args::new().key(key)).await;
            let rows = rows.map_err(StoreError::from).expect("the store answers");
            let count = rows[0].count(0).map_err(StoreError::from).expect("a count");
            assert_eq!(count, 0, "{}", record.sid);
        }
        database.remove().await;
    }
}

#[tokio::test]
async fn p33_a_record_that_begins_of_a_known_session_lowers_nothing() {
    for database in TestDatabase::all().await {
        let (store, other) = (database.node(&clock()).await, database.node(&clock()).await);
        // Known by its activity alone.
        let at = NOW + IDLE / 2;
        store.touch(keys("s"), touch(at)).await.expect("the store answers");
        store.flush().await.expect("the store answers");
        store.adopt(record("s")).await.expect("the store answers");
        let stored = other.session(key("s"), at).await.expect("the store answers");
        assert_eq!(stored.map(|stored| stored.last_seen), Some(at));
        // The record stays until the session ends.
        store.0.clean(NOW + DAY).await.expect("it cleans");
        let state = other.refresh_state(query("s")).await.expect("the store answers");
        assert!(matches!(state, RefreshState::Known(_)), "{state:?}");
        // One that has a record keeps it.
        let label = Some(SessionLabel::from_json("\"phone\"").expect("it is short"));
        let labelled = SessionRecord { label, ..record("labelled") };
        let sign_in = SignIn::new(labelled.clone(), audit("session_started"));
        store.begin(sign_in).await.expect("the store answers");
        store.adopt(record("labelled")).await.expect("the store answers");
        let stored = other.session(labelled.key, NOW).await.expect("the store answers");
        assert_eq!(stored, Some(labelled));
        database.remove().await;
    }
}

#[tokio::test]
async fn p33_a_session_begins_after_those_that_are_folded() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        folded(&store).await;
        let epoch = begin(&store, "new").await;
        let revocations = store.revocations().expect("it has them");
        assert_eq!(revocations.revoked_by(key("new"), epoch, scopes), None);
        let folded = store.0.revocations.folded_of(&scopes().user).expect("they are folded");
        assert!(folded.last < epoch);
        database.remove().await;
    }
}
