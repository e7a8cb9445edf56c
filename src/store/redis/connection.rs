//! The connection to a server or a cluster, and its replacement when that is lost.

use std::{
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::{Cmd, Pipeline, ToRedisArgs, Value, cluster_routing::Slot};
use tokio::sync::Mutex;

use super::{
    failure::{Failure, FailureKind},
    primaries::{Primaries, SlotMap},
    script::Script,
    server_time::ServerTime,
    target::{Connected, Link, Target},
};
use crate::{
    clock::Stopwatch,
    maybe_ready::StoreError,
    store::breaker::{Breaker, Probe, StoreKind},
    time::Timestamp,
};

/// The client of a cluster is made anew at most this often, whatever servers are lost.
const RENEWAL_PAUSE: Duration = Duration::from_millis(500);

/// A connection that many callers share. While a server is lost, its commands fail at once, and one
/// task looks for it on new connections. Clones share the connection; it closes with the last of them.
#[derive(Clone)]
pub(super) struct Connection(Arc<Shared>);

struct Shared {
    target: Target,
    /// Replaced as a whole.
    server: RwLock<Server>,
    /// Held while another client of a cluster is made: since when the present one is used.
    renewed: Mutex<Stopwatch>,
    /// How often the connection was replaced.
    number: AtomicU64,
    #[cfg(test)]
    sends_twice: std::sync::atomic::AtomicBool,
}

/// The server at the end of a connection.
#[derive(Clone)]
struct Server {
    link: Link,
    time: Arc<ServerTime>,
    primaries: Primaries,
}

impl Server {
    /// Servers that `known` has keep their breakers.
    fn new(connected: Connected, shared: &Weak<Shared>, known: Option<&Primaries>) -> Self {
        let Connected { link, time, slots } = connected;
        let breaker = |address: Option<&str>| {
            Breaker::new(StoreKind::Redis, probe(Weak::clone(shared), address))
        };
        let primaries = match (slots, known) {
            (Some(slots), known) => {
                let map = SlotMap::new(slots, known, |address| breaker(Some(address)));
                Primaries::Cluster(Arc::new(map))
            }
            (None, Some(known)) => known.clone(),
            (None, None) => Primaries::Server(breaker(None)),
        };
        Self { link, time: Arc::new(ServerTime::new(time)), primaries }
    }
}

/// Looks for the server, or the primary of a cluster at this address, on a new connection.
fn probe(shared: Weak<Shared>, address: Option<&str>) -> Probe {
    let address: Option<Arc<str>> = address.map(Arc::from);
    Box::new(move || {
        let (shared, address) = (Weak::clone(&shared), address.clone());
        Box::pin(async move {
            let Some(shared) = shared.upgrade() else { return false };
            match shared.renew().await {
                Ok(()) => match address {
                    Some(address) => shared.answers(&address).await,
                    None => true,
                },
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, "Redis cannot be reached yet");
                    false
                }
            }
        })
    })
}

impl Shared {
    fn server(&self) -> Server {
        self.server.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the connection, unless that to a cluster is new.
    async fn renew(self: &Arc<Self>) -> Result<(), StoreError> {
        let mut renewed =
            if self.target.is_cluster() { Some(self.renewed.lock().await) } else { None };
        if renewed.as_ref().is_some_and(|renewed| renewed.elapsed() < RENEWAL_PAUSE) {
            return Ok(());
        }
        let connected = self.target.connect().await?;
        let known = self.server().primaries;
        let server = Server::new(connected, &Arc::downgrade(self), Some(&known));
        // Before anybody uses it.
        self.number.fetch_add(1, Relaxed);
        *self.server.write().unwrap_or_else(PoisonError::into_inner) = server;
        if let Some(renewed) = &mut renewed {
            **renewed = Stopwatch::start();
        }
        Ok(())
    }

    /// Whether the primary at `address` answers, or the cluster has replaced it.
    async fn answers(&self, address: &str) -> bool {
        !self.server().primaries.has_primary(address) || self.target.answers(address).await
    }
}

impl Connection {
    pub(super) async fn open(target: Target) -> Result<Self, StoreError> {
        let connected = target.connect().await?;
        Ok(Self(Arc::new_cyclic(|shared| Shared {
            target,
            server: RwLock::new(Server::new(connected, shared, None)),
            renewed: Mutex::new(Stopwatch::start()),
            number: AtomicU64::new(0),
            #[cfg(test)]
            sends_twice: std::sync::atomic::AtomicBool::new(false),
        })))
    }

    /// Opens another connection to the same server or cluster.
    pub(super) async fn open_another(&self) -> Result<Self, StoreError> {
        Self::open(self.0.target.clone()).await
    }

    /// How long a command may block the server's answer on a connection of its own.
    pub(super) fn longest_block(&self) -> Duration {
        self.0.target.time_limit / 2
    }

    /// Whether every command would be sent: no server is known to be lost.
    pub(super) fn is_connected(&self) -> bool {
        self.0.server().primaries.are_asked()
    }

    /// Runs `script`. It does nothing if the server comes to it after the time limit, when its caller
    /// has given up: its first argument is that deadline, and it answers the server's time, negative, if
    /// it is after that.
    pub(super) async fn run_in_time<K: ToRedisArgs>(
        &self,
        script: &Script,
        keys: &[K],
        args: Vec<Vec<u8>>,
    ) -> Result<Value, Failure> {
        self.run_within(None, script, keys, args).await
    }

