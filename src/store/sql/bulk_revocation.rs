//! Revocation of all sessions of a scope, by a cutoff.

use super::{
    Transaction, audit_log,
    change_feed::ChangeFeed,
    database::Tx,
    failure::Failure,
    locks::Lock,
    sessions::{active, column},
    value::{Args, numbered},
};
use crate::{
    identity::StoreKey,
    maybe_ready::StoreError,
    store::{
        BulkRevocation, CallerSession, Exempt, RevocationCutoff,
        bulk_revocation::UNRECORDED_SESSION, node::Change,
    },
    time::Timestamp,
};

/// The most exempt sessions that one statement names.
const PIECE: usize = 500;

/// What a bulk revocation changed.
pub(super) struct BulkRevoked {
    pub(super) count: u64,
    pub(super) changes: Vec<Change>,
}

impl Transaction for BulkRevocation {
    type Answer = BulkRevoked;

    async fn run(&self, tx: &mut Tx) -> Result<BulkRevoked, Failure> {
        tx.lock(Lock::Alone).await?;
        let feed = ChangeFeed::open(tx).await?;
        let (active, latest) = self.count(tx).await?;
        // A session that began after an earlier cutoff, or was exempt from it, may be later than
        // this cutoff.
        let RevocationCutoff { at, until } = self.cutoff;
        let at = latest.map_or(at, |latest| at.max(latest));
        let (exempt, mut changes) = self.exempt_sessions(tx, at).await?;
        let sql = "INSERT INTO tss_revocations (scope, at, until) VALUES ($1, $2, $3)
            ON CONFLICT (scope) DO UPDATE SET
                at = CASE WHEN tss_revocations.at < excluded.at
                    THEN excluded.at ELSE tss_revocations.at END,
                until = CASE WHEN tss_revocations.until < excluded.until
                    THEN excluded.until ELSE tss_revocations.until END";
        let scope = self.scope.key();
        tx.execute(sql, Args::new().key(scope).time(at).time(until)).await?;
        changes.push(Change::Cutoff { scope, cutoff: RevocationCutoff { at, until } });
        feed.publish(tx, &changes).await?;
        let count = active.saturating_sub(exempt);
        let audit = self.audit.clone().with_revoked_count(count);
        audit_log::write(tx, &[audit]).await?;
        Ok(BulkRevoked { count, changes })
    }
}

impl BulkRevocation {
    /// Returns how many sessions of the scope are active, and the earliest cutoff that revokes all
    /// of them, and those without a record.
    async fn count(&self, tx: &mut Tx) -> Result<(u64, Option<Timestamp>), Failure> {
        let (column, active) = (column(self.scope), active("$2"));
        let sql = format!(
            "SELECT COUNT(*), MAX(s.epoch),
                (SELECT MAX(exempt_until) + 1 FROM tss_sessions WHERE exempt_until > 0)
            FROM tss_sessions AS s
            WHERE s.{column} = $1 AND {active}"
        );
        let row = tx.first(sql, Args::new().key(self.scope.key()).time(self.now)).await?;
        let row = row.ok_or_else(|| StoreError::new("the database returned no count"))?;
        Ok((row.count(0)?, row.maybe_time(1)?.max(row.maybe_time(2)?)))
    }

    /// Exempts the active ones of the exempt sessions from cutoffs at or before `at`. Returns how
    /// many of them [`count`](Self::count) has counted.
    async fn exempt_sessions(
        &self,
        tx: &mut Tx,
        at: Timestamp,
    ) -> Result<(u64, Vec<Change>), Failure> {
        let mut exempted = Exempted { count: 0, changes: Vec::new() };
        match &self.exempt {
            Exempt::None => {}
            Exempt::User(user) => exempted.add(tx, self, at, "s.user_key", &[*user]).await?,
            Exempt::Sessions(keys) => {
                let mut keys = keys.clone();
                keys.sort_unstable_by_key(|key| *key.as_bytes());
                keys.dedup();
                for piece in keys.chunks(PIECE) {
                    Exempted::check_named(tx, self, piece).await?;
                    exempted.add(tx, self, at, "s.key", piece).await?;
                }
            }
            Exempt::Caller(caller) => exempted.add_caller(tx, self, at, caller).await?,
            Exempt::UserOfCaller(caller) => {
                // Before the others: it is one of them then, and counted once.
                let user = caller.scopes.user;
                exempted.add_caller(tx, self, at, caller).await?;
                exempted.count = 0;
                exempted.add(tx, self, at, "s.user_key", &[user]).await?;
            }
        }
        Ok((exempted.count, exempted.changes))
    }
}

/// Returns the condition under which a cutoff has revoked a session `s` that is known by its activity
/// alone: it was not active after the cutoff.
fn revoked_before(scope: &str, now: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM tss_revocations AS m WHERE {scope} AND m.at >= s.last_seen
            AND m.at > s.exempt_until AND {now} < m.until)"
    )
}

