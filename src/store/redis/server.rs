//! A server that commands go to: the connection to it, its breaker and its clock.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use redis::{Value, aio::MultiplexedConnection};

use super::{
    commands::Commands,
    failure::{Failure, FailureKind},
    server_info::{ServerInfo, ServerState},
    server_time::ServerTime,
};
use crate::store::breaker::Breaker;

/// A connection to a server, and what that has said of itself on it.
pub(super) struct Connected {
    pub(super) link: MultiplexedConnection,
    /// The time of its clock, in milliseconds since 1970.
    pub(super) time: i64,
    pub(super) state: ServerState,
}

/// The one server, or a primary of a cluster.
pub(super) struct Server {
    /// Of the node of a cluster; empty for the one server.
    pub(super) address: String,
    pub(super) breaker: Arc<Breaker>,
    pub(super) time: ServerTime,
    /// `None` until there has been one; the breaker is open as long.
    connection: RwLock<Option<(MultiplexedConnection, ServerState)>>,
}

/// Why there is no answer.
pub(super) enum Unanswered {
    Failure(Failure),
    /// The server has answered that it serves other slots, or not at the moment.
    Redirected(redis::RedisError),
}

impl Server {
    pub(super) fn new(address: String, breaker: Arc<Breaker>) -> Self {
        Self { address, breaker, time: ServerTime::new(0), connection: RwLock::new(None) }
    }

    /// Replaces the connection. Before anybody uses it, `number` counts that.
    pub(super) fn set_connection(&self, connected: Connected, number: &AtomicU64) {
        let Connected { link, time, state } = connected;
        let mut connection = self.connection.write().unwrap_or_else(PoisonError::into_inner);
        number.fetch_add(1, Relaxed);
        self.time.set(time);
        *connection = Some((link, state));
    }

    pub(super) fn link(&self) -> Option<MultiplexedConnection> {
        let connection = self.connection.read().unwrap_or_else(PoisonError::into_inner);
        connection.as_ref().map(|(link, _)| link.clone())
    }

    /// What the server said of itself last; `None` before it has said anything.
    pub(super) fn state(&self) -> Option<ServerState> {
        let connection = self.connection.read().unwrap_or_else(PoisonError::into_inner);
        connection.as_ref().map(|(_, state)| state.clone())
    }

    /// Nobody asks the server until it is found on a new connection.
    pub(super) fn lose(&self) {
        if let Some(call) = self.breaker.ask() {
            call.lose();
        }
    }

    /// Sends commands, unless the server is known to be lost.
    pub(super) async fn send(&self, commands: Commands<'_>) -> Result<Value, Unanswered> {
        let lost = || Unanswered::Failure(Failure::not_connected());
        let mut call = self.breaker.ask().ok_or_else(lost)?;
        let link = self.link().ok_or_else(lost)?;
        let error = match commands.send(link).await {
            Ok(answer) => {
                self.breaker.answer();
                call.end();
                return Ok(answer);
            }
            Err(error) => error,
        };
        let is_answered = matches!(error.kind(), redis::ErrorKind::Server(_));
        match FailureKind::from_error(&error) {
            FailureKind::Answered | FailureKind::UnknownScript => {
                self.breaker.answer();
                call.end();
            }
            FailureKind::TimedOut => {
                call.wait();
                call.end();
            }
            // Of a cluster it may serve again without another connection.
            FailureKind::Lost if is_answered && !self.address.is_empty() => call.fail(),
            FailureKind::Lost => call.lose(),
        }
        if is_answered && !self.address.is_empty() {
            return Err(Unanswered::Redirected(error));
        }
        Err(Unanswered::Failure(error.into()))
    }

    /// Asks the server what it says of itself, unless it is known to be lost.
    pub(super) async fn look(&self) {
        let Ok(info) = self.send(Commands::One(&ServerInfo::command())).await else { return };
        let Ok(info) = redis::from_redis_value::<String>(info) else { return };
        let now = ServerState::new(&ServerInfo::new(&info));
        let mut connection = self.connection.write().unwrap_or_else(PoisonError::into_inner);
        // Another connection leads to another server perhaps.
        if let Some((_, state)) = connection.as_mut().filter(|(_, it)| it.run_id == now.run_id) {
            *state = now;
        }
    }
}
