//! Revocation of one session, by a tombstone.

use super::{
    Inner, Transaction, audit_log, change,
    change_feed::ChangeFeed,
    database::{Database, Tx},
    failure::Failure,
    feed_order::FeedOrder,
    pools::Purpose,
    value::{Args, Row, numbered},
};
use crate::{
    audit::AuditRecord,
    identity::StoreKey,
    maybe_ready::StoreError,
    store::{
        Tombstone,
        node::Change,
        tombstone::{MAX_PER_USER, MAX_UNFOLDED},
    },
    time::Timestamp,
};

/// Revokes one session.
pub(super) struct Revoke {
    pub(super) tombstone: Tombstone,
    /// Written if the session has no tombstone.
    pub(super) audit: Option<AuditRecord>,
    /// The most tombstones of the user that cannot be folded.
    most: usize,
}

/// What a revocation found.
#[derive(Default)]
pub(super) struct Revoked {
    /// Whether the audit record was written.
    pub(super) is_first: bool,
    /// What other nodes apply.
    pub(super) change: Option<Change>,
    /// The user, if there are now more than 64 tombstones of sessions of the user that began here.
    pub(super) many_of: Option<StoreKey>,
}

impl Inner {
    /// Commits a revocation: on Postgres by one statement.
    pub(super) async fn commit_revocation(&self, revoke: &Revoke) -> Result<Revoked, StoreError> {
        if self.database.feed_order() == FeedOrder::Commits {
            return self.commit_and_publish(revoke).await;
        }
        let _publishing = self.publish().await;
        let revoked = revoke.run_alone(&self.database, self.clock.now()).await?;
        self.announce();
        Ok(revoked)
    }
}

impl Transaction for Revoke {
    type Answer = Revoked;

    async fn run(&self, tx: &mut Tx) -> Result<Revoked, Failure> {
        let feed = ChangeFeed::open(tx).await?;
        let revoked = self.write(tx).await?;
        if let Some(change) = revoked.change {
            feed.publish(tx, &[change]).await?;
        }
        Ok(revoked)
    }
}

impl Revoke {
    pub(super) const fn new(tombstone: Tombstone, audit: Option<AuditRecord>) -> Self {
        Self { tombstone, audit, most: MAX_UNFOLDED }
    }

    /// Writes a tombstone again that the database may have lost, where there may be those of `more`
    /// sessions of the user than it keeps otherwise. Returns whether it lacked it.
    pub(super) async fn write_again(
        tx: &mut Tx,
        tombstone: Tombstone,
        more: usize,
    ) -> Result<bool, Failure> {
        let revoke = Self { tombstone, audit: None, most: MAX_UNFOLDED + more };
        let sql = tombstone_statement(revoke.most);
        Ok(tx.first(sql, revoke.tombstone_args()).await?.is_some())
    }

    /// Revokes the session in a transaction that publishes the change.
    pub(super) async fn write(&self, tx: &mut Tx) -> Result<Revoked, Failure> {
        let Some(row) = tx.first(tombstone_statement(self.most), self.tombstone_args()).await?
        else {
            let row = tx.first(ENDED_UNTIL, Args::new().key(self.tombstone.session)).await?;
            return self.unwritten(row.as_ref());
        };
        let revoked = self.revoked(&row)?;
        if revoked.is_first {
            audit_log::write(tx, self.audit.as_slice()).await?;
        }
        Ok(revoked)
    }

