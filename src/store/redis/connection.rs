//! One multiplexed connection, and its replacement when the server behind it is lost.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, Cmd, Value, aio::MultiplexedConnection};
use tokio::sync::watch;

use super::{
    failure::{Failure, FailureKind},
    script::Script,
    server_info::ServerInfo,
    server_time::ServerTime,
};
use crate::maybe_ready::StoreError;

/// Commands in flight on the connection, and waiting to be written.
const IN_FLIGHT: usize = 4096;
const WRITE_BUFFER: usize = 1024;

/// A connection on which this many commands in a row got no answer is replaced: the server may be
/// paused, or a network drops every packet.
const UNANSWERED: u32 = 3;

/// The pause between two attempts to connect, and how much longer it may be: nodes that lost the
/// server at the same time do not come back at the same time.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const RETRY_JITTER_MILLIS: u64 = 150;

/// A connection that many callers share. While the server is lost, every command fails at once, and one
/// task tries to connect again. Clones share the connection; it closes with the last of them.
#[derive(Clone)]
pub(super) struct Connection(Arc<Shared>);

/// Whom to connect to.
pub(super) struct Target {
    client: Client,
    /// How long the server may take to accept a connection, and to answer a command.
    time_limit: Duration,
}

impl Target {
    /// The server at `redis://user:password@host:port/database`.
    pub(super) fn new(address: &str, time_limit: Duration) -> Result<Self, StoreError> {
        let client = Client::open(address).map_err(|_| {
            StoreError::new("the address is not of the form redis://user:password@host:port")
        })?;
        Ok(Self { client, time_limit })
    }
}

struct Shared {
    target: Target,
    /// `None` while the server is lost.
    server: watch::Sender<Option<Server>>,
    /// Commands in a row that got no answer.
    unanswered: AtomicU32,
}

/// The server at the end of a connection.
#[derive(Clone)]
struct Server {
    connection: MultiplexedConnection,
    time: Arc<ServerTime>,
    /// Which connection this is, counted from the first.
    number: u64,
}

impl Connection {
    pub(super) async fn open(target: Target) -> Result<Self, StoreError> {
        let (server, _) = watch::channel(Some(connect(&target, 0).await?));
        Ok(Self(Arc::new(Shared { target, server, unanswered: AtomicU32::new(0) })))
    }

    /// Whether a command would be sent: no server is known to be lost.
    pub(super) fn is_connected(&self) -> bool {
        self.0.server.borrow().is_some()
    }

    fn server(&self) -> Result<Server, Failure> {
        self.0.server.borrow().clone().ok_or_else(Failure::not_connected)
    }

    /// Runs `script`. It does nothing if the server comes to it after the time limit, when its caller
    /// has given up; its first argument is that deadline.
    pub(super) async fn run_in_time(
        &self,
        script: &Script,
        keys: &[String],
        args: &[i64],
    ) -> Result<i64, Failure> {
        let server = self.server()?;
        for _ in 0..2 {
            let deadline = server.time.after(self.0.target.time_limit);
            let args = [&[deadline], args].concat();
            let answer = self.run_on(&server, script, keys, &args).await?;
            if answer >= 0 {
                return Ok(answer);
            }
            // The server was late, or its clock was set. If it was set, the next deadline is right.
            server.time.set(-answer);
        }
        Err(Failure::new(FailureKind::TimedOut, "Redis came to the command too late"))
    }

    /// Runs `script`, which may run late without harm.
    pub(super) async fn run(
        &self,
        script: &Script,
        keys: &[String],
        args: &[i64],
    ) -> Result<i64, Failure> {
        let server = self.server()?;
        self.run_on(&server, script, keys, args).await
    }

    async fn run_on(
        &self,
        server: &Server,
        script: &Script,
        keys: &[String],
        args: &[i64],
    ) -> Result<i64, Failure> {
        let answer = match self.send(server, &script.by_digest(keys, args)).await {
            Err(failure) if failure.kind == FailureKind::UnknownScript => {
                self.send(server, &script.by_text(keys, args)).await
            }
            answer => answer,
        };
        match answer? {
            Value::Int(answer) => Ok(answer),
            _ => Err(Failure::unexpected_answer()),
        }
    }

    async fn send(&self, server: &Server, command: &Cmd) -> Result<Value, Failure> {
        let mut connection = server.connection.clone();
        let answer = command.query_async::<Value>(&mut connection).await.map_err(Failure::from);
        let is_lost = match answer.as_ref().map_err(|failure| failure.kind) {
            Err(FailureKind::Lost) => true,
            Err(FailureKind::TimedOut) => self.0.unanswered.fetch_add(1, Relaxed) + 1 >= UNANSWERED,
            Ok(_) | Err(FailureKind::Answered | FailureKind::UnknownScript) => {
                if self.0.unanswered.load(Relaxed) > 0 {
                    self.0.unanswered.store(0, Relaxed);
                }
                false
            }
        };
        if is_lost {
            self.replace(server.number);
        }
        answer
    }

    /// Closes the connection of this number, and connects again in a task.
    fn replace(&self, number: u64) {
        let was_replaced = self
            .0
            .server
            .send_if_modified(|server| server.take_if(|server| server.number == number).is_some());
        if was_replaced {
            tracing::warn!("the connection to Redis is lost; connecting again");
            tokio::spawn(reconnect(Arc::downgrade(&self.0), number + 1));
        }
    }
}

/// Connects again and again until a server can serve, or nobody needs it any more.
async fn reconnect(shared: Weak<Shared>, number: u64) {
    loop {
        let Some(shared) = shared.upgrade() else { return };
        match connect(&shared.target, number).await {
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
        let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
        let jitter = Duration::from_millis(random % RETRY_JITTER_MILLIS);
        tokio::time::sleep(RETRY_PAUSE + jitter).await;
    }
}

/// Opens a connection and asks the server whether it can serve.
async fn connect(target: &Target, number: u64) -> Result<Server, StoreError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(target.time_limit))
        .set_response_timeout(Some(target.time_limit))
        .set_concurrency_limit(IN_FLIGHT)
        .set_pipeline_buffer_size(WRITE_BUFFER);
    let connection = target.client.get_multiplexed_async_connection_with_config(&config).await;
    let mut connection = connection.map_err(Failure::from)?;
    let mut info = redis::cmd("INFO");
    info.arg(&ServerInfo::SECTIONS);
    let info: String = info.query_async(&mut connection).await.map_err(Failure::from)?;
    let info = ServerInfo::new(&info);
    if let Some(reason) = info.unfit() {
        return Err(StoreError::new(reason));
    }
    if info.evicts() && number == 0 {
        tracing::warn!(
            "Redis evicts keys when its memory is full: set `maxmemory-policy noeviction`"
        );
    }
    let time = info.time().ok_or_else(Failure::unexpected_answer)?;
    Ok(Server { connection, time: Arc::new(ServerTime::new(time)), number })
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
