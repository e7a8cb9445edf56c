//! Revocation of sessions, by tombstones: of several by one statement.

use super::{
    Transaction, audit_log, change,
    change_feed::ChangeFeed,
    database::{Database, Tx},
    failure::Failure,
    feed_order::FeedOrder,
    pools::Purpose,
    sessions::join_present,
    value::{Args, Row, placeholders},
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

/// The revocation of one session.
pub(super) struct Revoke {
    pub(super) tombstone: Tombstone,
    /// Written if the session has no tombstone.
    pub(super) audit: Option<AuditRecord>,
}

/// What a revocation found.
#[derive(Default)]
pub(super) struct Revoked {
    /// Whether the audit record was written.
    pub(super) is_first: bool,
    /// What other nodes apply; `None` if there was a tombstone that is kept as long.
    pub(super) change: Option<Change>,
    /// The user, if there are now more than 64 tombstones of sessions of the user that began here.
    pub(super) many_of: Option<StoreKey>,
}

/// Revokes sessions, none of them twice. Of a user of whom there are too many tombstones it fails, and revokes
/// the others.
pub(super) struct RevokeSeveral<'a> {
    revokes: &'a [Revoke],
    /// The most tombstones of a user that cannot be folded.
    most: usize,
}

/// What came of each.
pub(super) type AllRevoked = Vec<Result<Revoked, StoreError>>;

impl<'a> RevokeSeveral<'a> {
    pub(super) const fn new(revokes: &'a [Revoke]) -> Self {
        Self { revokes, most: MAX_UNFOLDED }
    }

    /// Of tombstones that the database may have lost: there may be those of `more` sessions of a user than it
    /// keeps otherwise.
    pub(super) const fn again(revokes: &'a [Revoke], more: usize) -> Self {
        Self { revokes, most: MAX_UNFOLDED + more }
    }

    /// Revokes the sessions in a transaction that publishes the changes.
    pub(super) async fn write(&self, tx: &mut Tx) -> Result<AllRevoked, Failure> {
        let Self { revokes, most } = *self;
        let args = padded(revokes).fold(Args::new(), add_tombstone);
        let values = placeholders(padded(revokes).count(), TOMBSTONE_COLUMN_COUNT);
        let sql = format!(
            "WITH v ({TOMBSTONE_COLUMNS}) AS (VALUES {values}) {}",
            tombstones_statement(most, tx.feed_order())
        );
        let written = tx.fetch(sql, args).await?;
        let mut found = self.found(&written)?;
        if let Some((sql, args)) = self.kept_tombstones(&found, tx.feed_order()) {
            self.add_kept(&mut found, &tx.fetch(sql, args).await?)?;
        }
        let is_first = |(revoke, found): (&Revoke, &Found)| match found {
            Found::Written(revoked) if revoked.is_first => revoke.audit.clone(),
            _ => None,
        };
        let audits: Vec<_> = revokes.iter().zip(&found).filter_map(is_first).collect();
        audit_log::write(tx, &audits).await?;
        Ok(answers(found))
    }

