//! The servers that commands go to, each with a breaker: in a cluster those of a lost server fail at
//! once, and those of others are sent.

use std::{collections::HashMap, sync::Arc};

use redis::{Arg, Cmd, Value, cluster_routing::Slot};

use super::failure::Failure;
use crate::store::breaker::Breaker;

/// The primaries of a cluster, or the one server.
#[derive(Clone)]
pub(super) enum Primaries {
    Server(Arc<Breaker>),
    Cluster(Arc<SlotMap>),
}

/// Which primary of a cluster serves which slot.
pub(super) struct SlotMap {
    primaries: Vec<Primary>,
    /// The place in `primaries`.
    slots: HashMap<Slot, usize>,
}

struct Primary {
    address: String,
    breaker: Arc<Breaker>,
}

impl Primaries {
    /// The breaker of the server that `command` goes to; `None` if no server is known for its slot.
    pub(super) fn breaker_of(&self, command: &Cmd) -> Option<&Breaker> {
        match self {
            Self::Server(breaker) => Some(breaker),
            Self::Cluster(map) => Some(&map.primary_at(key_of(command)?)?.breaker),
        }
    }

    /// The breaker of the server that has `key`.
    pub(super) fn breaker_at(&self, key: &[u8]) -> Option<&Breaker> {
        match self {
            Self::Server(breaker) => Some(breaker),
            Self::Cluster(map) => Some(&map.primary_at(key)?.breaker),
        }
    }

    /// The address of the node of a cluster that has `key`; empty for the one server.
    pub(super) fn address_at(&self, key: &[u8]) -> &str {
        match self {
            Self::Server(_) => "",
            Self::Cluster(map) => map.primary_at(key).map_or("", |primary| &primary.address),
        }
    }

    fn breakers(&self) -> impl Iterator<Item = &Arc<Breaker>> {
        let (server, cluster) = match self {
            Self::Server(breaker) => (Some(breaker), None),
            Self::Cluster(map) => (None, Some(&map.primaries)),
        };
        server.into_iter().chain(cluster.into_iter().flatten().map(|primary| &primary.breaker))
    }

    /// Whether every server is asked.
    pub(super) fn are_asked(&self) -> bool {
        self.breakers().all(|breaker| !breaker.is_open())
    }

    /// Whether a slot is served by the node of a cluster at `address`.
    pub(super) fn has_primary(&self, address: &str) -> bool {
        let Self::Cluster(map) = self else { return false };
        map.primaries.iter().any(|it| it.address == address)
    }

    #[cfg(test)]
    pub(super) fn lost_servers(&self) -> Vec<String> {
        let Self::Cluster(map) = self else { return Vec::new() };
        let lost = map.primaries.iter().filter(|primary| primary.breaker.is_open());
        lost.map(|primary| primary.address.clone()).collect()
    }

    #[cfg(test)]
    pub(super) async fn wait_until_asked(&self) {
        for breaker in self.breakers() {
            breaker.closed().await;
        }
    }
}

impl SlotMap {
    fn primary_at(&self, key: &[u8]) -> Option<&Primary> {
        Some(&self.primaries[*self.slots.get(&Slot::for_key(key))?])
    }

    /// A primary that `known` has, too, keeps its breaker.
    pub(super) fn new(
        ranges: Vec<SlotRange>,
        known: Option<&Primaries>,
        breaker: impl Fn(&str) -> Arc<Breaker>,
    ) -> Self {
        let mut map = Self { primaries: Vec::new(), slots: HashMap::new() };
        let known = match known {
            Some(Primaries::Cluster(known)) => known.primaries.as_slice(),
            _ => &[],
        };
        for SlotRange { slots, address } in ranges {
            let place = map.primaries.iter().position(|it| it.address == address);
            let place = place.unwrap_or_else(|| {
                let known = known.iter().find(|it| it.address == address);
                let known = known.map(|it| Arc::clone(&it.breaker));
                let breaker = known.unwrap_or_else(|| breaker(&address));
                map.primaries.push(Primary { address, breaker });
                map.primaries.len() - 1
            });
            map.slots.extend(slots.into_iter().map(|slot| (slot, place)));
        }
        map
    }
}

/// Slots of one primary.
pub(super) struct SlotRange {
    slots: Vec<Slot>,
    address: String,
}

impl SlotRange {
    /// Reads the answer of `CLUSTER SLOTS`.
    pub(super) fn from_answer(answer: &Value) -> Result<Vec<Self>, Failure> {
        let ranges = answer.as_sequence().and_then(|it| it.iter().map(Self::new).collect());
        ranges.ok_or_else(Failure::unexpected_answer)
    }

    fn new(range: &Value) -> Option<Self> {
        let [Value::Int(first), Value::Int(last), primary, ..] = range.as_sequence()? else {
            return None;
        };
        let [Value::BulkString(host), Value::Int(port), ..] = primary.as_sequence()? else {
            return None;
        };
        let slots = (*first..=*last).map(|slot| Slot::new(u16::try_from(slot).ok()?));
        let address = format!("{}:{port}", String::from_utf8_lossy(host));
        Some(Self { slots: slots.collect::<Option<_>>()?, address })
    }
}

/// The first key of a command.
fn key_of(command: &Cmd) -> Option<&[u8]> {
    let mut args = command.args_iter().map(|arg| match arg {
        Arg::Simple(arg) => arg,
        _ => b"",
    });
    match args.next()? {
        b"EVALSHA" | b"EVAL" => args.nth(2),
        b"XREAD" => args.find(|arg| *arg == b"STREAMS").and_then(|_| args.next()),
        _ => args.next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_command_is_found() {
        let key = |words: &[&str]| {
            let mut command = redis::cmd(words[0]);
            command.arg(&words[1..]);
            key_of(&command).map(|key| String::from_utf8_lossy(key).into_owned())
        };
        assert_eq!(key(&["GET", "a"]).as_deref(), Some("a"));
        assert_eq!(key(&["EVALSHA", "digest", "1", "a", "b"]).as_deref(), Some("a"));
        assert_eq!(key(&["EVAL", "text", "1", "a", "b"]).as_deref(), Some("a"));
        assert_eq!(key(&["XREAD", "COUNT", "1", "STREAMS", "a", "0"]).as_deref(), Some("a"));
        assert_eq!(key(&["PING"]), None);
    }
}
