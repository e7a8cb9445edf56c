//! The connection to a server or a cluster, and its replacement when that is lost.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::{Cmd, ToRedisArgs, Value};
use tokio::sync::watch;

use super::{
    failure::{Failure, FailureKind},
    script::Script,
    server_time::ServerTime,
    target::{Link, Target},
};
use crate::{jitter::jitter, maybe_ready::StoreError};

/// A connection on which this many commands in a row got no answer is replaced: the server may be
/// paused, or a network drops every packet.
const UNANSWERED: u32 = 3;

/// A connection to a cluster is replaced after this many commands without an answer, whatever other
/// nodes answer meanwhile: its client learns nothing of a node that is silent.
const UNANSWERED_IN_CLUSTER: u32 = 5;

/// The pause between two attempts to connect, and how much longer it may be: nodes that lost the
/// server at the same time do not come back at the same time.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const RETRY_JITTER: Duration = Duration::from_millis(150);

/// A connection that many callers share. While the server is lost, every command fails at once, and one
/// task tries to connect again. Clones share the connection; it closes with the last of them.
#[derive(Clone)]
pub(super) struct Connection(Arc<Shared>);

struct Shared {
    target: Target,
    /// `None` while the server is lost.
    server: watch::Sender<Option<Server>>,
    /// Commands that got no answer: in a row, or in a cluster at all.
    unanswered: AtomicU32,
}

/// The server at the end of a connection.
#[derive(Clone)]
struct Server {
    link: Link,
    time: Arc<ServerTime>,
    /// Which connection this is, counted from the first.
    number: u64,
}

impl Server {
    async fn connect(target: &Target, number: u64) -> Result<Self, StoreError> {
        let (link, time) = target.connect().await?;
        Ok(Self { link, time: Arc::new(ServerTime::new(time)), number })
    }
}

impl Connection {
    pub(super) async fn open(target: Target) -> Result<Self, StoreError> {
        let (server, _) = watch::channel(Some(Server::connect(&target, 0).await?));
        Ok(Self(Arc::new(Shared { target, server, unanswered: AtomicU32::new(0) })))
    }

    /// Opens another connection to the same server or cluster.
    pub(super) async fn open_another(&self) -> Result<Self, StoreError> {
        Self::open(self.0.target.clone()).await
    }

    /// How long a command may block the server's answer on a connection of its own.
    pub(super) fn longest_block(&self) -> Duration {
        self.0.target.time_limit / 2
    }

    /// Whether a command would be sent: no server is known to be lost.
    pub(super) fn is_connected(&self) -> bool {
        self.0.server.borrow().is_some()
    }

    fn server(&self) -> Result<Server, Failure> {
        self.0.server.borrow().clone().ok_or_else(Failure::not_connected)
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
        let server = self.server()?;
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
        let server = self.server()?;
        self.run_on(&server, script, keys, args).await
    }

    /// Sends a command.
    pub(super) async fn query(&self, command: &Cmd) -> Result<Value, Failure> {
        let server = self.server()?;
        self.send(&server, command).await
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
        let answer = server.link.clone().send(command).await.map_err(Failure::from);
        if self.is_lost(answer.as_ref().err().map(|failure| failure.kind)) {
            self.replace(server.number);
        }
        answer
    }

    /// Whether the connection is to be replaced after an answer, or a failure of this kind.
    fn is_lost(&self, failure: Option<FailureKind>) -> bool {
        let Shared { target, unanswered, .. } = &*self.0;
        match failure {
            // The client of a cluster replaces the connection to a node that it has lost.
            Some(FailureKind::Lost | FailureKind::TimedOut) if target.is_cluster() => {
                unanswered.fetch_add(1, Relaxed) + 1 == UNANSWERED_IN_CLUSTER
            }
            Some(FailureKind::Lost) => true,
            Some(FailureKind::TimedOut) => unanswered.fetch_add(1, Relaxed) + 1 >= UNANSWERED,
            None | Some(FailureKind::Answered | FailureKind::UnknownScript) => {
                if !target.is_cluster() && unanswered.load(Relaxed) > 0 {
                    unanswered.store(0, Relaxed);
                }
                false
            }
        }
    }

    /// Connects again in a task, unless the connection of this number is replaced already. It is closed
    /// at once, but in a cluster used meanwhile: other nodes may answer.
    fn replace(&self, number: u64) {
        let is_current = |server: &Server| server.number == number;
        let is_replaced = if self.0.target.is_cluster() {
            self.0.server.borrow().as_ref().is_some_and(is_current)
        } else {
            let close = |server: &mut Option<Server>| server.take_if(|it| is_current(it)).is_some();
            self.0.server.send_if_modified(close)
        };
        if is_replaced {
            tracing::warn!("Redis does not answer any more; connecting again");
            tokio::spawn(reconnect(Arc::downgrade(&self.0), number + 1));
        }
    }
}

/// Connects again and again until a server can serve, or nobody needs it any more.
async fn reconnect(shared: Weak<Shared>, number: u64) {
    loop {
        let Some(shared) = shared.upgrade() else { return };
        match Server::connect(&shared.target, number).await {
            Ok(server) => {
                shared.unanswered.store(0, Relaxed);
                shared.server.send_replace(Some(server));
                tracing::info!("connected to Redis again");
                return;
            }
            Err(error) => tracing::debug!(
                error = &error as &dyn std::error::Error,
                "Redis cannot be reached yet"
            ),
        }
        drop(shared);
        tokio::time::sleep(RETRY_PAUSE + jitter(RETRY_JITTER)).await;
    }
}

#[cfg(test)]
impl Connection {
    /// Completes once a server is connected.
    pub(super) async fn connected(&self) {
        let mut server = self.0.server.subscribe();
        server.wait_for(Option::is_some).await.expect("the sender lives");
    }

    /// Sets what this node takes for the server's time.
    pub(super) fn set_server_time(&self, millis: i64) {
        self.0.server.borrow().as_ref().expect("it is connected").time.set(millis);
    }
}
