//! Which primary of a cluster serves which slots.

use std::{collections::HashMap, sync::Arc};

use redis::{Value, aio::MultiplexedConnection, cluster_routing::Slot};

use super::{commands::Commands, failure::Failure, server::Server};

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
        ranges: Vec<SlotRange>,
        known: &[Arc<Server>],
        server: impl Fn(String) -> Server,
    ) -> Self {
        let mut map = Self { primaries: Vec::new(), slots: HashMap::new(), nodes: Vec::new() };
        for SlotRange { slots, mut nodes } in ranges {
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

    /// The primary that has `key`; `None` if none is known to.
    pub(super) fn primary_of(&self, key: &[u8]) -> Option<&Arc<Server>> {
        Some(&self.primaries[*self.slots.get(&Slot::for_key(key))?])
    }
}

/// Slots of one primary.
pub(super) struct SlotRange {
    slots: Vec<Slot>,
    /// The addresses of the primary and of its replicas.
    nodes: Vec<String>,
}

impl SlotRange {
    /// Asks the node of a cluster at `host`.
    pub(super) async fn ask(link: MultiplexedConnection, host: &str) -> Result<Vec<Self>, Failure> {
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        let answer = Commands::One(&command).send(link).await?;
        let ranges =
            answer.as_sequence().and_then(|it| it.iter().map(|it| Self::new(it, host)).collect());
        ranges.ok_or_else(Failure::unexpected_answer)
    }

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
