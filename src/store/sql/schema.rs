//! The schema, and its migration.

use super::{
    Transaction,
    database::{Database, Tx},
    failure::Failure,
    locks::Lock,
    value::Args,
};
use crate::identity::StoreKey;

/// The versions of the schema: the statements that migrate to each from the one before. A released
/// version is never edited.
///
/// Keys are digests of 16 bytes; instants and durations are in milliseconds. A row of `tss_sessions`
/// without `sid` has only an activity or a tombstone. `is_begun` is 1 if the session began here.
pub(super) const VERSIONS: &[&[&str]] = &[&[
    "CREATE TABLE tss_sessions (
        key {BLOB} NOT NULL PRIMARY KEY,
        sid TEXT, sub TEXT, tenant TEXT, profile TEXT, label TEXT,
        user_key {BLOB}, subject_key {BLOB}, account_key {BLOB}, everything_key {BLOB},
        auth_time BIGINT NOT NULL DEFAULT 0,
        epoch BIGINT NOT NULL DEFAULT 0,
        idle BIGINT NOT NULL DEFAULT 0,
        ends_at BIGINT NOT NULL DEFAULT 0,
        last_seen BIGINT NOT NULL DEFAULT 0,
        exempt_until BIGINT NOT NULL DEFAULT 0,
        generation BIGINT NOT NULL DEFAULT 0,
        exchanged_at BIGINT, access_jti TEXT, refresh_jti TEXT,
        presented BIGINT NOT NULL DEFAULT 0,
        is_begun BIGINT NOT NULL DEFAULT 0,
        ended_until BIGINT,
        times_ended BIGINT NOT NULL DEFAULT 0,
        adopted BIGINT NOT NULL DEFAULT 0,
        forget_at BIGINT NOT NULL)",
    "CREATE INDEX tss_sessions_user ON tss_sessions (user_key, auth_time, key)
        WHERE ended_until IS NULL",
    "CREATE INDEX tss_sessions_subject ON tss_sessions (subject_key, auth_time, key)
        WHERE ended_until IS NULL",
    "CREATE INDEX tss_sessions_account ON tss_sessions (account_key, auth_time, key)
        WHERE ended_until IS NULL",
    "CREATE INDEX tss_sessions_everything ON tss_sessions (everything_key, auth_time, key)
        WHERE ended_until IS NULL",
    "CREATE INDEX tss_sessions_ended ON tss_sessions (user_key, is_begun)
        WHERE ended_until IS NOT NULL",
    "CREATE INDEX tss_sessions_exempt ON tss_sessions (exempt_until) WHERE exempt_until > 0",
    "CREATE INDEX tss_sessions_forget ON tss_sessions (forget_at)",
    "CREATE TABLE tss_revocations (
        scope {BLOB} NOT NULL PRIMARY KEY,
        at BIGINT NOT NULL,
        until BIGINT NOT NULL)",
    "CREATE INDEX tss_revocations_until ON tss_revocations (until)",
    "CREATE TABLE tss_folded_tombstones (
        user_key {BLOB} NOT NULL PRIMARY KEY,
        first_epoch BIGINT NOT NULL,
        last_epoch BIGINT NOT NULL,
        at BIGINT NOT NULL,
        until BIGINT NOT NULL)",
    "CREATE INDEX tss_folded_until ON tss_folded_tombstones (until)",
    "CREATE TABLE tss_claims_changes (
        scope {BLOB} NOT NULL PRIMARY KEY,
        number BIGINT NOT NULL,
        until BIGINT NOT NULL)",
    "CREATE INDEX tss_claims_until ON tss_claims_changes (until)",
    "CREATE TABLE tss_tickets (
        id {SERIAL},
        ticket {BLOB} NOT NULL UNIQUE,
        session {BLOB} NOT NULL,
        until BIGINT NOT NULL)",
    "CREATE INDEX tss_tickets_session ON tss_tickets (session, id)",
    "CREATE INDEX tss_tickets_until ON tss_tickets (until)",
    "CREATE TABLE tss_account_policies (
        account {BLOB} NOT NULL PRIMARY KEY,
        idle BIGINT, absolute BIGINT,
        version BIGINT NOT NULL)",
    "CREATE TABLE tss_audit (
        id {SERIAL},
        at BIGINT NOT NULL,
        session {BLOB}, user_key {BLOB}, subject_key {BLOB}, account_key {BLOB}, sub TEXT,
        actor_key {BLOB}, actor_sub TEXT,
        event TEXT NOT NULL,
        detail TEXT NOT NULL,
        is_repeatable BIGINT NOT NULL)",
    "CREATE INDEX tss_audit_all ON tss_audit (at, id)",
    "CREATE INDEX tss_audit_user ON tss_audit (user_key, at, id)",
    "CREATE INDEX tss_audit_subject ON tss_audit (subject_key, at, id)",
    "CREATE INDEX tss_audit_account ON tss_audit (account_key, at, id)",
    "CREATE TABLE tss_activity (
        id {SERIAL},
        at BIGINT NOT NULL,
        session {BLOB} NOT NULL, user_key {BLOB} NOT NULL, subject_key {BLOB}, account_key {BLOB},
        class TEXT NOT NULL,
        method TEXT NOT NULL,
        route TEXT,
        status BIGINT NOT NULL,
        code TEXT)",
    "CREATE INDEX tss_activity_all ON tss_activity (at, id)",
    "CREATE INDEX tss_activity_user ON tss_activity (user_key, at, id)",
    "CREATE INDEX tss_activity_subject ON tss_activity (subject_key, at, id)",
    "CREATE INDEX tss_activity_account ON tss_activity (account_key, at, id)",
    // The latest number of a change of claims: such changes wait for each other.
    "CREATE TABLE tss_claims_number (one BIGINT NOT NULL PRIMARY KEY, number BIGINT NOT NULL)",
    "INSERT INTO tss_claims_number (one, number) VALUES (1, 0)",
    // A SQLite file: every transaction that publishes changes raises seq. Postgres: only cleanup writes
    // to it, and the id of a transaction is the seq of its changes. `lost_at` is when a node has found that
    // data was lost, `suspected_at` when the server was another one and nothing was missing.
    "CREATE TABLE tss_change_seq (
        one BIGINT NOT NULL PRIMARY KEY,
        seq BIGINT NOT NULL,
        trimmed_to BIGINT NOT NULL,
        store_id {BLOB},
        lost_at BIGINT NOT NULL DEFAULT 0,
        suspected_at BIGINT NOT NULL DEFAULT 0)",
    "INSERT INTO tss_change_seq (one, seq, trimmed_to) VALUES (1, 0, 0)",
    "CREATE TABLE tss_changes (
        seq BIGINT NOT NULL {TRANSACTION},
        item BIGINT NOT NULL,
        recorded_at BIGINT NOT NULL,
        kind BIGINT NOT NULL,
        key {BLOB} NOT NULL,
        at BIGINT, until BIGINT, idle BIGINT, absolute BIGINT, user_key {BLOB},
        PRIMARY KEY (seq, item))",
    "CREATE INDEX tss_changes_recorded_at ON tss_changes (recorded_at)",
]];

