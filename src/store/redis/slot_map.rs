//! Which primary of a cluster serves which slots.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::{Value, aio::MultiplexedConnection, cluster_routing::Slot};
use tokio::task::JoinSet;

use super::{commands::Commands, failure::Failure, server::Server};
use crate::clock::Stopwatch;

/// How many slots a cluster has.
const ALL: usize = 16_384;

/// The primaries of a cluster.
pub(super) struct SlotMap {
    pub(super) primaries: Vec<Arc<Server>>,
    /// The place in `primaries`.
    slots: HashMap<Slot, usize>,
    /// The addresses of all nodes.
    pub(super) nodes: Vec<String>,
}

impl SlotMap {
    /// A primary that `known` has, too, stays the same.
    pub(super) fn new(
        slots: Slots,
        known: &[Arc<Server>],
        server: impl Fn(String) -> Server,
    ) -> Self {
        let mut map = Self { primaries: Vec::new(), slots: HashMap::new(), nodes: Vec::new() };
        for SlotRange { slots, mut nodes } in slots.0 {
            let Some(address) = nodes.first() else { continue };
            let place = map.primaries.iter().position(|it| it.address == *address);
            let place = place.unwrap_or_else(|| {
                let known = known.iter().find(|it| it.address == *address);
                let known = known.map(Arc::clone);
                map.primaries.push(known.unwrap_or_else(|| Arc::new(server(address.clone()))));
                map.primaries.len() - 1
            });
            map.slots.extend(slots.into_iter().map(|slot| (slot, place)));
            map.nodes.append(&mut nodes);
        }
        map.nodes.sort_unstable();
        map.nodes.dedup();
        map
    }

    /// How many slots are served.
    pub(super) fn served(&self) -> usize {
        self.slots.len()
    }

    /// The primary that has `key`; `None` if none is known to.
    pub(super) fn primary_of(&self, key: &[u8]) -> Option<&Arc<Server>> {
        Some(&self.primaries[*self.slots.get(&Slot::for_key(key))?])
    }
}

/// What a node of a cluster says of its slots.
pub(super) struct Slots(Vec<SlotRange>);

impl Slots {
    /// Asks the node of a cluster at `host`.
    pub(super) async fn ask(link: MultiplexedConnection, host: &str) -> Result<Self, Failure> {
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        let answer = Commands::One(&command).send(link).await?;
        let range = |range| SlotRange::new(range, host);
        let ranges = answer.as_sequence().and_then(|it| it.iter().map(range).collect());
        ranges.map(Self).ok_or_else(Failure::unexpected_answer)
    }

    /// The first answer in which every slot is served, or else the one in which most are: a node that was
    /// removed from the cluster knows of no other. Once there is an answer, the rest is waited for as long as
    /// the time limit. Fails if none is served.
    pub(super) async fn most_of(
        answers: impl IntoIterator<Item = impl Future<Output = Result<Self, Failure>> + Send + 'static>,
        time_limit: Duration,
    ) -> Result<Self, Failure> {
        let mut answers: JoinSet<_> = answers.into_iter().collect();
        let (mut most, mut failure) = (None, Failure::not_connected());
        let mut answered: Option<Stopwatch> = None;
        loop {
            let next = answers.join_next();
            let next = match answered {
                None => next.await,
                Some(answered) => {
                    let left = time_limit.saturating_sub(answered.elapsed());
                    tokio::time::timeout(left, next).await.unwrap_or_default()
                }
            };
            match next {
                None => return most.ok_or(failure),
                Some(Ok(Ok(slots))) => {
                    answered.get_or_insert_with(Stopwatch::start);
                    most = slots.or_more(most);
                    if most.as_ref().is_some_and(Self::are_all) {
                        return most.ok_or(failure);
                    }
                }
                Some(Ok(Err(other))) => failure = other,
                Some(Err(_)) => {}
            }
        }
    }

    /// Whether every slot is served.
    pub(super) fn are_all(&self) -> bool {
        self.served() >= ALL
    }

    pub(super) fn served(&self) -> usize {
        let served = self.0.iter().filter(|range| !range.nodes.is_empty());
        served.map(|range| range.slots.len()).sum()
    }

    /// Those of both of which more are served, if any are.
    pub(super) fn or_more(self, other: Option<Self>) -> Option<Self> {
        match other {
            Some(other) if other.served() >= self.served() => Some(other),
            _ => (self.served() > 0).then_some(self),
        }
    }
}

/// Slots of one primary.
struct SlotRange {
    slots: Vec<Slot>,
    /// The addresses of the primary and of its replicas.
    nodes: Vec<String>,
}

impl SlotRange {
    /// Reads what the node at `host` has answered of one range.
    fn new(range: &Value, host: &str) -> Option<Self> {
        let [Value::Int(first), Value::Int(last), nodes @ ..] = range.as_sequence()? else {
            return None;
        };
        let slots = (*first..=*last).map(|slot| Slot::new(u16::try_from(slot).ok()?));
        let mut addresses = nodes.iter().map(|node| address(node, host));
        // Without the address of a primary its slots are not served.
        let primary = addresses.next().flatten();
        let nodes = primary.map_or_else(Vec::new, |primary| {
            [primary].into_iter().chain(addresses.flatten()).collect()
        });
        Some(Self { slots: slots.collect::<Option<_>>()?, nodes })
    }
}

/// The address of a node, as the one at `host` says; `None` if it does not know it.
fn address(node: &Value, host: &str) -> Option<String> {
    let [at_host, Value::Int(port), ..] = node.as_sequence()? else { return None };
    let at_host = match at_host {
        Value::BulkString(host) => String::from_utf8_lossy(host),
        Value::Nil => "".into(),
        _ => return None,
    };
    match &*at_host {
        "?" => None,
        // Its own.
        "" => Some(format!("{host}:{port}")),
        at_host => Some(format!("{at_host}:{port}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn the_nodes_of_a_range_of_slots_are_read() {
        let node = |host: Value, port| Value::Array(vec![host, Value::Int(port), text("id")]);
        for (nodes, expected) in [
            (vec![node(text("a"), 1), node(text("b"), 2)], vec!["a:1", "b:2"]),
            (vec![node(text(""), 1), node(Value::Nil, 2)], vec!["here:1", "here:2"]),
            (vec![node(text("a"), 1), node(text("?"), 2)], vec!["a:1"]),
            (vec![node(text("?"), 1), node(text("b"), 2)], vec![]),
        ] {
            let range = [vec![Value::Int(0), Value::Int(2)], nodes].concat();
            let range = SlotRange::new(&Value::Array(range), "here").expect("it is complete");
            assert_eq!(
                (range.slots.len(), range.nodes),
                (3, expected.iter().map(|&it| it.to_owned()).collect())
            );
        }
        assert!(SlotRange::new(&Value::Array(vec![Value::Int(0)]), "here").is_none());
    }
}
