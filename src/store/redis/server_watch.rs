//! Which servers are behind the connection, and whether they may have lost data.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use super::{Inner, server_info::ServerState};
use crate::{clock::Clock as _, store::node::LossSign};

/// The servers as they were when they were compared last.
#[derive(Default)]
pub(super) struct ServerWatch {
    /// How many connections there were then, plus one.
    connection: AtomicU64,
    /// Whether they are to be looked at: keys may have been evicted, or a primary of a cluster flushed.
    look_is_due: AtomicBool,
    servers: Mutex<Option<Servers>>,
}

/// One server, or the primaries of a cluster, by their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Servers(BTreeMap<String, ServerState>);

impl ServerWatch {
    pub(super) fn look_soon(&self) {
        self.look_is_due.store(true, Relaxed);
    }

    pub(super) fn look_is_due(&self) -> bool {
        self.look_is_due.load(Relaxed)
    }
}

impl Servers {
    /// What says that the servers have lost data since `before`.
    fn sign_since(&self, before: &Self) -> Option<LossSign> {
        let signs = self.0.iter().filter_map(|(address, state)| state.sign_since(address, before));
        // Others serve its slots, with or without its data.
        let is_gone = before.0.values().any(|known| !self.has(&known.run_id));
        signs.max().max(is_gone.then_some(LossSign::Suspected))
    }

    fn has(&self, run_id: &str) -> bool {
        self.0.values().any(|state| state.run_id == run_id)
    }
}

impl ServerState {
    /// What says that the server at `address` has lost data since `before`.
    fn sign_since(&self, address: &str, before: &Servers) -> Option<LossSign> {
        let Some(known) = before.0.values().find(|known| known.run_id == self.run_id) else {
            // Without its log a server that was started anew has lost some activity at least; one at another
            // address has taken the place of its primary, or some of the slots of others.
            let is_restarted = before.0.contains_key(address);
            let has_lost = is_restarted && !self.is_persistent;
            return Some(if has_lost { LossSign::Certain } else { LossSign::Suspected });
        };
        if self.evicted_keys > known.evicted_keys {
            tracing::warn!(
                "Redis has evicted keys, sessions and revocations perhaps: set \
                 `maxmemory-policy noeviction`"
            );
            return Some(LossSign::Suspected);
        }
        // That of a cluster's primary leaves the feed as it is, unless it has that.
        (self.flushes > known.flushes).then_some(LossSign::Suspected)
    }
}

impl Inner {
    /// Whether the servers are those that were compared last. If not, they may have lost data.
    pub(super) fn has_same_servers(&self) -> bool {
        self.connection.number() + 1 == self.servers.connection.load(Relaxed)
    }

    /// Notes what says that the servers have lost data since they were compared last. From then on what they
    /// say of the activity counts as a lower bound.
    pub(super) fn compare_servers(&self) {
        let mut before = self.servers.servers.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection that comes later is compared later.
        let connection = self.connection.number() + 1;
        let servers = Servers(self.connection.states().into_iter().collect());
        if let Some(sign) = before.as_ref().and_then(|before| servers.sign_since(before)) {
            self.note_loss(sign);
            self.lose_activity(self.time_of_change(self.store_clock.store_time(self.clock.now())));
        }
        *before = Some(servers);
        // Now that it is noted, the servers are trusted.
        self.servers.connection.store(connection, Relaxed);
    }

    /// Asks the servers whether they have lost data although their connections are the same. No reading and no
    /// request waits for one that does not answer.
    pub(super) async fn look_at_servers(&self) {
        self.servers.look_is_due.store(false, Relaxed);
        self.connection.look_at_servers().await;
        self.compare_servers();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server at each address.
    fn servers(of: &[(&str, &str)], evicted_keys: u64, aof: bool, flushes: u64) -> Servers {
        let state = |&(address, run_id): &(&str, &str)| {
            let run_id = run_id.to_owned();
            let state = ServerState { run_id, evicted_keys, flushes, is_persistent: aof };
            (address.to_owned(), state)
        };
        Servers(of.iter().map(state).collect())
    }

    #[test]
    fn p22_another_server_may_have_lost_data_and_one_without_its_log_has() {
        let before = servers(&[("1", "a"), ("2", "b")], 1, true, 0);
        for (now, sign) in [
            (servers(&[("1", "a"), ("2", "b")], 1, true, 0), None),
            (servers(&[("1", "b"), ("3", "a")], 1, true, 0), None),
            (servers(&[("2", "b")], 1, true, 0), Some(LossSign::Suspected)),
            (servers(&[("1", "a"), ("2", "c")], 1, true, 0), Some(LossSign::Suspected)),
            (servers(&[("1", "a"), ("2", "c")], 1, false, 0), Some(LossSign::Certain)),
            (servers(&[("3", "c"), ("2", "b")], 1, false, 0), Some(LossSign::Suspected)),
            (servers(&[("3", "c"), ("2", "d")], 1, false, 0), Some(LossSign::Certain)),
            (servers(&[("1", "a"), ("2", "b")], 2, true, 0), Some(LossSign::Suspected)),
            (servers(&[("1", "a"), ("2", "b")], 1, true, 1), Some(LossSign::Suspected)),
        ] {
            assert_eq!(now.sign_since(&before), sign, "{now:?}");
        }
    }
}
