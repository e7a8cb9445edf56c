//! Session records: `tss_sessions`.

use super::{
    Transaction,
    database::Tx,
    failure::Failure,
    feed_order::FeedOrder,
    locks::Lock,
    value::{Args, Row, malformed},
};
use crate::{
    identity::{Scope, Scopes, StoreKey},
    store::{SessionLabel, SessionRecord},
    time::Timestamp,
};

/// The columns of a record, of `tss_sessions AS s`.
pub(super) const RECORD: &str = "s.key, s.sid, s.sub, s.tenant, s.profile, s.user_key, \
    s.subject_key, s.account_key, s.everything_key, s.auth_time, s.epoch, s.idle, s.ends_at, s.last_seen, \
    s.adopted, s.label";

/// Returns the condition under which a session `s` is active at the argument `now`, such as `$2`.
pub(super) fn active(now: &str) -> String {
    format!("{} AND {now} < s.last_seen + s.idle", not_ended(now))
}

/// Returns the condition under which a session `s` is active but for its idle timeout.
pub(super) fn not_ended(now: &str) -> String {
    format!(
        "s.ended_until IS NULL AND s.sid IS NOT NULL
        AND {now} < s.ends_at
        AND NOT EXISTS (SELECT 1 FROM tss_revocations AS m
            WHERE m.scope IN (s.user_key, s.subject_key, s.account_key, s.everything_key)
            AND m.at >= s.epoch AND m.at > s.exempt_until)"
    )
}

/// Joins the session that has `key`, if there is one, as `present`. By the index: where the table was small
/// when Postgres planned the statement, a plain join would read all of it each time. A condition on `present`
/// in the `WHERE` of the statement would let SQLite do the same.
pub(super) fn join_present(order: FeedOrder, key: &str) -> String {
    match order {
        FeedOrder::Commits => format!("LEFT JOIN tss_sessions AS present ON present.key = {key}"),
        FeedOrder::Transactions => format!(
            "LEFT JOIN LATERAL (SELECT * FROM tss_sessions WHERE key = {key} LIMIT 1) AS present
                ON 1 = 1"
        ),
    }
}

/// Returns the column that has the key of a scope.
pub(super) const fn column(scope: Scope) -> &'static str {
    match scope {
        Scope::User(_) => "user_key",
        Scope::Subject(_) => "subject_key",
        Scope::Account(_) => "account_key",
        Scope::Everything(_) => "everything_key",
    }
}

pub(super) fn record(row: &Row) -> Result<SessionRecord, Failure> {
    Ok(SessionRecord {
        key: row.key(0)?,
        sid: row.text(1)?,
        sub: row.text(2)?,
        tenant: row.maybe_text(3)?,
        profile: row.maybe_text(4)?,
        scopes: Scopes {
            user: row.key(5)?,
            subject: row.key(6)?,
            account: row.maybe_key(7)?,
            everything: row.key(8)?,
        },
        auth_time: row.time(9)?,
        epoch: row.time(10)?,
        idle: row.span(11)?,
        ends_at: row.time(12)?,
        last_seen: row.time(13)?,
        is_adopted: row.int(14)? != 0,
        label: label(row, 15)?,
    })
}

fn label(row: &Row, at: usize) -> Result<Option<SessionLabel>, Failure> {
    let label = row.maybe_text(at)?.map(SessionLabel::from_json);
    label.transpose().map_err(|_| malformed())
}

/// Returns the label of a session.
pub(super) async fn read_label(
    tx: &mut Tx,
    session: StoreKey,
) -> Result<Option<SessionLabel>, Failure> {
    let sql = "SELECT label FROM tss_sessions WHERE key = $1";
    let row = tx.first(sql, Args::new().key(session)).await?;
    row.map_or(Ok(None), |row| label(&row, 0))
}

/// Inserts the record of a session that is unknown, or known by its activity alone, unless it has a
/// tombstone or a cutoff revokes it.
pub(super) struct Adopt<'a>(pub(super) &'a SessionRecord);

impl Transaction for Adopt<'_> {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        tx.lock(Lock::WithOthers).await?;
        let not_revoked = "(cutoff.at IS NULL OR cutoff.at < $10
            OR cutoff.at <= (SELECT exempt_until FROM tss_sessions WHERE key = $1))
            AND NOT EXISTS (SELECT 1 FROM tss_folded_tombstones AS f
                WHERE f.user_key = $6 AND $10 BETWEEN f.first_epoch AND f.last_epoch
                AND f.at > COALESCE((SELECT exempt_until FROM tss_sessions WHERE key = $1), 0))";
        insert(tx, self.0, None, "$10", not_revoked, "0").await.map(drop)
    }
}

/// Inserts a record. Returns the epoch that was written, or `None` if no row was.
pub(super) async fn insert(
    tx: &mut Tx,
    record: &SessionRecord,
    label: Option<&SessionLabel>,
    epoch: &str,
    condition: &str,
    is_begun: &str,
) -> Result<Option<Timestamp>, Failure> {
    let limit = tx.activity_limit;
    let last_seen = limit.apply("$13", "$17");
    let sql = format!(
        "INSERT INTO tss_sessions (key, sid, sub, tenant, profile, user_key, account_key,
            everything_key, auth_time, epoch, idle, ends_at, last_seen, forget_at, subject_key, adopted,
            is_begun, label)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, {epoch}, $11, $12, {last_seen}, $12, $14, $15, {is_begun}, $16
        FROM (SELECT MAX(c.at) AS at, MAX(c.latest) AS latest FROM
            (SELECT at, at AS latest FROM tss_revocations WHERE scope IN ($6, $7, $8, $14)
            UNION ALL SELECT NULL, last_epoch FROM tss_folded_tombstones WHERE user_key = $6)
            AS c) AS cutoff
        WHERE {condition}
        ON CONFLICT (key) DO UPDATE SET sid = excluded.sid, sub = excluded.sub,
            tenant = excluded.tenant, profile = excluded.profile, user_key = excluded.user_key,
            subject_key = excluded.subject_key, account_key = excluded.account_key, everything_key = excluded.everything_key,
            auth_time = excluded.auth_time, epoch = excluded.epoch, idle = excluded.idle,
            ends_at = excluded.ends_at, forget_at = excluded.forget_at, adopted = excluded.adopted,
            is_begun = excluded.is_begun, label = excluded.label,
            last_seen = CASE WHEN tss_sessions.last_seen < excluded.last_seen
                THEN excluded.last_seen ELSE tss_sessions.last_seen END
            WHERE tss_sessions.ended_until IS NULL AND tss_sessions.sid IS NULL
        RETURNING epoch"
    );
    let args = Args::new()
        .key(record.key)
        .text(&record.sid)
        .text(&record.sub)
        .maybe_text(record.tenant.as_deref())
        .maybe_text(record.profile.as_deref())
        .key(record.scopes.user)
        .maybe_key(record.scopes.account)
        .key(record.scopes.everything)
        .time(record.auth_time)
        .time(record.epoch)
        .span(record.idle)
        .time(record.ends_at)
        .time(record.last_seen)
        .key(record.scopes.subject)
        .int(record.is_adopted.into())
        .maybe_text(label.map(SessionLabel::as_json));
    tx.first(sql, limit.add_to(args)).await?.map(|row| row.time(0)).transpose()
}
