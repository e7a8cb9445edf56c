//! Why a command failed, without addresses, keys or values.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::maybe_ready::StoreError;

/// A command that failed.
pub(super) struct Failure {
    error: StoreError,
    pub(super) kind: FailureKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// The server answered with an error, and may answer the next command.
    Answered,
    /// The server has not loaded the script.
    UnknownScript,
    /// No answer in time. The command may still be executed.
    TimedOut,
    /// The server on this connection does not serve any more: the connection is broken, or the
    /// server is a replica now, still loading, or cut off from its primary; or its cluster is down.
    Lost,
}

impl FailureKind {
    pub(super) fn from_error(error: &RedisError) -> Self {
        use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, NoScript, ReadOnly};
        match error.kind() {
            ErrorKind::Server(NoScript) => Self::UnknownScript,
            ErrorKind::Server(ReadOnly | BusyLoading | MasterDown | ClusterDown) => Self::Lost,
            ErrorKind::Server(_) | ErrorKind::UnexpectedReturnType | ErrorKind::Extension => {
                Self::Answered
            }
            _ if error.is_timeout() => Self::TimedOut,
            _ => Self::Lost,
        }
    }
}

impl Failure {
    pub(super) fn new(kind: FailureKind, reason: &'static str) -> Self {
        Self { error: StoreError::new(reason), kind }
    }

    /// The server has been lost, and none is connected yet.
    pub(super) fn not_connected() -> Self {
        Self::new(FailureKind::Lost, "Redis does not answer; it is looked for on new connections")
    }

    pub(super) fn not_in_time() -> Self {
        Self::new(FailureKind::TimedOut, "Redis did not answer in time")
    }

    /// A value is not of the form that this crate writes.
    pub(super) fn malformed() -> Self {
        Self::new(FailureKind::Answered, "a value in Redis is malformed")
    }

    /// The answer is not of the form that the command has.
    pub(super) fn unexpected_answer() -> Self {
        Self::new(FailureKind::Answered, "Redis gave an answer of another type")
    }
}

/// Keeps the first word of an error that the server sent, such as `OOM` or `NOPERM`: the rest may
/// contain keys.
impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        let kind = FailureKind::from_error(&error);
        let reason = match (kind, error.code()) {
            (FailureKind::TimedOut, _) => "Redis did not answer in time".to_owned(),
            (_, Some(code)) => format!("Redis answered {code}"),
            (_, None) => format!("the connection to Redis failed: {}", error.category()),
        };
        Self { error: StoreError::new(reason), kind }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}
