//! The servers that commands go to: in a cluster those of a lost server fail at once, and those of others
//! are sent.

use std::sync::Arc;

use super::{server::Server, slot_map::SlotMap};

/// The primaries of a cluster, or the one server.
#[derive(Clone)]
pub(super) enum Primaries {
    Server(Arc<Server>),
    Cluster(Arc<SlotMap>),
}

impl Primaries {
    /// The server that has `key`; `None` if none is known for its slot.
    pub(super) fn server_of(&self, key: &[u8]) -> Option<&Arc<Server>> {
        match self {
            Self::Server(server) => Some(server),
            Self::Cluster(map) => map.primary_of(key),
        }
    }

    pub(super) fn servers(&self) -> &[Arc<Server>] {
        match self {
            Self::Server(server) => std::slice::from_ref(server),
            Self::Cluster(map) => &map.primaries,
        }
    }

    /// The server at `address`, if it is one that slots are served by.
    pub(super) fn server_at(&self, address: &str) -> Option<&Arc<Server>> {
        self.servers().iter().find(|server| server.address == address)
    }

    /// Whether every server is asked.
    pub(super) fn are_asked(&self) -> bool {
        self.servers().iter().all(|server| !server.breaker.is_open())
    }
}
