//! What a node writes back of the exchanges of refresh tokens when the database has lost data.

use super::{
    Inner, Transaction,
    database::Tx,
    failure::Failure,
    locks::Lock,
    sessions::join_present,
    value::{Args, placeholders},
};
use crate::{
    clock::Clock as _,
    maybe_ready::StoreError,
    store::{SessionLabel, node::HeldExchange},
};

/// The most exchanges in one statement.
const PIECE: usize = 100;

/// The columns that are written.
const COLUMNS: &str = "key, sid, sub, tenant, profile, user_key, subject_key, account_key, everything_key, \
    auth_time, epoch, idle, ends_at, forget_at, last_seen, adopted, label, generation, exchanged_at, \
    access_jti, refresh_jti, presented";
const COLUMN_COUNT: usize = 22;

/// The columns of a record that one that is lost gets back; one that is there keeps its own.
const OF_RECORD: [&str; 15] = [
    "sid",
    "sub",
    "tenant",
    "profile",
    "user_key",
    "subject_key",
    "account_key",
    "everything_key",
    "auth_time",
    "epoch",
    "idle",
    "ends_at",
    "forget_at",
    "adopted",
    "label",
];

/// The columns of an exchange.
const OF_EXCHANGE: [&str; 4] = ["generation", "exchanged_at", "access_jti", "refresh_jti"];

impl Inner {
    /// Writes a piece of the exchanges that are due, as the last of what this node holds. Returns whether
    /// there are more.
    pub(super) async fn write_exchanges_back(&self) -> Result<bool, StoreError> {
        let piece = self.held_exchanges.take_due(PIECE);
        let now = self.clock.now();
        let is_needed = |held: &&HeldExchange| {
            let record = &held.record;
            let revoked_by =
                self.revocations.revoked_by(record.key, record.epoch, || record.scopes);
            now < record.ends_at && revoked_by.is_none()
        };
        let exchanges: Vec<_> =
            piece.iter().filter(is_needed).map(|held| self.latest(held)).collect();
        if !exchanges.is_empty()
            && let Err(error) = self.commit(&WriteExchanges(&exchanges)).await
        {
            self.held_exchanges.put_back(piece.iter().map(|held| held.record.key));
            return Err(error);
        }
        Ok(self.held_exchanges.are_due())
    }

    /// An exchange with what else this node knows of the session.
    fn latest(&self, held: &HeldExchange) -> HeldExchange {
        let mut latest = held.clone();
        let session = held.record.key;
        latest.record.last_seen = self.node_cache.last_seen(&session, held.record.last_seen);
        latest.presented = self.node_cache.presented(&session).max(held.presented);
        latest
    }
}

/// Raises the generations of sessions, and gives those that have none their record back. It only raises
/// what it finds: no session that has ended, or that a cutoff has revoked, becomes active.
struct WriteExchanges<'a>(&'a [HeldExchange]);

impl Transaction for WriteExchanges<'_> {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        tx.lock(Lock::WithOthers).await?;
        let limit = tx.activity_limit;
        let count = self.0.len();
        let last_seen = limit.apply("v.last_seen", &format!("${}", count * COLUMN_COUNT + 1));
        let selected = COLUMNS.split(", ").map(|column| match column {
            "last_seen" => last_seen.clone(),
            column => format!("v.{column}"),
        });
        let selected = selected.collect::<Vec<_>>().join(", ");
        let of_record = OF_RECORD.map(|column| {
            format!(
                "{column} = CASE WHEN tss_sessions.sid IS NULL THEN excluded.{column} \
                ELSE tss_sessions.{column} END"
            )
        });
        let of_exchange = OF_EXCHANGE.map(|column| format!("{column} = excluded.{column}"));
        let later = ["last_seen", "presented"].map(|column| {
            format!(
                "{column} = CASE WHEN tss_sessions.{column} < excluded.{column} \
                THEN excluded.{column} ELSE tss_sessions.{column} END"
            )
        });
        let set = [&of_record[..], &of_exchange, &later].concat().join(", ");
        let sql = format!(
            "WITH v ({COLUMNS}) AS (VALUES {values})
            INSERT INTO tss_sessions ({COLUMNS}) SELECT {selected} FROM v
            {present}
            WHERE NOT EXISTS (SELECT 1 FROM tss_revocations AS m
                    WHERE m.scope IN (v.user_key, v.subject_key, v.account_key, v.everything_key)
                    AND m.at >= v.epoch AND m.at > COALESCE(present.exempt_until, 0))
                AND NOT EXISTS (SELECT 1 FROM tss_folded_tombstones AS f
                    WHERE f.user_key = v.user_key AND v.epoch BETWEEN f.first_epoch AND f.last_epoch
                    AND present.sid IS NULL AND f.at > COALESCE(present.exempt_until, 0))
            ORDER BY v.key
            ON CONFLICT (key) DO UPDATE SET {set}
                WHERE tss_sessions.ended_until IS NULL
                AND (tss_sessions.sid IS NULL OR tss_sessions.generation < excluded.generation)",
            present = join_present(tx.feed_order(), "v.key"),
            values = placeholders(count, COLUMN_COUNT)
        );
        let args = self.0.iter().fold(Args::new(), add_to);
        tx.execute(sql, limit.add_to(args)).await.map(drop)
    }
}

/// Adds the values of [`COLUMNS`].
fn add_to(args: Args, held: &HeldExchange) -> Args {
    let HeldExchange { record, generation, exchange, presented } = held;
    let successors = exchange.successors.as_ref();
    args.key(record.key)
        .text(&record.sid)
        .text(&record.sub)
        .maybe_text(record.tenant.as_deref())
        .maybe_text(record.profile.as_deref())
        .key(record.scopes.user)
        .key(record.scopes.subject)
        .maybe_key(record.scopes.account)
        .key(record.scopes.everything)
        .time(record.auth_time)
        .time(record.epoch)
        .span(record.idle)
        .time(record.ends_at)
        .time(record.ends_at)
        .time(record.last_seen)
        .int(record.is_adopted.into())
        .maybe_text(record.label.as_ref().map(SessionLabel::as_json))
        .int((*generation).into())
        .time(exchange.at)
        .maybe_text(successors.map(|it| it.access.as_str()))
        .maybe_text(successors.map(|it| it.refresh.as_str()))
        .int((*presented).into())
}
