//! A connection pool of the app.

use std::fmt;

/// A connection pool of sqlx that the app has opened, for
/// [`SqlStore::from_pool`](super::SqlStore::from_pool): a `PgPool` (feature `postgres`) or a
/// `SqlitePool` (feature `sqlite`).
#[derive(Clone)]
pub struct DatabasePool(pub(super) AnyPool);

#[derive(Clone)]
pub(super) enum AnyPool {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::SqlitePool),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
}

#[cfg(feature = "sqlite")]
impl From<sqlx::SqlitePool> for DatabasePool {
    fn from(pool: sqlx::SqlitePool) -> Self {
        Self(AnyPool::Sqlite(pool))
    }
}

#[cfg(feature = "postgres")]
impl From<sqlx::PgPool> for DatabasePool {
    fn from(pool: sqlx::PgPool) -> Self {
        Self(AnyPool::Postgres(pool))
    }
}

impl fmt::Debug for DatabasePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            #[cfg(feature = "sqlite")]
            AnyPool::Sqlite(_) => "SQLite",
            #[cfg(feature = "postgres")]
            AnyPool::Postgres(_) => "Postgres",
        })
    }
}