    /// Revokes the session, writes the audit record and publishes the change, by one statement.
    async fn run_alone(&self, database: &Database, now: Timestamp) -> Result<Revoked, Failure> {
        let mut args = self.tombstone_args();
        let mut audited = String::new();
        if let Some(audit) = &self.audit {
            let values = numbered(args.len() + 1, audit_log::COLUMN_COUNT);
            args = audit_log::add_to(args, audit);
            audited = format!(
                ", audited AS (INSERT INTO tss_audit (at, {columns})
                    SELECT {values} FROM written WHERE times_ended = 1)",
                columns = audit_log::COLUMNS
            );
        }
        let values = numbered(args.len() + 1, change::COLUMN_COUNT - 1);
        let user = args.len() + change::COLUMN_COUNT;
        let args = change::add_to(args, self.change(), 1, now);
        let sql = format!(
            "WITH written AS ({written}){audited},
                published AS (INSERT INTO tss_changes ({columns}) SELECT {values}, COALESCE(user_key, ${user}) FROM written)
            SELECT user_key, is_begun, times_ended, others FROM written",
            written = tombstone_statement(self.most),
            columns = change::COLUMNS
        );
        let rows = database.fetch_written(sql, args).await?;
        if let Some(row) = rows.first() {
            return self.revoked(row);
        }
        let args = Args::new().key(self.tombstone.session);
        let rows = database.fetch_for(Purpose::Lifecycle, ENDED_UNTIL, args).await?;
        self.unwritten(rows.first())
    }

    fn tombstone_args(&self) -> Args {
        let Tombstone { session, user, until, .. } = self.tombstone;
        Args::new().key(session).time(until).maybe_key(user)
    }

    fn change(&self) -> Change {
        let Tombstone { session, user, until, .. } = self.tombstone;
        Change::Revoked { session, user, until }
    }

    /// Reads a row of [`tombstone_statement`].
    fn revoked(&self, row: &Row) -> Result<Revoked, Failure> {
        let (user, is_begun) = (row.maybe_key(0)?, row.int(1)? > 0);
        let is_many = is_begun && row.count(3)? >= MAX_PER_USER as u64;
        Ok(Revoked {
            is_first: self.audit.is_some() && row.int(2)? == 1,
            change: Some(Change::Revoked {
                session: self.tombstone.session,
                user,
                until: self.tombstone.until,
            }),
            many_of: user.filter(|_| is_many),
        })
    }

    /// Nothing was written: there is a tombstone that is kept as long, or the user has too many.
    fn unwritten(&self, row: Option<&Row>) -> Result<Revoked, Failure> {
        let ended_until = row.map_or(Ok(None), |row| row.maybe_time(0))?;
        if ended_until.is_some_and(|until| self.tombstone.until <= until) {
            return Ok(Revoked::default());
        }
        Err(StoreError::new("too many sessions of the user have ended").into())
    }
}

const ENDED_UNTIL: &str = "SELECT ended_until FROM tss_sessions WHERE key = $1";

/// Writes the tombstone of the session `$1` until `$2`, of the user `$3`. Returns no row if it was not
/// written, because there is one that is kept as long or the user has too many that cannot be folded.
///
/// It is kept at least until the end of the session's record: the token of an earlier system may be
/// valid until then.
fn tombstone_statement(most: usize) -> String {
    let others = |user: &str, is_begun: &str| {
        format!(
            "(SELECT COUNT(*) FROM tss_sessions AS other
                WHERE other.user_key = {user} AND other.is_begun = {is_begun}
                AND other.ended_until IS NOT NULL AND other.key <> $1)"
        )
    };
    let others_before = others(
        "COALESCE((SELECT user_key FROM tss_sessions WHERE key = $1), $3)",
        "COALESCE((SELECT is_begun FROM tss_sessions WHERE key = $1), 0)",
    );
    let others = others("tss_sessions.user_key", "tss_sessions.is_begun");
    format!(
        "INSERT INTO tss_sessions (key, ended_until, forget_at, user_key, times_ended)
        SELECT $1, $2, $2, $3, 1 WHERE {others_before} < {most}
        ON CONFLICT (key) DO UPDATE SET
            ended_until = CASE WHEN excluded.ended_until < tss_sessions.ends_at
                THEN tss_sessions.ends_at ELSE excluded.ended_until END,
            forget_at = CASE WHEN excluded.forget_at < tss_sessions.ends_at
                THEN tss_sessions.ends_at ELSE excluded.forget_at END,
            user_key = COALESCE(tss_sessions.user_key, excluded.user_key),
            times_ended = tss_sessions.times_ended + 1
        WHERE tss_sessions.ended_until IS NULL OR tss_sessions.ended_until < excluded.ended_until
        RETURNING user_key, is_begun, times_ended, {others} AS others"
    )
}
