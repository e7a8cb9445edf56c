//! What a node knows beside the store, which may have lost it.

use super::*;
use crate::{
    clock::ManualClock,
    identity::{Scopes, SessionKeys},
    store::{
        RefreshQuery, RefreshState, RefreshedSession, RevocationCutoff, Rotation, SessionRecord,
        SuccessorIds, TokenExchange,
    },
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const IDLE: Duration = Duration::from_secs(600);
const MINUTE: Duration = Duration::from_secs(60);

fn node() -> NodeState {
    NodeState::new(Arc::new(ManualClock::new(NOW)), Duration::from_secs(1))
}

fn minutes(count: u32) -> Timestamp {
    NOW + count * MINUTE
}

fn record() -> SessionRecord {
    let scopes = Scopes::new(None, None, "ada");
    SessionRecord::new(StoreKey::session(None, "s"), "s", "ada", scopes, NOW, IDLE, minutes(60))
}

fn query() -> RefreshQuery {
    let SessionRecord { key, epoch, scopes, .. } = record();
    RefreshQuery::new(key, epoch, scopes)
}

fn exchange(id: &str) -> TokenExchange {
    TokenExchange::new(minutes(1), Some(SuccessorIds::new(id.into(), id.into())))
}

/// The exchange of generation 1, by a user who was active at `last_seen`.
fn held(last_seen: Timestamp) -> HeldExchange {
    let record = Box::new(SessionRecord { last_seen, ..record() });
    HeldExchange { record, generation: 2, exchange: exchange("held"), presented: 1 }
}

fn ended() -> Change {
    let SessionRecord { key, scopes, .. } = record();
    Change::Revoked { session: key, user: Some(scopes.user), until: minutes(60) }
}

/// What a request finds whose reading of the store says that the session is active.
fn read_as_active(node: &NodeState) -> Known {
    let row = Row::Active { last_seen: NOW, idle: IDLE };
    node.remember(record().key, Some(row), NOW, node.node_cache.generation())
}

#[test]
fn p22_a_node_holds_of_a_session_that_has_ended_nothing_but_its_tombstone() {
    let (node, session) = (node(), record().key);
    node.held_exchanges.hold(held(NOW));
    node.revocations.exempt(session, NOW, minutes(60));
    node.apply(&[ended()]);
    assert!(node.held_exchanges.get(&session).is_none());
    assert_eq!(node.revocations.exempt_until(&session), None);
    assert_eq!(node.held_tombstones.until(&session), Some(minutes(60)));
    node.apply(&[Change::TombstoneFolded { session }]);
    assert_eq!(node.held_tombstones.until(&session), None, "what is folded says it");
}

#[test]
fn p22_the_tombstones_of_the_feed_are_held_but_those_that_are_folded() {
    let (node, session) = (node(), record().key);
    node.hold_past_endings(&[ended()]);
    assert!(matches!(read_as_active(&node), Known::Ended), "whatever the store says");
    node.hold_past_endings(&[Change::TombstoneFolded { session }]);
    assert_eq!(node.held_tombstones.until(&session), None);
}

#[test]
fn p15_what_has_expired_is_held_no_longer() {
    let (node, session) = (node(), record().key);
    node.held_exchanges.hold(held(NOW));
    node.hold_past_endings(&[ended()]);
    let scope = record().scopes.user;
    node.revocations.add_cutoff(scope, RevocationCutoff::new(NOW, minutes(60)));
    node.claims_changes.raise(scope, NOW, minutes(60));
    for (now, is_held) in [(minutes(60) - Duration::from_millis(1), true), (minutes(60), false)] {
        node.remove_expired(now);
        assert_eq!(node.held_exchanges.get(&session).is_some(), is_held);
        assert_eq!(node.held_tombstones.until(&session).is_some(), is_held);
        assert_eq!(node.revocations.cutoff_of(&scope).is_some(), is_held);
        assert_eq!(node.claims_changes.number_of(&record().scopes).is_some(), is_held);
    }
}

#[test]
fn p22_a_session_that_is_refreshed_has_the_exchange_that_the_node_holds() {
    let node = node();
    let state = |stored| node.refresh_state(&query(), stored);
    assert_eq!(state(RefreshState::Unknown(None)), RefreshState::Unknown(None));
    node.held_exchanges.hold(held(minutes(2)));
    assert_eq!(state(RefreshState::Revoked), RefreshState::Revoked);
    let known = |last_seen: u32, presented| {
        let known = RefreshedSession::new(minutes(last_seen)).exchanged(2, exchange("held"));
        RefreshState::Known(RefreshedSession { presented, ..known })
    };
    // The record is lost, or known by its activity alone.
    assert_eq!(state(RefreshState::Unknown(None)), known(2, 1));
    assert_eq!(state(RefreshState::Unknown(Some(minutes(3)))), known(3, 1));
    // The record is of an earlier generation.
    let before = RefreshedSession::new(minutes(4)).exchanged(1, exchange("earlier"));
    assert_eq!(state(RefreshState::Known(before.clone())), known(4, 1));
    let presented = RefreshedSession { presented: 2, ..before };
    assert_eq!(state(RefreshState::Known(presented)), known(4, 2));
    let later = RefreshedSession::new(NOW).exchanged(3, exchange("later"));
    assert_eq!(state(RefreshState::Known(later.clone())), RefreshState::Known(later));
}

#[test]
fn p33_a_session_that_is_refreshed_has_the_activity_that_the_node_knows() {
    let node = node();
    let SessionRecord { key, scopes, .. } = record();
    read_as_active(&node);
    let touch = Touch { generation: 1, ..Touch::new(minutes(5), NOW, IDLE) };
    let touched = touch_cached(&node, SessionKeys::new(key, scopes.user), touch);
    assert!(matches!(touched, Some(TouchOutcome::Active(_))), "{touched:?}");
    let unknown = node.refresh_state(&query(), RefreshState::Unknown(Some(NOW)));
    assert_eq!(unknown, RefreshState::Unknown(Some(minutes(5))));
    let stored = RefreshedSession::new(NOW);
    let known = RefreshedSession { presented: 1, ..RefreshedSession::new(minutes(5)) };
    let state = node.refresh_state(&query(), RefreshState::Known(stored.clone()));
    assert_eq!(state, RefreshState::Known(known));
    // Of a session of which this node knows nothing, the store may have lost some.
    let other = self::node();
    other.begin_loss(minutes(9));
    let query = RefreshQuery { unknown_activity: minutes(8), ..query() };
    let state = other.refresh_state(&query, RefreshState::Unknown(Some(NOW)));
    assert_eq!(state, RefreshState::Unknown(Some(minutes(8))));
    let state = other.refresh_state(&query, RefreshState::Known(stored));
    assert_eq!(state, RefreshState::Known(RefreshedSession::new(minutes(8))));
}

#[test]
fn p06_a_node_knows_which_tokens_were_exchanged_before() {
    let node = node();
    let is_used = |generation, id| {
        let rotation = Rotation::new(query(), generation, exchange(id), record());
        node.is_known_as_used(&rotation)
    };
    assert!(!is_used(0, "new"), "none was");
    node.held_exchanges.hold(held(NOW));
    for (generation, id, expected) in
        [(0, "new", true), (1, "new", true), (1, "held", false), (2, "new", false)]
    {
        assert_eq!(is_used(generation, id), expected, "{generation} {id}");
    }
}
