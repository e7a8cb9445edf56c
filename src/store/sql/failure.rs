//! Why a statement failed, without addresses, SQL or values.

use crate::maybe_ready::StoreError;

/// A failed transaction or statement.
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// Whether the transaction may succeed if it is repeated at once.
    pub(super) may_repeat: bool,
}

/// Postgres rolled back one of several conflicting transactions.
const SERIALIZATION_FAILURE: &str = "40001";
const DEADLOCK_DETECTED: &str = "40P01";

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let may_repeat = matches!(code.as_deref(), Some(SERIALIZATION_FAILURE | DEADLOCK_DETECTED));
        Self { error: StoreError::new(description(&error, code.as_deref())), may_repeat }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, may_repeat: false }
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
