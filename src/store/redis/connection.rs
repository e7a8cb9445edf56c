//! The connection to a server or a cluster: commands go to the server that has their key.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use redis::{Cmd, Pipeline, RedisError, RedisResult, ServerErrorKind, ToRedisArgs, Value};

use super::{
    commands::{Commands, key_of},
    failure::{Failure, FailureKind},
    primaries::Primaries,
    script::Script,
    server::{Server, Unanswered},
    server_info::ServerState,
    servers::Servers,
    target::Target,
};
use crate::{maybe_ready::StoreError, time::Timestamp};

/// How often a command is sent again: to a node of a cluster that has its slot now, or will have it.
const REDIRECTIONS: u32 = 3;

/// The pause where a node of a cluster moves the slot, before the command is sent again; doubled each time.
const REDIRECTION_PAUSE: Duration = Duration::from_millis(5);

/// Connections to the servers that many callers share. While a server is lost, its commands fail at once, and
/// one task looks for it on new connections. Clones share the connections; they close with the last of them.
#[derive(Clone)]
pub(super) struct Connection {
    servers: Arc<Servers>,
    #[cfg(test)]
    sends_twice: Arc<std::sync::atomic::AtomicBool>,
}

/// Where a node of a cluster says that a command is to go.
enum Redirection {
    /// To the primary at an address, which has the slot.
    Moved(String),
    /// To the node at an address, which takes the slot over.
    Ask(String),
    /// To the same one, later.
    Later,
}

impl Redirection {
    /// What the node at `from` says.
    fn new(error: &RedisError, from: &str) -> Option<Self> {
        let address = || {
            let (address, _) = error.redirect_node()?;
            // That of IPv6 has colons, too.
            let (host, port) = address.rsplit_once(':')?;
            let (own_host, _) = from.rsplit_once(':')?;
            // Without a host it is that of the node itself.
            Some(format!("{}:{port}", if host.is_empty() { own_host } else { host }))
        };
        match error.kind() {
            redis::ErrorKind::Server(ServerErrorKind::Moved) => Some(Self::Moved(address()?)),
            redis::ErrorKind::Server(ServerErrorKind::Ask) => Some(Self::Ask(address()?)),
            redis::ErrorKind::Server(ServerErrorKind::TryAgain) => Some(Self::Later),
            _ => None,
        }
    }
}

impl Connection {
    pub(super) async fn open(target: Target) -> Result<Self, StoreError> {
        let servers = Servers::connect(target).await?;
        #[cfg(test)]
        let sends_twice = Arc::default();
        Ok(Self {
            servers,
            #[cfg(test)]
            sends_twice,
        })
    }

    /// Opens other connections to the same server or cluster.
    pub(super) async fn open_another(&self) -> Result<Self, StoreError> {
        Self::open(self.servers.target.clone()).await
    }

    /// How long a command may block the server's answer on a connection of its own.
    pub(super) fn longest_block(&self) -> Duration {
        self.servers.target.time_limit / 2
    }

    /// Whether every command would be sent: no server is known to be lost.
    pub(super) fn is_connected(&self) -> bool {
        self.servers.primaries().are_asked()
    }

    /// Runs `script`. It does nothing if the server comes to it after the time limit, when its caller
    /// has given up: its first argument is that deadline, and it answers the server's time, negative, if
    /// it is after that.
    pub(super) async fn run_in_time<K: ToRedisArgs + AsRef<[u8]>>(
        &self,
        script: &Script,
        keys: &[K],
        args: Vec<Vec<u8>>,
    ) -> Result<Value, Failure> {
        self.run_within(None, script, keys, args).await
    }