const VERSION: &str = "SELECT MAX(version) FROM tss_schema";

/// Whether the schema has the version of this crate, or a later one, which another node has
/// migrated to. Reads only: the role of the store may not be allowed to create tables.
///
/// `false` if the version cannot be read: then [`Migrate`] finds out why.
pub(super) async fn is_current(database: &Database) -> bool {
    let rows = database.fetch(VERSION, Args::new()).await.unwrap_or_default();
    let version = rows.first().and_then(|row| row.maybe_int(0).ok().flatten());
    version.is_some_and(|it| usize::try_from(it).is_ok_and(|it| it >= VERSIONS.len()))
}

/// Migrates a database to the latest version.
pub(super) struct Migrate<'a>(pub(super) &'a Database);

impl Transaction for Migrate<'_> {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        tx.lock(Lock::Alone).await?;
        tx.execute(
            "CREATE TABLE IF NOT EXISTS tss_schema (version BIGINT NOT NULL PRIMARY KEY)",
            Args::new(),
        )
        .await?;
        let row = tx.first(VERSION, Args::new()).await?;
        let present = row.map(|row| row.maybe_int(0)).transpose()?.flatten().unwrap_or(0);
        for (version, statements) in (1_i64..).zip(VERSIONS) {
            if version <= present {
                continue;
            }
            for statement in *statements {
                tx.execute(self.0.definition(statement), Args::new()).await?;
            }
            // Tables that were made anew are another store.
            let sql = "UPDATE tss_change_seq SET store_id = $1 WHERE store_id IS NULL";
            let id = StoreKey::from_bytes(*uuid::Uuid::new_v4().as_bytes());
            tx.execute(sql, Args::new().key(id)).await?;
            let insert = "INSERT INTO tss_schema (version) VALUES ($1)";
            tx.execute(insert, Args::new().int(version)).await?;
        }
        Ok(())
    }
}