    /// Revokes the sessions, writes the audit records and publishes the changes, by one statement.
    pub(super) async fn run_alone(
        &self,
        database: &Database,
        now: Timestamp,
    ) -> Result<AllRevoked, Failure> {
        let Self { revokes, most } = *self;
        let add = |args, revoke: Option<&Revoke>| {
            let audit = revoke.and_then(|revoke| revoke.audit.as_ref());
            audit_log::add_maybe(add_tombstone(args, revoke), audit)
        };
        let args = padded(revokes).fold(Args::new(), add);
        let columns = TOMBSTONE_COLUMN_COUNT + audit_log::COLUMN_COUNT;
        let values = placeholders(padded(revokes).count(), columns);
        let recorded_at = args.len() + 1;
        let sql = format!(
            "WITH v ({TOMBSTONE_COLUMNS}, audited_at, {audit}) AS (VALUES {values}),
                written AS ({written}),
                audited AS (INSERT INTO tss_audit (at, {audit})
                    SELECT v.audited_at, {audit} FROM v JOIN written ON written.ended = v.ended_key
                    WHERE times_ended = 1 AND v.audited_at IS NOT NULL),
                published AS (INSERT INTO tss_changes ({columns})
                    SELECT {revoked} FROM v JOIN written ON written.ended = v.ended_key)
            SELECT ended, of_user, is_begun, times_ended, others FROM written",
            audit = audit_log::COLUMNS,
            written = tombstones_statement(most, database.feed_order()),
            columns = change::COLUMNS,
            revoked = change::revoked(
                &format!("${recorded_at}"),
                "v.ended_key",
                "v.until",
                "written.of_user"
            ),
        );
        let written = database.fetch_written(sql, args.time(now)).await?;
        let mut found = self.found(&written)?;
        if let Some((sql, args)) = self.kept_tombstones(&found, database.feed_order()) {
            let kept = database.fetch_for(Purpose::Lifecycle, sql, args).await?;
            self.add_kept(&mut found, &kept)?;
        }
        Ok(answers(found))
    }

    /// Reads the rows of [`tombstones_statement`].
    fn found(&self, written: &[Row]) -> Result<Vec<Found>, Failure> {
        let mut found: Vec<_> = self.revokes.iter().map(|_| Found::Nothing).collect();
        for row in written {
            let session = row.key(0)?;
            for (revoke, found) in self.revokes.iter().zip(&mut found) {
                if revoke.tombstone.session == session {
                    *found = Found::Written(revoke.revoked(row)?);
                }
            }
        }
        Ok(found)
    }

    /// The statement that reads the tombstones of sessions of which none was written.
    fn kept_tombstones(&self, found: &[Found], order: FeedOrder) -> Option<(String, Args)> {
        let unwritten = self.revokes.iter().zip(found);
        let unwritten = unwritten.filter(|(_, found)| matches!(found, Found::Nothing));
        ended_until(unwritten.map(|(revoke, _)| revoke.tombstone.session), order)
    }

    fn add_kept(&self, found: &mut [Found], kept: &[Row]) -> Result<(), Failure> {
        for row in kept {
            let (session, Some(until)) = (row.key(0)?, row.maybe_time(1)?) else { continue };
            for (Revoke { tombstone, .. }, found) in self.revokes.iter().zip(&mut *found) {
                if tombstone.session == session && tombstone.until <= until {
                    *found = Found::Kept;
                }
            }
        }
        Ok(())
    }
}

impl Transaction for RevokeSeveral<'_> {
    type Answer = AllRevoked;

    async fn run(&self, tx: &mut Tx) -> Result<AllRevoked, Failure> {
        let feed = ChangeFeed::open(tx).await?;
        let revoked = self.write(tx).await?;
        let changes: Vec<_> = revoked.iter().flatten().filter_map(|it| it.change).collect();
        feed.publish(tx, &changes).await?;
        Ok(revoked)
    }
}

impl Revoke {
    pub(super) const fn new(tombstone: Tombstone, audit: Option<AuditRecord>) -> Self {
        Self { tombstone, audit }
    }

    /// Reads a row of [`tombstones_statement`].
    fn revoked(&self, row: &Row) -> Result<Revoked, Failure> {
        let Tombstone { session, until, .. } = self.tombstone;
        let (user, is_begun) = (row.maybe_key(1)?, row.int(2)? > 0);
        let is_many = is_begun && row.count(4)? >= MAX_PER_USER as u64;
        Ok(Revoked {
            is_first: self.audit.is_some() && row.int(3)? == 1,
            change: Some(Change::Revoked { session, user, until }),
            many_of: user.filter(|_| is_many),
        })
    }
}

/// What a revocation found in the database.
enum Found {
    Written(Revoked),
    /// A tombstone that is kept as long.
    Kept,
    /// No tombstone, and too many of the user.
    Nothing,
}

