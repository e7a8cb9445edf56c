//! The servers behind a connection: how they are found, connected to and replaced.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::join_all;

use super::{
    failure::Failure,
    primaries::Primaries,
    server::Server,
    slot_map::{SlotMap, Slots},
    target::Target,
};
use crate::{
    clock::Stopwatch,
    maybe_ready::StoreError,
    store::{
        breaker::{Breaker, Probe, StoreKind},
        race::First,
        turns::Turns,
    },
};

/// A cluster is asked at most this often which primary serves which slots, whatever servers are lost.
const MAPPING_PAUSE: Duration = Duration::from_millis(100);

/// One server, or the primaries of a cluster. Each has a connection of its own, which is replaced when the
/// server is lost: one that does not answer holds up no command of others.
pub(super) struct Servers {
    pub(super) target: Target,
    /// Replaced as a whole.
    primaries: RwLock<Primaries>,
    /// A cluster is asked for its primaries once for all who wait for them. Since when the present ones are
    /// known.
    mapping: Turns,
    mapped: Mutex<Stopwatch>,
    /// How many connections there were.
    number: AtomicU64,
}

/// Looks for the server at `address` on a new connection.
fn probe(servers: Weak<Servers>, address: String) -> Probe {
    let address: Arc<str> = address.into();
    Box::new(move || {
        let (servers, address) = (Weak::clone(&servers), Arc::clone(&address));
        Box::pin(async move {
            let Some(servers) = servers.upgrade() else { return false };
            servers.find(&address).await
        })
    })
}

fn server(servers: &Weak<Servers>, address: String) -> Server {
    let probe = probe(Weak::clone(servers), address.clone());
    Server::new(address, Breaker::new(StoreKind::Redis, probe))
}

impl Servers {
    /// Connects to the server, or to the primaries of the cluster; to one of them at least.
    pub(super) async fn connect(target: Target) -> Result<Arc<Self>, StoreError> {
        let slots = if target.is_cluster() { Some(target.find_slots(&[]).await?) } else { None };
        let servers = Arc::new_cyclic(|servers| {
            let server = |address| server(servers, address);
            let primaries = match slots {
                Some(slots) => Primaries::Cluster(Arc::new(SlotMap::new(slots, &[], server))),
                None => Primaries::Server(Arc::new(server(String::new()))),
            };
            Self {
                target,
                primaries: RwLock::new(primaries),
                mapping: Turns::default(),
                mapped: Mutex::new(Stopwatch::start()),
                number: AtomicU64::new(0),
            }
        });
        let primaries = servers.primaries();
        let connected = primaries.servers().iter().map(|server| servers.connect_to(server));
        let (connected, failed): (Vec<_>, Vec<_>) =
            join_all(connected).await.into_iter().partition(Result::is_ok);
        match failed.into_iter().find_map(Result::err) {
            Some(error) if connected.is_empty() => Err(error),
            _ if connected.is_empty() => Err(Failure::not_connected().into()),
            _ => {
                lose_unconnected(primaries.servers());
                Ok(servers)
            }
        }
    }

