//! Refresh rotation: the columns of `tss_sessions` that tell which refresh token may be exchanged.

use std::sync::Arc;

use super::{
    ATTEMPTS, Inner,
    activity_limit::ActivityLimit,
    database::Tx,
    failure::Failure,
    pools::Purpose,
    sessions::{Adopt, RECORD, record},
    value::{Args, Row},
};
use crate::{
    maybe_ready::StoreError,
    store::{
        RefreshQuery, RefreshState, RefreshedSession, Rotated, Rotation, SuccessorIds,
        TokenExchange,
        node::{HeldExchange, SharedStore as _},
    },
    time::Timestamp,
};

/// Selects the state of a session in one row: its record, if it has one, then what is known of it beside.
fn state_statement() -> String {
    format!(
        "SELECT {RECORD}, s.ended_until, s.exempt_until,
            (SELECT MAX(m.at) FROM tss_revocations AS m WHERE m.scope IN ($2, $3, $4, $5)),
            s.generation, s.exchanged_at, s.access_jti, s.refresh_jti, s.presented,
            (SELECT COUNT(*) FROM tss_folded_tombstones AS f
                WHERE f.user_key = $2 AND $6 BETWEEN f.first_epoch AND f.last_epoch
                AND (s.exempt_until IS NULL OR s.exempt_until < f.at))
        FROM (SELECT 1 AS one) AS one
        LEFT JOIN tss_sessions AS s ON s.key = $1"
    )
}

/// The columns of a row of it that are read.
const SID: usize = 1;
const LAST_SEEN: usize = 13;
const BESIDE: usize = 16;

/// Exchanges the refresh token of a generation below `$2`, unless the session is revoked. One
/// statement: of concurrent exchanges one succeeds. After the deadline `$13` it does nothing: its caller has
/// given up, and would present a token that has been exchanged for longer than its grace.
fn exchange_statement(limit: ActivityLimit) -> String {
    let (last_seen, store_now) = (limit.apply("$6", "$12"), limit.store_now());
    format!(
        "UPDATE tss_sessions SET generation = $2, exchanged_at = $3,
            access_jti = $4, refresh_jti = $5,
            last_seen = CASE WHEN last_seen < {last_seen} THEN {last_seen} ELSE last_seen END
        WHERE key = $1 AND ended_until IS NULL AND sid IS NOT NULL AND generation < $2
            AND {store_now} <= $13
            AND NOT EXISTS (SELECT 1 FROM tss_revocations AS m WHERE m.scope IN ($7, $8, $9, $10)
                AND m.at >= $11 AND m.at > tss_sessions.exempt_until)"
    )
}

/// Whether a session has a tombstone, or a cutoff has revoked it.
pub(super) async fn is_revoked(tx: &mut Tx, query: RefreshQuery) -> Result<bool, Failure> {
    let args = scopes(Args::new().key(query.session), query).time(query.epoch);
    let row = tx.first(state_statement(), args).await?;
    row.map_or(Ok(false), |row| Ok(state(&row, query)? == RefreshState::Revoked))
}

fn scopes(args: Args, query: RefreshQuery) -> Args {
    let args = args.key(query.scopes.user).key(query.scopes.subject);
    args.maybe_key(query.scopes.account).key(query.scopes.everything)
}

fn state(row: &Row, query: RefreshQuery) -> Result<RefreshState, Failure> {
    // A session that is known by its activity alone has no record.
    let is_known = row.maybe_text(SID)?.is_some();
    let has_ended = row.maybe_time(BESIDE)?.is_some();
    let is_cut_off = match (row.maybe_time(BESIDE + 2)?, row.maybe_time(BESIDE + 1)?) {
        (Some(cutoff), Some(exempt_until)) => query.epoch <= cutoff && exempt_until < cutoff,
        (Some(cutoff), None) => query.epoch <= cutoff,
        (None, _) => false,
    };
    if has_ended || is_cut_off {
        return Ok(RefreshState::Revoked);
    }
    if !is_known && row.count(BESIDE + 8)? > 0 {
        return Ok(RefreshState::Revoked);
    }
    if !is_known {
        return Ok(RefreshState::Unknown(row.maybe_time(LAST_SEEN)?));
    }
    let successors = match (row.maybe_text(BESIDE + 5)?, row.maybe_text(BESIDE + 6)?) {
        (Some(access), Some(refresh)) => Some(SuccessorIds { access, refresh }),
        _ => None,
    };
    let exchange = row.maybe_time(BESIDE + 4)?.map(|at| TokenExchange { at, successors });
    Ok(RefreshState::Known(RefreshedSession {
        last_seen: row.time(LAST_SEEN)?,
        generation: row.generation(BESIDE + 3)?,
        exchange,
        presented: row.generation(BESIDE + 7)?,
    }))
}