    /// As [`run_in_time`](Self::run_in_time), with another time limit if that is shorter.
    pub(super) async fn run_within<K: ToRedisArgs>(
        &self,
        limit: Option<Duration>,
        script: &Script,
        keys: &[K],
        args: Vec<Vec<u8>>,
    ) -> Result<Value, Failure> {
        let time_limit = self.0.target.time_limit;
        let limit = limit.map_or(time_limit, |limit| limit.min(time_limit));
        let server = self.0.server();
        let mut args = [vec![Vec::new()], args].concat();
        for _ in 0..2 {
            let deadline = server.time.after(limit);
            args[0] = deadline.to_string().into_bytes();
            let answer = self.run_on(&server, script, keys, &args).await?;
            let first = answer.as_sequence().and_then(|answers| answers.first()).unwrap_or(&answer);
            match *first {
                // The server was late, or its clock was set. If it was set, the next deadline is right.
                Value::Int(time) if time < 0 => server.time.set(time.saturating_neg()),
                _ => return Ok(answer),
            }
        }
        Err(Failure::new(FailureKind::TimedOut, "Redis came to the command too late"))
    }

    /// Runs `script`, which may run late without harm.
    pub(super) async fn run<K: ToRedisArgs, A: ToRedisArgs>(
        &self,
        script: &Script,
        keys: &[K],
        args: &[A],
    ) -> Result<Value, Failure> {
        let server = self.0.server();
        self.run_on(&server, script, keys, args).await
    }

    /// Sends a command.
    pub(super) async fn query(&self, command: &Cmd) -> Result<Value, Failure> {
        let server = self.0.server();
        self.send(&server, command).await
    }

    /// Sends a command to the server, or to every primary of the cluster.
    pub(super) async fn query_servers(&self, command: &Cmd) -> Result<Value, Failure> {
        let mut link = self.0.server().link;
        Ok(link.send_to_all(command).await?)
    }

    /// Sends commands in one piece to the server that has `key`, which answers them in this order.
    pub(super) async fn send_in_order(
        &self,
        key: &[u8],
        commands: Pipeline,
    ) -> Result<Vec<Value>, Failure> {
        let server = self.0.server();
        let mut link = server.link.clone();
        let answers = async move {
            link.send_in_order(Slot::for_key(key), commands).await.map_err(Failure::from)
        };
        self.guard(server.primaries.breaker_at(key), answers).await
    }

    /// The address of the primary of a cluster that has `key`; empty for the one server.
    pub(super) fn address_at(&self, key: &[u8]) -> String {
        self.0.server().primaries.address_at(key).to_owned()
    }

    /// The server's time, carried on by this node's monotonic clock.
    pub(super) fn server_time(&self) -> Timestamp {
        let millis = self.0.server().time.after(Duration::ZERO);
        Timestamp::from_millis(millis.unsigned_abs())
    }

    /// Which connection this is, counted from the first: another one may lead to another server.
    pub(super) fn number(&self) -> u64 {
        self.0.number.load(Relaxed)
    }

    async fn run_on<K: ToRedisArgs, A: ToRedisArgs>(
        &self,
        server: &Server,
        script: &Script,
        keys: &[K],
        args: &[A],
    ) -> Result<Value, Failure> {
        match self.send(server, &script.by_digest(keys, args)).await {
            Err(failure) if failure.kind == FailureKind::UnknownScript => {
                self.send(server, &script.by_text(keys, args)).await
            }
            answer => answer,
        }
    }

    async fn send(&self, server: &Server, command: &Cmd) -> Result<Value, Failure> {
        self.guard(server.primaries.breaker_of(command), self.deliver(server, command)).await
    }

    /// Waits for an answer, unless the server is known to be lost.
    async fn guard<T>(
        &self,
        breaker: Option<&Breaker>,
        answer: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let Some(breaker) = breaker else { return answer.await };
        let Some(mut call) = breaker.ask() else { return Err(Failure::not_connected()) };
        let answer = answer.await;
        match answer.as_ref().err().map(|failure| failure.kind) {
            None | Some(FailureKind::Answered | FailureKind::UnknownScript) => {
                breaker.answer();
                call.end();
            }
            Some(FailureKind::TimedOut) => {
                call.wait();
                call.end();
            }
            // The client of a cluster replaces a connection to one of its servers.
            Some(FailureKind::Lost) if self.0.target.is_cluster() => call.fail(),
            Some(FailureKind::Lost) => call.lose(),
        }
        answer
    }

    async fn deliver(&self, server: &Server, command: &Cmd) -> Result<Value, Failure> {
        #[cfg(test)]
        if self.0.sends_twice.load(Relaxed) {
            server.link.clone().send(command).await.map_err(Failure::from)?;
        }
        server.link.clone().send(command).await.map_err(Failure::from)
    }
}

#[cfg(test)]
impl Connection {
    /// Sends every command twice from now on, and takes the second answer: as the client of a cluster
    /// does that has lost the first one.
    pub(super) fn send_twice(&self) {
        self.0.sends_twice.store(true, Relaxed);
    }

    /// Completes once every server is asked.
    pub(super) async fn connected(&self) {
        while !self.is_connected() {
            self.0.server().primaries.wait_until_asked().await;
        }
    }

    /// The addresses of the primaries of a cluster that are not asked.
    pub(super) fn lost_servers(&self) -> Vec<String> {
        self.0.server().primaries.lost_servers()
    }

    /// Sets what this node takes for the server's time.
    pub(super) fn set_server_time(&self, millis: i64) {
        self.0.server().time.set(millis);
    }
}