    pub(super) fn primaries(&self) -> Primaries {
        self.primaries.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections there were: whoever has seen the servers of this number has seen all.
    pub(super) fn number(&self) -> u64 {
        self.number.load(Relaxed)
    }

    async fn connect_to(&self, server: &Server) -> Result<(), StoreError> {
        let connected = self.target.connect(&server.address).await?;
        server.set_connection(connected, &self.number);
        Ok(())
    }

    /// Looks for the server at `address` on a new connection. Whether it answers there, or the cluster has
    /// replaced it.
    async fn find(self: &Arc<Self>, address: &str) -> bool {
        if self.target.is_cluster()
            && let Err(failure) = self.map_again(&self.primaries(), None).await
        {
            log(failure, "no node of the cluster answers");
        }
        let primaries = self.primaries();
        let Some(server) = primaries.server_at(address) else { return true };
        match self.connect_to(server).await {
            Ok(()) => true,
            Err(error) => {
                log(error, "Redis cannot be reached yet");
                false
            }
        }
    }

    /// Asks the node of a cluster at `first`, or else those that are not lost, which primary serves which
    /// slots, and connects to those that are new; unless it was asked since `known`. That goes on if the caller
    /// is cut off by its time limit, so that the next one need not start again.
    pub(super) async fn map_again(
        self: &Arc<Self>,
        known: &Primaries,
        first: Option<&str>,
    ) -> Result<(), Failure> {
        let Primaries::Cluster(known) = known else { return Ok(()) };
        let is_mapped = || {
            let is_known = match self.primaries() {
                Primaries::Cluster(present) => Arc::ptr_eq(known, &present),
                Primaries::Server(_) => false,
            };
            let is_recent = || first.is_none() && self.mapped().elapsed() < MAPPING_PAUSE;
            (!is_known || is_recent()).then_some(())
        };
        let First::Right(turn) = self.mapping.next_unless(is_mapped).await else { return Ok(()) };
        let (this, known) = (Arc::clone(self), Arc::clone(known));
        let first = first.map(str::to_owned);
        let mapping = tokio::spawn(async move {
            let mapped = this.replace_map(&known, first).await;
            if mapped.is_ok() {
                turn.end();
            }
            mapped
        });
        mapping.await.unwrap_or_else(|_| Err(Failure::not_connected()))
    }

    fn mapped(&self) -> MutexGuard<'_, Stopwatch> {
        self.mapped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn replace_map(
        self: Arc<Self>,
        known: &SlotMap,
        first: Option<String>,
    ) -> Result<(), Failure> {
        let slots = self.ask_for_slots(known, first).await?;
        let this = Arc::downgrade(&self);
        let map = SlotMap::new(slots, &known.primaries, |address| server(&this, address));
        let has = |of: &SlotMap, server: &Arc<Server>| {
            of.primaries.iter().any(|other| Arc::ptr_eq(other, server))
        };
        let new: Vec<_> = map.primaries.iter().filter(|server| !has(known, server)).collect();
        let is_gone = known.primaries.iter().any(|server| !has(&map, server));
        if !new.is_empty() {
            // A request goes on to the others within its time limit, if one of them is silent.
            let time_limit = self.target.time_limit / 2;
            let connecting = join_all(new.iter().map(|server| self.connect_to(server)));
            drop(tokio::time::timeout(time_limit, connecting).await);
            lose_unconnected(&map.primaries);
        }
        let mut primaries = self.primaries.write().unwrap_or_else(PoisonError::into_inner);
        // Before anybody uses them.
        self.number.fetch_add(u64::from(!new.is_empty() || is_gone), Relaxed);
        drop(new);
        *primaries = Primaries::Cluster(Arc::new(map));
        drop(primaries);
        *self.mapped() = Stopwatch::start();
        Ok(())
    }

    /// Asks the node at `first`, then the primaries that are not lost, then other nodes, until one says who
    /// serves every slot; of the one at `first` it suffices that as many are served as before.
    async fn ask_for_slots(
        &self,
        known: &SlotMap,
        first: Option<String>,
    ) -> Result<Slots, Failure> {
        let time_limit = self.target.time_limit;
        let ask = |server: &Arc<Server>| {
            let (link, address) = (server.link()?, server.address.clone());
            Some(async move {
                let (host, _) = address.rsplit_once(':').unwrap_or_default();
                Slots::ask(link, host).await
            })
        };
        let mut most = None;
        if let Some(first) = first {
            let server = known.primaries.iter().find(|server| server.address == first);
            let asked = async {
                if let Some(ask) = server.and_then(ask)
                    && let Ok(slots) = ask.await
                {
                    return Ok(slots);
                }
                self.target.find_slots(&[first]).await
            };
            if let Ok(Ok(slots)) = tokio::time::timeout(time_limit, asked).await {
                if slots.served() >= known.served() {
                    return Ok(slots);
                }
                most = slots.or_more(most);
            }
        }
        let asked = known.primaries.iter().filter(|server| !server.breaker.is_open());
        let answers: Vec<_> = asked.filter_map(ask).collect();
        let mut answer = Slots::most_of(answers, time_limit).await;
        let mut failure = Failure::not_connected();
        let mut others = [&known.nodes[..], &[]].into_iter();
        loop {
            match answer {
                Ok(slots) => most = slots.or_more(most),
                Err(other) => failure = other,
            }
            let is_enough = most.as_ref().is_some_and(Slots::are_all);
            let Some(nodes) = others.next().filter(|_| !is_enough) else {
                return most.ok_or(failure);
            };
            answer = self.target.find_slots(nodes).await;
        }
    }
}

fn log(error: impl Into<StoreError>, text: &'static str) {
    let error = &error.into() as &dyn std::error::Error;
    tracing::debug!(error, "{text}");
}

/// Those without a connection are not asked until they are found.
fn lose_unconnected(servers: &[Arc<Server>]) {
    for server in servers.iter().filter(|server| server.state().is_none()) {
        server.lose();
    }
}
