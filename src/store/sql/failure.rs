//! Why a statement failed, told without addresses, SQL or values.

use crate::maybe_ready::StoreError;

/// A failed step.
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// Whether the same step may succeed if it is taken again at once.
    pub(super) may_repeat: bool,
}

/// Postgres gave up one of several transactions that stood in each other's way.
const SERIALIZATION_FAILURE: &str = "40001";
const DEADLOCK_DETECTED: &str = "40P01";

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let may_repeat = matches!(code.as_deref(), Some(SERIALIZATION_FAILURE | DEADLOCK_DETECTED));
        Self { error: StoreError::new(told(&error, code.as_deref())), may_repeat }
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

/// What a driver says may quote addresses and values: only its kind is passed on.
fn told(error: &sqlx::Error, code: Option<&str>) -> String {
    use sqlx::Error::{Configuration, Database, Io, PoolClosed, PoolTimedOut, Tls};
    match error {
        Database(_) => {
            format!("the database refused a statement, code {}", code.unwrap_or("none"))
        }
        Io(error) => format!("the connection to the database failed: {}", error.kind()),
        Tls(_) => "TLS with the database failed".to_owned(),
        Configuration(_) => "the database's address is malformed".to_owned(),
        PoolTimedOut | PoolClosed => "no connection to the database in time".to_owned(),
        _ => "the database answered what it should not".to_owned(),
    }
}