impl Inner {
    pub(super) async fn refresh_state(
        self: &Arc<Self>,
        query: RefreshQuery,
    ) -> Result<RefreshState, StoreError> {
        let _in_flight = self.calls.acquire(query.scopes.user).await;
        self.sync_if_stale().await?;
        self.check_refresh()?;
        self.state_of(query).await
    }

    async fn state_of(&self, query: RefreshQuery) -> Result<RefreshState, StoreError> {
        let args = scopes(Args::new().key(query.session), query).time(query.epoch);
        let rows = self.database.fetch_for(Purpose::Lifecycle, state_statement(), args).await?;
        let row = rows.first().ok_or_else(|| StoreError::new("the database returned no row"))?;
        let state = state(row, query)?;
        if let RefreshState::Known(recorded) = &state
            && let Some(held) = HeldExchange::read(&record(row)?, recorded)
        {
            self.held_exchanges.hold(held);
        }
        Ok(self.node.refresh_state(&query, state))
    }

    pub(super) async fn rotate(
        self: &Arc<Self>,
        rotation: Rotation,
    ) -> Result<Rotated, StoreError> {
        let _in_flight = self.calls.acquire(rotation.query.scopes.user).await;
        self.sync_if_stale().await?;
        self.check_refresh()?;
        for _ in 0..ATTEMPTS {
            if self.is_known_as_used(&rotation) {
                return Ok(Rotated::Refused(self.state_of(rotation.query).await?));
            }
            if self.exchange(&rotation).await? {
                return Ok(self.rotated(&rotation));
            }
            match self.state_of(rotation.query).await? {
                RefreshState::Unknown(_) => self.commit(&Adopt(&rotation.record)).await?,
                // The record may be lost, while this node knows of an earlier exchange.
                RefreshState::Known(recorded) if rotation.may_follow(&recorded) => {
                    self.commit(&Adopt(&rotation.record)).await?;
                }
                // The connection failed after an earlier attempt had been committed.
                RefreshState::Known(recorded)
                    if recorded.generation == rotation.next_generation()
                        && recorded.exchange.as_ref() == Some(&rotation.exchange) =>
                {
                    return Ok(self.rotated(&rotation));
                }
                state => return Ok(Rotated::Refused(state)),
            }
        }
        Err(StoreError::new("a session changed too often while it was refreshed"))
    }

    fn rotated(&self, rotation: &Rotation) -> Rotated {
        self.held_exchanges.hold(HeldExchange::made(rotation));
        if rotation.is_activity {
            self.node_cache.record_written(&rotation.query.session, rotation.exchange.at);
        }
        Rotated::Done
    }

    async fn exchange(&self, rotation: &Rotation) -> Result<bool, StoreError> {
        let Rotation { query, exchange, is_activity, .. } = rotation;
        let successors = exchange.successors.as_ref();
        let activity = if *is_activity { exchange.at } else { Timestamp::EPOCH };
        let args = Args::new()
            .key(query.session)
            .int(rotation.next_generation().into())
            .time(exchange.at)
            .maybe_text(successors.map(|it| it.access.as_str()))
            .maybe_text(successors.map(|it| it.refresh.as_str()))
            .time(activity);
        let limit = self.activity_limit();
        let args = limit.add_to(scopes(args, *query).time(query.epoch)).time(self.deadline());
        let sql = exchange_statement(limit);
        Ok(self.database.execute_for(Purpose::Lifecycle, sql, args).await? > 0)
    }
}