struct Exempted {
    count: u64,
    changes: Vec<Change>,
}

impl Exempted {
    /// Exempts sessions that have one of `keys` in `column`.
    ///
    /// A session that is named by its key and has no record is exempt too, unless an earlier cutoff of the
    /// scope has revoked it: the store cannot tell whether it is in the scope, but its token can.
    async fn add(
        &mut self,
        tx: &mut Tx,
        revocation: &BulkRevocation,
        at: Timestamp,
        column: &str,
        keys: &[StoreKey],
    ) -> Result<(), Failure> {
        let (scope_column, active) = (self::column(revocation.scope), active("$3"));
        let keys_at = numbered(4, keys.len());
        let sql = format!(
            "UPDATE tss_sessions AS s
            SET exempt_until = CASE WHEN s.exempt_until < $2 THEN $2 ELSE s.exempt_until END
            WHERE {column} IN ({keys_at}) AND s.ended_until IS NULL AND $3 < s.last_seen + s.idle
                AND (s.sid IS NULL AND NOT ({revoked}) OR (s.{scope_column} = $1 AND {active}))
            RETURNING key, sid",
            revoked = revoked_before("m.scope = $1", "$3")
        );
        let args = Args::new().key(revocation.scope.key()).time(at).time(revocation.now);
        let args = keys.iter().fold(args, |args, key| args.key(*key));
        for row in tx.fetch(sql, args).await? {
            self.count += u64::from(row.maybe_text(1)?.is_some());
            let (session, until) = (row.key(0)?, revocation.cutoff.until);
            self.changes.push(Change::Exempt { session, at, until });
        }
        Ok(())
    }

    /// Fails if an earlier cutoff may have revoked a session that is named and has no record: of a scope
    /// that may be its own.
    async fn check_named(
        tx: &mut Tx,
        revocation: &BulkRevocation,
        keys: &[StoreKey],
    ) -> Result<(), Failure> {
        let sql = format!(
            "SELECT s.key FROM tss_sessions AS s
            WHERE s.key IN ({keys}) AND s.sid IS NULL AND s.ended_until IS NULL
                AND $2 < s.last_seen + s.idle AND NOT ({revoked}) AND {may_be_revoked} LIMIT 1",
            keys = numbered(3, keys.len()),
            revoked = revoked_before("m.scope = $1", "$2"),
            may_be_revoked = revoked_before("m.scope <> $1", "$2"),
        );
        let args = Args::new().key(revocation.scope.key()).time(revocation.now);
        let args = keys.iter().fold(args, |args, key| args.key(*key));
        match tx.first(sql, args).await? {
            Some(_) => Err(StoreError::new(UNRECORDED_SESSION).into()),
            None => Ok(()),
        }
    }

    /// Exempts the session of the caller, which may have no row: its activity may not be written yet.
    async fn add_caller(
        &mut self,
        tx: &mut Tx,
        revocation: &BulkRevocation,
        at: Timestamp,
        caller: &CallerSession,
    ) -> Result<(), Failure> {
        if !revocation.scope.contains(&caller.scopes) {
            return Ok(());
        }
        let limit = tx.activity_limit;
        let last_seen = limit.apply("$2", "$10");
        let sql = format!(
            "INSERT INTO tss_sessions (key, last_seen, idle, exempt_until, forget_at)
            SELECT $1, {last_seen}, $3, $4, {last_seen} + $3
            WHERE NOT EXISTS (SELECT 1 FROM tss_revocations AS m
                LEFT JOIN tss_sessions AS s ON s.key = $1
                WHERE m.scope IN ($5, $6, $7, $8) AND m.at >= $9
                AND (s.key IS NULL OR m.at > s.exempt_until))
            AND NOT EXISTS (SELECT 1 FROM tss_folded_tombstones AS f
                LEFT JOIN tss_sessions AS s ON s.key = $1
                WHERE f.user_key = $5 AND $9 BETWEEN f.first_epoch AND f.last_epoch
                AND (s.key IS NULL OR f.at > s.exempt_until))
            ON CONFLICT (key) DO UPDATE SET exempt_until = excluded.exempt_until
                WHERE tss_sessions.ended_until IS NULL
                AND tss_sessions.exempt_until < excluded.exempt_until
            RETURNING sid"
        );
        let scopes = &caller.scopes;
        let args = Args::new()
            .key(caller.key)
            .time(revocation.now)
            .span(caller.idle)
            .time(at)
            .key(scopes.user)
            .key(scopes.subject)
            .maybe_key(scopes.account)
            .key(scopes.everything)
            .time(caller.epoch);
        if let Some(row) = tx.first(sql, limit.add_to(args)).await? {
            self.count += u64::from(row.maybe_text(0)?.is_some());
            let (session, until) = (caller.key, revocation.cutoff.until);
            self.changes.push(Change::Exempt { session, at, until });
        }
        Ok(())
    }
}
