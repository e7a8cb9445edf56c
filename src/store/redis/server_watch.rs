//! Which servers are behind the connection, and whether they may have lost data.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::Value;

use super::{Inner, server_info::ServerInfo};
use crate::{clock::Stopwatch, store::node::LossSign};

/// The servers as they were when they were looked at.
#[derive(Default)]
pub(super) struct ServerWatch {
    /// The connection on which they were looked at, counted from 1; zero if they are to be looked at
    /// again.
    connection: AtomicU64,
    /// Since when one has not answered: readings look again, but once in an interval.
    incomplete: Mutex<Option<Stopwatch>>,
    servers: Mutex<Option<Servers>>,
}

/// One server, or the primaries of a cluster.
#[derive(Debug, Default, PartialEq, Eq)]
struct Servers {
    /// Each has another after a restart.
    run_ids: BTreeSet<String>,
    evicted_keys: u64,
    flushes: u64,
    /// Whether all of them write every command to their disk.
    are_persistent: bool,
}

impl ServerWatch {
    /// Lets the next reading look at the servers again: keys may have been evicted, or a primary of a
    /// cluster replaced.
    pub(super) fn look_again(&self) {
        self.connection.store(0, Relaxed);
    }

    fn incomplete(&self) -> MutexGuard<'_, Option<Stopwatch>> {
        self.incomplete.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a server did not answer when they were looked at that long ago or longer.
    fn is_incomplete_for(&self, span: Duration) -> bool {
        self.incomplete().is_some_and(|looked| looked.elapsed() >= span)
    }
}

impl Servers {
    fn read(answer: &Value) -> Self {
        let mut servers = Self { are_persistent: true, ..Self::default() };
        for text in texts(answer) {
            let info = ServerInfo::new(&text);
            servers.run_ids.extend(info.run_id().map(str::to_owned));
            servers.evicted_keys += info.evicted_keys();
            servers.flushes += info.flushes();
            servers.are_persistent &= info.is_persistent();
        }
        servers
    }

    /// What says that the servers have lost data since `before`.
    fn sign_since(&self, before: &Self) -> Option<LossSign> {
        if !self.run_ids.is_subset(&before.run_ids) {
            // Without its log a server that was started anew has lost some activity at least.
            let sign = if self.are_persistent { LossSign::Suspected } else { LossSign::Certain };
            return Some(sign);
        }
        if self.evicted_keys > before.evicted_keys {
            tracing::warn!(
                "Redis has evicted keys, sessions and revocations perhaps: set \
                 `maxmemory-policy noeviction`"
            );
            return Some(LossSign::Suspected);
        }
        // That of a cluster's primary leaves the feed as it is, unless it has that.
        (self.flushes > before.flushes).then_some(LossSign::Suspected)
    }
}

/// The texts of an answer: one, or one of each server.
fn texts(answer: &Value) -> Vec<String> {
    match answer {
        Value::BulkString(bytes) => vec![String::from_utf8_lossy(bytes).into_owned()],
        Value::VerbatimString { text, .. } => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Map(pairs) => pairs.iter().flat_map(|(_, value)| texts(value)).collect(),
        _ => Vec::new(),
    }
}

impl Inner {
    /// Whether the servers are those that were looked at last. If not, they may have lost data.
    pub(super) fn has_same_servers(&self) -> bool {
        self.connection.number() + 1 == self.servers.connection.load(Relaxed)
    }

    /// Looks at the servers if they may be others, and notes what says that they have lost data.
    pub(super) async fn look_at_servers(&self) {
        if self.has_same_servers() && !self.servers.is_incomplete_for(self.sync_interval) {
            return;
        }
        let connection = self.connection.number() + 1;
        let answer = self.connection.query_servers(&ServerInfo::command()).await;
        // Where one of a cluster does not answer, requests of the others do not wait for it.
        self.servers.connection.store(connection, Relaxed);
        *self.servers.incomplete() = answer.is_err().then(Stopwatch::start);
        let Ok(answer) = answer else { return };
        let servers = Servers::read(&answer);
        let mut before = self.servers.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let sign = before.as_ref().and_then(|before| servers.sign_since(before));
        *before = Some(servers);
        drop(before);
        if let Some(sign) = sign {
            self.note_loss(sign);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(run_ids: &[&str], evicted: u64, aof: u8) -> Servers {
        flushed(run_ids, evicted, aof, 0)
    }

    fn flushed(run_ids: &[&str], evicted: u64, aof: u8, flushes: u64) -> Servers {
        let info = |id: &&str| {
            let text = format!(
                "run_id:{id}\r\nevicted_keys:{evicted}\r\naof_enabled:{aof}\r\n\
                cmdstat_flushall:calls={flushes},usec=9\r\n"
            );
            (Value::Int(0), Value::BulkString(text.into_bytes()))
        };
        Servers::read(&Value::Map(run_ids.iter().map(info).collect()))
    }

    #[test]
    fn p22_another_server_may_have_lost_data_and_one_without_its_log_has() {
        let before = servers(&["a", "b"], 1, 1);
        for (now, sign) in [
            (servers(&["b", "a"], 1, 1), None),
            (servers(&["b"], 1, 1), None),
            (servers(&["a", "c"], 1, 1), Some(LossSign::Suspected)),
            (servers(&["a", "c"], 1, 0), Some(LossSign::Certain)),
            (servers(&["a", "b"], 2, 1), Some(LossSign::Suspected)),
            (flushed(&["a", "b"], 1, 1, 1), Some(LossSign::Suspected)),
        ] {
            assert_eq!(now.sign_since(&before), sign, "{now:?}");
        }
    }

    #[test]
    fn p22_servers_that_did_not_answer_are_looked_at_again_in_the_next_interval() {
        let watch = ServerWatch::default();
        assert!(!watch.is_incomplete_for(Duration::ZERO));
        *watch.incomplete() = Some(Stopwatch::start());
        assert!(watch.is_incomplete_for(Duration::ZERO));
        assert!(!watch.is_incomplete_for(Duration::from_secs(3600)));
    }
}
