//! What a node adds to the state of a session that is to be refreshed.

use super::{HeldExchange, NodeState};
use crate::{
    store::{RefreshQuery, RefreshState, RefreshedSession, Rotation},
    time::Timestamp,
};

impl NodeState {
    /// The state of a session of which the store has this, with what this node knows beside it: an activity
    /// that it has not written yet, and an exchange that the store has lost.
    pub(in crate::store) fn refresh_state(
        &self,
        query: &RefreshQuery,
        stored: RefreshState,
    ) -> RefreshState {
        let recorded = match stored {
            RefreshState::Revoked => return RefreshState::Revoked,
            RefreshState::Unknown(last_seen) => match self.held_exchanges.get(&query.session) {
                None => {
                    let last_seen = last_seen.map(|at| self.last_activity(query, at));
                    return RefreshState::Unknown(last_seen);
                }
                Some(held) => {
                    RefreshedSession::new(held.record.last_seen.max(last_seen.unwrap_or_default()))
                }
            },
            RefreshState::Known(recorded) => recorded,
        };
        let recorded = self.with_held_exchange(query, recorded);
        RefreshState::Known(RefreshedSession {
            last_seen: self.last_activity(query, recorded.last_seen),
            presented: self.node_cache.presented(&query.session).max(recorded.presented),
            ..recorded
        })
    }

    /// The last activity of a session of which the store knows `last_seen`: it may have lost some.
    fn last_activity(&self, query: &RefreshQuery, last_seen: Timestamp) -> Timestamp {
        let last_seen = self.node_cache.last_seen(&query.session, last_seen);
        self.node_cache.lost_activity().last_activity(last_seen, query.unknown_activity)
    }

    fn with_held_exchange(
        &self,
        query: &RefreshQuery,
        recorded: RefreshedSession,
    ) -> RefreshedSession {
        match self.held_exchanges.get(&query.session) {
            Some(held) if recorded.generation < held.generation => RefreshedSession {
                presented: recorded.presented.max(held.presented),
                ..recorded.exchanged(held.generation, held.exchange)
            },
            _ => recorded,
        }
    }

    /// Whether this node knows that a token was exchanged before, by another exchange than this.
    pub(in crate::store) fn is_known_as_used(&self, rotation: &Rotation) -> bool {
        let held = self.held_exchanges.get(&rotation.query.session);
        held.is_some_and(|HeldExchange { generation, exchange, .. }| {
            let next = rotation.next_generation();
            next < generation || next == generation && exchange != rotation.exchange
        })
    }
}
