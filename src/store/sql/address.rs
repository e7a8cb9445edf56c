//! Which database an address names.

use crate::store::StoreError;

/// The kind of database that an address names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DatabaseKind {
    Postgres,
    Sqlite,
}

impl DatabaseKind {
    /// The kind of `address`: `postgres://` or `postgresql://`, `sqlite:`, or the path of a file,
    /// which contains a separator or a dot.
    ///
    /// Anything else is an error, for SQLite would create a file of any name. No error contains the
    /// address: it may contain a password.
    pub(super) fn from_address(address: &str) -> Result<Self, StoreError> {
        if address.starts_with("postgres://") || address.starts_with("postgresql://") {
            return Ok(Self::Postgres);
        }
        let path = address.strip_prefix("sqlite://").or_else(|| address.strip_prefix("sqlite:"));
        let is_url = path.is_some();
        let path = path.unwrap_or(address);
        let file = path.split('?').next().unwrap_or_default();
        if file.trim().is_empty() {
            return Err(StoreError::new("the address of the database is empty"));
        }
        if path.contains(":memory:") || path.contains("mode=memory") {
            return Err(StoreError::new("a SQLite store is a file: use MemoryStore"));
        }
        if is_url {
            return Ok(Self::Sqlite);
        }
        if file.contains("://") {
            return Err(StoreError::new(
                "the address of a database begins with `postgres://` or `sqlite://`",
            ));
        }
        if is_keyword_value(file) {
            return Err(StoreError::new(
                "write the address of Postgres as `postgres://user:password@host/database`",
            ));
        }
        if !file.contains(['/', '\\', '.']) {
            return Err(StoreError::new(
                "the address of the database is a bare word: write `./name` for a SQLite file, or \
                 `postgres://user:password@host/name`",
            ));
        }
        Ok(Self::Sqlite)
    }
}

/// Whether `text` is a connection string of libpq such as `host=db dbname=app`.
fn is_keyword_value(text: &str) -> bool {
    let is_keyword = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
    };
    text.trim_start().split_once('=').is_some_and(|(keyword, _)| is_keyword(keyword.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_postgres_or_a_file() {
        for address in ["postgres://localhost/app", "postgresql://u:p@h:5432/a?sslmode=require"] {
            assert_eq!(DatabaseKind::from_address(address).ok(), Some(DatabaseKind::Postgres));
        }
        for address in [
            "sqlite:///var/lib/app/sessions.db",
            "sqlite:sessions",
            "sqlite://sessions?mode=rwc",
            "sessions.db",
            "./sessions",
            "/var/lib/app=1/sessions",
            "C:\\app\\sessions",
            "my app.db",
        ] {
            let kind = DatabaseKind::from_address(address).ok();
            assert_eq!(kind, Some(DatabaseKind::Sqlite), "{address}");
        }
    }

    #[test]
    fn an_address_that_names_no_database_creates_no_file() {
        for address in [
            "",
            " ",
            "\t\n",
            "mydb",
            "sqlite:",
            "sqlite://",
            "sqlite:// ",
            "sqlite:?mode=rwc",
            "sqlite::memory:",
            ":memory:",
            "sqlite://app.db?mode=memory",
            "mysql://u:p@localhost/app",
            "POSTGRES://localhost/app",
            "http://db.example/app",
            "host=/run/postgresql dbname=app",
            " host = db.example dbname=app password=very-secret",
            "dbname=app.db",
        ] {
            let error = DatabaseKind::from_address(address).expect_err(address).to_string();
            assert!(!error.contains("very-secret"), "{error}");
        }
    }
}
