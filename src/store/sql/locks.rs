//! How a transaction excludes others on Postgres. SQLite runs one writing transaction at a time and needs
//! no lock.

use super::{database::Tx, failure::Failure, feed_order::FeedOrder, value::Args};
use crate::identity::StoreKey;

/// Makes the keys of this crate's advisory locks differ from those of an app that hashes names, too.
const POSTGRES_LOCK_SEED: &str = "8391540620385125";

/// How a transaction excludes others.
#[derive(Clone, Copy)]
pub(super) enum Lock {
    /// Waits for [`Lock::Alone`], and lets others like it pass.
    WithOthers,
    /// Waits for both.
    Alone,
}

impl Tx {
    /// Locks the store until the end of the transaction.
    pub(super) async fn lock(&mut self, lock: Lock) -> Result<(), Failure> {
        if self.feed_order() == FeedOrder::Commits {
            return Ok(());
        }
        let shared = if matches!(lock, Lock::WithOthers) { "_shared" } else { "" };
        // Of these tables alone, which may not exist yet: apps that share a database do not wait for
        // each other.
        let sql = format!(
            "SELECT pg_advisory_xact_lock{shared}(hashtextextended(
                COALESCE($1, current_schema()) || '.' || $2, {POSTGRES_LOCK_SEED}))"
        );
        let args = self.names.identify(Args::new());
        self.execute(sql, args).await.map(drop)
    }

    /// Locks `key` until the end of the transaction, against others that lock it.
    pub(super) async fn lock_key(&mut self, key: StoreKey) -> Result<(), Failure> {
        if self.feed_order() == FeedOrder::Commits {
            return Ok(());
        }
        let sql = format!(
            "SELECT pg_advisory_xact_lock(hashtextextended(
                COALESCE($1, current_schema()) || '.' || $2 || encode($3, 'hex'),
                {POSTGRES_LOCK_SEED}))"
        );
        let args = self.names.identify(Args::new()).key(key);
        self.execute(sql, args).await.map(drop)
    }
}
