//! What a node makes of signs that the store has lost data.

use std::sync::Arc;

use super::*;
use crate::{
    clock::ManualClock,
    identity::{Scopes, StoreKey},
    policy::TimeoutOverrides,
    store::{
        FoldedTombstones, SessionRecord, StoredSession, TokenExchange,
        node::{HeldExchange, activity::Row},
    },
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const SYNC: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

/// The default of a policy.
const SKEW: Duration = Duration::from_secs(5);

fn node() -> (NodeState, ManualClock) {
    let clock = ManualClock::new(NOW);
    (NodeState::new(Arc::new(clock.clone()), SYNC), clock)
}

fn key(sid: &str) -> StoreKey {
    StoreKey::session(None, sid)
}

/// What the store may have lost of a session that was active last at `last_seen`.
fn lost_until(node: &NodeState, last_seen: Timestamp) -> Option<Timestamp> {
    match node.node_cache.lost_activity().stored(last_seen) {
        StoredSession::ActivityLost { lost_until, .. } => Some(lost_until),
        _ => None,
    }
}

/// Caches an active session.
fn cache(node: &NodeState, sid: &str) {
    let row = Row::Active { last_seen: NOW, idle: Duration::from_secs(600) };
    node.remember(key(sid), Some(row), NOW, node.node_cache.generation());
    assert!(is_cached(node, sid));
}

fn is_cached(node: &NodeState, sid: &str) -> bool {
    node.node_cache.get(&key(sid), NOW).is_some()
}

#[test]
fn p22_the_surest_sign_of_a_loss_counts() {
    let (node, _) = node();
    for (noted, counts) in [
        (LossSign::Announced, LossSign::Announced),
        (LossSign::Certain, LossSign::Certain),
        (LossSign::Suspected, LossSign::Certain),
        (LossSign::Announced, LossSign::Certain),
    ] {
        node.note_loss(noted);
        assert_eq!(node.loss_sign(), Some(counts), "{noted:?}");
    }
}

#[test]
fn p22_what_was_read_during_a_loss_counts_no_longer_and_exchanges_are_compared() {
    let (node, _) = node();
    let record = SessionRecord::new(
        key("s"),
        "s",
        "ada",
        Scopes::new(None, None, "ada"),
        NOW,
        SKEW,
        NOW + SKEW,
    );
    let exchange = TokenExchange::new(NOW, None);
    let held = HeldExchange { record: Box::new(record), generation: 1, exchange, presented: 0 };
    node.held_exchanges.hold(held);
    cache(&node, "s");
    node.end_loss();
    assert!(is_cached(&node, "s") && !node.held_exchanges.are_due(), "nothing was lost");
    node.note_loss(LossSign::Certain);
    node.end_loss();
    assert_eq!(node.loss_sign(), None);
    assert!(!is_cached(&node, "s") && node.held_exchanges.are_due());
}

#[cfg(feature = "redis")]
#[test]
fn p22_what_was_read_before_a_comparison_counts_no_longer() {
    let (node, _) = node();
    cache(&node, "s");
    node.note_loss(LossSign::Suspected);
    node.end_suspicion(node.suspicion().expect("it is noted"));
    assert_eq!(node.loss_sign(), None);
    assert!(!is_cached(&node, "s"));
}

#[test]
fn p22_nothing_counts_that_was_read_before_a_loss() {
    let (node, _) = node();
    node.finish_sync(NOW, None).expect("no clocks are compared");
    cache(&node, "s");
    assert!(node.is_up_to_date());
    let scopes = Scopes::new(None, None, "ada");
    let mut stream = node.revocations.open_stream(key("s"), scopes, NOW);
    node.begin_loss(NOW);
    assert!(!node.is_up_to_date() && !is_cached(&node, "s"));
    assert!(stream.take_change(), "open streams ask again");
    stream.close(Some(&node.revocations));
}

#[test]
fn p23_refreshes_wait_for_two_intervals_whatever_the_clock_does() {
    let (node, clock) = node();
    node.check_refresh().expect("nothing is lost");
    node.begin_loss(NOW);
    clock.set(NOW + 2 * SYNC - MILLI);
    node.check_refresh().expect_err("others write back");
    clock.set(NOW + 2 * SYNC);
    node.check_refresh().expect("others have written back");
    node.note_loss(LossSign::Suspected);
    node.check_refresh().expect_err("what is held is not compared yet");
    node.end_loss();
    node.check_refresh().expect("it is");
    clock.set(NOW);
    node.check_refresh().expect_err("it was set back by two intervals");
    clock.set(NOW - 3600 * SYNC);
    node.check_refresh().expect("it was set back by an hour");
}

#[test]
fn p33_activity_is_lost_until_the_other_nodes_have_found_the_loss() {
    let (node, _) = node();
    node.begin_loss(NOW);
    let until = NOW + STALE_AFTER * SYNC + SKEW;
    assert_eq!(lost_until(&node, NOW - MILLI), Some(until));
    assert_eq!(lost_until(&node, NOW), None);
}

#[test]
fn p22_a_loss_that_another_node_announces_is_dealt_with_once() {
    let (node, clock) = node();
    assert!(!node.is_known_loss(Timestamp::EPOCH), "none is known");
    node.hear_of_loss(NOW);
    assert_eq!(node.loss_sign(), Some(LossSign::Announced));
    node.check_refresh().expect_err("a token that was exchanged may be lost");
    assert!(lost_until(&node, NOW - MILLI).is_some());
    node.end_loss();
    clock.advance(2 * SYNC);
    // All nodes find it at about the same time.
    node.hear_of_loss(NOW + 2 * SYNC);
    assert_eq!(node.loss_sign(), None);
    node.check_refresh().expect("it is the same loss");
    node.hear_of_loss(NOW + 2 * SYNC + MILLI);
    assert_eq!(node.loss_sign(), Some(LossSign::Announced), "it is another one");
}

#[test]
fn p33_a_node_that_starts_after_a_loss_counts_on_no_activity_from_before() {
    let (node, _) = node();
    let at = NOW - 2 * SYNC;
    assert!(!node.is_past_loss(at + MILLI, NOW), "others may still write back");
    assert_eq!(lost_until(&node, NOW - 9 * SYNC), None);
    assert!(node.is_past_loss(at, NOW));
    assert!(lost_until(&node, at - MILLI).is_some());
    assert!(node.is_known_loss(at));
    node.check_refresh().expect("others have written back");
}

/// It found the loss itself, or started after a failover and reads that another node did.
#[test]
fn p33_a_node_that_knows_of_a_suspected_loss_counts_on_no_activity_from_before() {
    let (node, _) = node();
    node.suspect_loss(Timestamp::EPOCH);
    assert_eq!(lost_until(&node, NOW - SYNC), None, "none was suspected");
    node.suspect_loss(NOW);
    assert_eq!(lost_until(&node, NOW - MILLI), Some(NOW + STALE_AFTER * SYNC + SKEW));
    assert_eq!(lost_until(&node, NOW), None);
}

/// The clock of another node may have been ahead, and so may the cutoff that a session had to be later than.
#[test]
fn p33_a_record_may_be_lost_of_a_session_that_began_up_to_twice_the_skew_later() {
    let (node, _) = node();
    assert_eq!(node.latest_lost_epoch(), Timestamp::EPOCH);
    node.suspect_loss(NOW);
    node.suspect_loss(NOW - SYNC);
    assert_eq!(node.latest_lost_epoch(), NOW + 2 * SKEW);
    node.begin_loss(NOW + SYNC);
    assert_eq!(node.latest_lost_epoch(), NOW + SYNC + 2 * SKEW);
    node.suspect_loss(NOW + 3 * SYNC);
    assert_eq!(node.latest_lost_epoch(), NOW + 3 * SYNC + 2 * SKEW);
}

#[test]
fn p22_a_node_holds_everything_that_it_has_heard_of() {
    let (node, _) = node();
    let until = NOW + 3600 * SYNC;
    let changes = [
        Change::Exempt { session: key("exempt"), at: NOW, until },
        Change::Cutoff { scope: key("scope"), cutoff: RevocationCutoff::new(NOW, until) },
        Change::Folded { user: key("user"), folded: FoldedTombstones::new(NOW, NOW, NOW, until) },
        Change::Claims { scope: key("claims"), number: NOW, until },
        Change::TimeoutOverrides {
            account: key("account"),
            overrides: TimeoutOverrides::new().idle(SYNC),
            version: 1,
        },
        Change::Revoked { session: key("ended"), user: Some(key("user")), until },
    ];
    node.apply(&changes);
    assert_eq!(node.held_changes(), changes);
}
