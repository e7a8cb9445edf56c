//! Why a statement failed, without addresses, SQL or values.

use crate::maybe_ready::StoreError;

/// A failed transaction or statement.
pub(super) struct Failure {
    error: StoreError,
    kind: FailureKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FailureKind {
    /// Repeating it is of no use, or it may have succeeded.
    Final,
    /// The transaction was rolled back, and may succeed if it is repeated at once.
    Conflict,
    /// The server on this connection does not serve any more, and has not committed.
    ConnectionLost,
    /// No connection could be opened: another one cannot either.
    Unreachable,
    /// None became free in time, or none could be opened.
    NoConnection,
}

/// Postgres rolled back one of several conflicting transactions: `serialization_failure` and
/// `deadlock_detected`.
const CONFLICTS: [&str; 2] = ["40001", "40P01"];

/// Postgres: the server is read-only, as after a failover, or it ends the connection:
/// `read_only_sql_transaction`, `admin_shutdown`, `crash_shutdown`, `cannot_connect_now`,
/// `idle_session_timeout`, `idle_in_transaction_session_timeout`.
const LOST: [&str; 6] = ["25006", "57P01", "57P02", "57P03", "57P05", "25P03"];

/// Postgres: the class of the exceptions of connections.
const CONNECTION_EXCEPTIONS: &str = "08";

/// The length of an SQLSTATE; SQLite's codes are shorter.
const SQLSTATE_LEN: usize = 5;

impl FailureKind {
    fn of_code(code: &str) -> Self {
        let is_sqlstate = code.len() == SQLSTATE_LEN;
        if CONFLICTS.contains(&code) {
            Self::Conflict
        } else if LOST.contains(&code) || (is_sqlstate && code.starts_with(CONNECTION_EXCEPTIONS)) {
            Self::ConnectionLost
        } else {
            Self::Final
        }
    }

    fn from_error(error: &sqlx::Error, code: Option<&str>) -> Self {
        use sqlx::Error::{Io, Protocol, Tls, WorkerCrashed};
        match error {
            Io(_) | Protocol(_) | Tls(_) | WorkerCrashed => Self::ConnectionLost,
            _ => code.map_or(Self::Final, Self::of_code),
        }
    }
}

impl Failure {
    pub(super) fn from_connecting(error: sqlx::Error) -> Self {
        let kind = match error {
            sqlx::Error::PoolTimedOut => FailureKind::NoConnection,
            _ => FailureKind::Unreachable,
        };
        Self { kind, ..Self::from(error) }
    }

    /// The server was not asked.
    pub(super) fn from_outage() -> Self {
        StoreError::new("the database does not answer").into()
    }

    /// The server is read-only or in recovery: no primary, or no longer.
    pub(super) fn from_read_only() -> Self {
        let error = StoreError::new("the database is read-only or a standby");
        Self { error, kind: FailureKind::ConnectionLost }
    }

    #[must_use]
    pub(super) fn not_to_be_repeated(self) -> Self {
        Self { kind: FailureKind::Final, ..self }
    }

    /// Whether the transaction may succeed if it is repeated at once.
    pub(super) fn is_conflict(&self) -> bool {
        self.kind == FailureKind::Conflict
    }

    /// Whether no server serves: on this connection, or at all.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self.kind, FailureKind::ConnectionLost | FailureKind::Unreachable)
    }

    /// Whether all connections were in use, unless the server does not answer.
    pub(super) fn is_without_connection(&self) -> bool {
        self.kind == FailureKind::NoConnection
    }

    /// Whether the connection must be dropped. Another connection may lead to another server.
    pub(super) fn is_connection_lost(&self) -> bool {
        self.kind == FailureKind::ConnectionLost
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let kind = FailureKind::from_error(&error, code.as_deref());
        Self { error: StoreError::new(description(&error, code.as_deref())), kind }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, kind: FailureKind::Final }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// Describes the kind of an error: the text of a driver may contain addresses and values.
fn description(error: &sqlx::Error, code: Option<&str>) -> String {
    use sqlx::Error::{Configuration, Database, Io, PoolClosed, PoolTimedOut, Tls};
    match error {
        Database(_) => {
            format!("the database refused a statement, code {}", code.unwrap_or("none"))
        }
        Io(error) => format!("the connection to the database failed: {}", error.kind()),
        Tls(_) => "TLS with the database failed".to_owned(),
        Configuration(_) => "the database's address is malformed".to_owned(),
        PoolTimedOut | PoolClosed => "no connection to the database in time".to_owned(),
        _ => "the database returned an unexpected answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p23_a_code_says_whether_the_connection_is_lost() {
        for code in ["25006", "57P01", "57P02", "57P03", "08000", "08003", "08006", "08P01"] {
            assert!(FailureKind::of_code(code) == FailureKind::ConnectionLost, "{code}");
        }
        for code in ["40001", "40P01"] {
            assert!(FailureKind::of_code(code) == FailureKind::Conflict, "{code}");
        }
        // Of SQLite: busy, full, read-only, misuse; of Postgres: a statement's own fault.
        for code in ["5", "8", "13", "21", "1032", "23505", "42501", "57014", "53300"] {
            assert!(FailureKind::of_code(code) == FailureKind::Final, "{code}");
        }
    }
}