fn answers(found: Vec<Found>) -> AllRevoked {
    let answer = |found| match found {
        Found::Written(revoked) => Ok(revoked),
        Found::Kept => Ok(Revoked::default()),
        Found::Nothing => Err(StoreError::new("too many sessions of the user have ended")),
    };
    found.into_iter().map(answer).collect()
}

/// The statement that reads each of `sessions`, and until when it has ended if it has; `None` for none.
pub(super) fn ended_until(
    sessions: impl Iterator<Item = StoreKey>,
    order: FeedOrder,
) -> Option<(String, Args)> {
    let args = sessions.fold(Args::new(), Args::key);
    let sql = format!(
        "WITH v (wanted) AS (VALUES {wanted}) SELECT v.wanted, present.ended_until FROM v {present}",
        wanted = placeholders(args.len(), 1),
        present = join_present(order, "v.wanted")
    );
    (args.len() > 0).then_some((sql, args))
}

const TOMBSTONE_COLUMNS: &str = "ended_key, until, of_user";
const TOMBSTONE_COLUMN_COUNT: usize = 3;

/// Revocations, and rows without one until their number is a power of two: so there are few texts of
/// statements, which the connections keep prepared.
fn padded(revokes: &[Revoke]) -> impl Iterator<Item = Option<&Revoke>> {
    let rows = revokes.iter().map(Some).chain(std::iter::repeat(None));
    rows.take(revokes.len().next_power_of_two())
}

/// Adds the values of [`TOMBSTONE_COLUMNS`].
fn add_tombstone(args: Args, revoke: Option<&Revoke>) -> Args {
    let tombstone = revoke.map(|revoke| revoke.tombstone);
    let args =
        args.maybe_key(tombstone.map(|it| it.session)).maybe_time(tombstone.map(|it| it.until));
    args.maybe_key(tombstone.and_then(|it| it.user))
}

/// Writes the tombstones of the sessions in `v`, in the order of every transaction that writes several. Returns
/// no row of one that was not written, because there is one that is kept as long or the user has too many that
/// cannot be folded.
///
/// It is kept at least until the end of the session's record: the token of an earlier system may be
/// valid until then.
fn tombstones_statement(most: usize, order: FeedOrder) -> String {
    let others = |user: &str, is_begun: &str, key: &str| {
        format!(
            "(SELECT COUNT(*) FROM tss_sessions AS other
                WHERE other.user_key = {user} AND other.is_begun = {is_begun}
                AND other.ended_until IS NOT NULL AND other.key <> {key})"
        )
    };
    let others_before = others(
        "COALESCE(present.user_key, v.of_user)",
        "COALESCE(present.is_begun, 0)",
        "v.ended_key",
    );
    let others = others("tss_sessions.user_key", "tss_sessions.is_begun", "tss_sessions.key");
    format!(
        "INSERT INTO tss_sessions (key, ended_until, forget_at, user_key, times_ended)
        SELECT v.ended_key, v.until, v.until, v.of_user, 1
        FROM v {present}
        WHERE v.ended_key IS NOT NULL AND {others_before} < {most}
        ORDER BY v.ended_key
        ON CONFLICT (key) DO UPDATE SET
            ended_until = CASE WHEN excluded.ended_until < tss_sessions.ends_at
                THEN tss_sessions.ends_at ELSE excluded.ended_until END,
            forget_at = CASE WHEN excluded.forget_at < tss_sessions.ends_at
                THEN tss_sessions.ends_at ELSE excluded.forget_at END,
            user_key = COALESCE(tss_sessions.user_key, excluded.user_key),
            times_ended = tss_sessions.times_ended + 1
        WHERE tss_sessions.ended_until IS NULL OR tss_sessions.ended_until < excluded.ended_until
        RETURNING key AS ended, user_key AS of_user, is_begun, times_ended, {others} AS others",
        present = join_present(order, "v.ended_key")
    )
}