    /// As [`run_in_time`](Self::run_in_time), with another time limit if that is shorter.
    pub(super) async fn run_within<K: ToRedisArgs + AsRef<[u8]>>(
        &self,
        limit: Option<Duration>,
        script: &Script,
        keys: &[K],
        args: Vec<Vec<u8>>,
    ) -> Result<Value, Failure> {
        let time_limit = self.servers.target.time_limit;
        let limit = limit.map_or(time_limit, |limit| limit.min(time_limit));
        let key = keys.first().map_or(&[][..], AsRef::as_ref);
        let mut args = [vec![Vec::new()], args].concat();
        for _ in 0..2 {
            args[0] = self.time_at(key, limit).to_string().into_bytes();
            let answer = self.run(script, keys, &args).await?;
            let first = answer.as_sequence().and_then(|answers| answers.first()).unwrap_or(&answer);
            match *first {
                // The server was late, or its clock was set. If it was set, the next deadline is right.
                Value::Int(time) if time < 0 => {
                    if let Some(server) = self.servers.primaries().server_of(key) {
                        server.time.set(time.saturating_neg());
                    }
                }
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
        match self.query(&script.by_digest(keys, args)).await {
            Err(failure) if failure.kind == FailureKind::UnknownScript => {
                self.query(&script.by_text(keys, args)).await
            }
            answer => answer,
        }
    }

    /// Sends a command to the server that has its first key.
    pub(super) async fn query(&self, command: &Cmd) -> Result<Value, Failure> {
        #[cfg(test)]
        if self.sends_twice.load(std::sync::atomic::Ordering::Relaxed) {
            self.send(key_of(command).unwrap_or_default(), Commands::One(command)).await?;
        }
        self.send(key_of(command).unwrap_or_default(), Commands::One(command)).await
    }

    /// Sends commands in one piece to the server that has `key`, which answers them in this order.
    pub(super) async fn send_in_order(
        &self,
        key: &[u8],
        commands: &Pipeline,
    ) -> Result<Vec<Value>, Failure> {
        match self.send(key, Commands::InOrder(commands)).await? {
            Value::Array(answers) => Ok(answers),
            _ => Err(Failure::unexpected_answer()),
        }
    }

    /// Sends commands to the server that has `key`: where a cluster has moved its slot, to another one.
    async fn send(&self, key: &[u8], commands: Commands<'_>) -> Result<Value, Failure> {
        let mut failure = Failure::not_connected();
        for number in 0..=REDIRECTIONS {
            let primaries = self.servers.primaries();
            let Some(server) = primaries.server_of(key) else {
                self.map_again(&primaries, None).await?;
                continue;
            };
            let error = match server.send(commands).await {
                Ok(answer) => return Ok(answer),
                Err(Unanswered::Failure(failure)) => return Err(failure),
                Err(Unanswered::Redirected(error)) => error,
            };
            let redirection = Redirection::new(&error, &server.address);
            failure = error.into();
            match redirection {
                Some(Redirection::Moved(address)) => {
                    self.map_again(&primaries, Some(&address)).await?;
                }
                Some(Redirection::Ask(address)) => {
                    let error = match self.send_to_importer(&address, commands).await? {
                        Ok(answer) => return Ok(answer),
                        Err(error) => error,
                    };
                    let redirection = Redirection::new(&error, &address);
                    failure = error.into();
                    if !matches!(redirection, Some(Redirection::Later)) {
                        break;
                    }
                    tokio::time::sleep(REDIRECTION_PAUSE * 2_u32.pow(number)).await;
                }
                Some(Redirection::Later) => {
                    tokio::time::sleep(REDIRECTION_PAUSE * 2_u32.pow(number)).await;
                }
                None => break,
            }
        }
        Err(failure)
    }

    async fn map_again(&self, known: &Primaries, first: Option<&str>) -> Result<(), Failure> {
        let mapping = self.servers.map_again(known, first);
        let mapped = tokio::time::timeout(self.servers.target.time_limit, mapping).await;
        mapped.map_err(|_| Failure::not_in_time())?
    }

    async fn send_to_importer(
        &self,
        address: &str,
        commands: Commands<'_>,
    ) -> Result<RedisResult<Value>, Failure> {
        let primaries = self.servers.primaries();
        let link = if let Some(link) = primaries.server_at(address).and_then(|it| it.link()) {
            link
        } else {
            // It has no slot yet.
            let connecting = self.servers.target.connect_to_node(address);
            let connected = tokio::time::timeout(self.servers.target.time_limit, connecting);
            connected.await.map_err(|_| Failure::not_in_time())??
        };
        Ok(commands.send_to_importer(link).await)
    }

    /// Whether the keys of a command must lie in one slot.
    pub(super) fn is_cluster(&self) -> bool {
        self.servers.target.is_cluster()
    }

    /// The address of the primary of a cluster that has `key`; empty for the one server.
    pub(super) fn address_at(&self, key: &[u8]) -> String {
        let primaries = self.servers.primaries();
        primaries.server_of(key).map(|server| server.address.clone()).unwrap_or_default()
    }

    /// The time of the server that has `key`, carried on by this node's monotonic clock.
    pub(super) fn server_time(&self, key: &[u8]) -> Timestamp {
        Timestamp::from_millis(self.time_at(key, Duration::ZERO).unsigned_abs())
    }

    /// The time of the server that has `key`, after `duration`; that of any where none is known to have it.
    fn time_at(&self, key: &[u8], duration: Duration) -> i64 {
        let primaries = self.servers.primaries();
        let any = || primaries.servers().iter().find(|server| server.state().is_some());
        primaries.server_of(key).or_else(any).map_or(0, |server| server.time.after(duration))
    }

    /// How many connections there were to the servers: another one may lead to another server.
    pub(super) fn number(&self) -> u64 {
        self.servers.number()
    }

    /// Where each server is, and what it said of itself last.
    pub(super) fn states(&self) -> Vec<(String, ServerState)> {
        let primaries = self.servers.primaries();
        let state = |server: &Arc<Server>| Some((server.address.clone(), server.state()?));
        primaries.servers().iter().filter_map(state).collect()
    }

    /// Asks each server what it says of itself. One that does not answer keeps no other from it.
    pub(super) async fn look_at_servers(&self) {
        let primaries = self.servers.primaries();
        join_all(primaries.servers().iter().map(|server| server.look())).await;
    }
}

#[cfg(test)]
impl Connection {
    /// Sends every command twice from now on, and takes the second answer: as a client may that has lost the
    /// first one.
    pub(super) fn send_twice(&self) {
        self.sends_twice.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Completes once every server is asked.
    pub(super) async fn connected(&self) {
        while !self.is_connected() {
            for server in self.servers.primaries().servers() {
                server.breaker.closed().await;
            }
        }
    }

    /// The addresses of the servers that are not asked.
    pub(super) fn lost_servers(&self) -> Vec<String> {
        let primaries = self.servers.primaries();
        let lost = primaries.servers().iter().filter(|server| server.breaker.is_open());
        lost.map(|server| server.address.clone()).collect()
    }

    /// Sets what this node takes for the time of every server.
    pub(super) fn set_server_time(&self, millis: i64) {
        for server in self.servers.primaries().servers() {
            server.time.set(millis);
        }
    }
}
