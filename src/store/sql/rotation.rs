//! Refresh rotation: the columns of `tss_sessions` that tell which refresh token may be exchanged.

use std::sync::Arc;

use super::{
    ATTEMPTS, Inner,
    activity_limit::ActivityLimit,
    database::Tx,
    failure::Failure,
    pools::Purpose,
    sessions::Adopt,
    value::{Args, Row},
};
use crate::{
    maybe_ready::StoreError,
    store::{
        RefreshQuery, RefreshState, RefreshedSession, Rotated, Rotation, SuccessorIds,
        TokenExchange, node::SharedStore as _,
    },
    time::Timestamp,
};

/// Selects the state of a session in one row.
const STATE: &str = "SELECT s.sid, s.ended_until, s.last_seen, s.exempt_until,
        (SELECT MAX(m.at) FROM tss_revocations AS m WHERE m.scope IN ($2, $3, $4, $5)),
        s.generation, s.exchanged_at, s.access_jti, s.refresh_jti, s.presented,
        (SELECT COUNT(*) FROM tss_folded_tombstones AS f
            WHERE f.user_key = $2 AND $6 BETWEEN f.first_epoch AND f.last_epoch
            AND (s.exempt_until IS NULL OR s.exempt_until < f.at))
    FROM (SELECT 1 AS one) AS one
    LEFT JOIN tss_sessions AS s ON s.key = $1";

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
    let row = tx.first(STATE, args).await?;
    row.map_or(Ok(false), |row| Ok(state(&row, query)? == RefreshState::Revoked))
}

fn scopes(args: Args, query: RefreshQuery) -> Args {
    let args = args.key(query.scopes.user).key(query.scopes.subject);
    args.maybe_key(query.scopes.account).key(query.scopes.everything)
}

fn state(row: &Row, query: RefreshQuery) -> Result<RefreshState, Failure> {
    // A session that is known by its activity alone has no record.
    let is_known = row.maybe_text(0)?.is_some();
    let has_ended = row.maybe_time(1)?.is_some();
    let is_cut_off = match (row.maybe_time(4)?, row.maybe_time(3)?) {
        (Some(cutoff), Some(exempt_until)) => query.epoch <= cutoff && exempt_until < cutoff,
        (Some(cutoff), None) => query.epoch <= cutoff,
        (None, _) => false,
    };
    if has_ended || is_cut_off {
        return Ok(RefreshState::Revoked);
    }
    if !is_known && row.count(10)? > 0 {
        return Ok(RefreshState::Revoked);
    }
    if !is_known {
        return Ok(RefreshState::Unknown(row.maybe_time(2)?));
    }
    let successors = match (row.maybe_text(7)?, row.maybe_text(8)?) {
        (Some(access), Some(refresh)) => Some(SuccessorIds { access, refresh }),
        _ => None,
    };
    let exchange = row.maybe_time(6)?.map(|at| TokenExchange { at, successors });
    Ok(RefreshState::Known(RefreshedSession {
        last_seen: row.time(2)?,
        generation: row.generation(5)?,
        exchange,
        presented: row.generation(9)?,
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
        let rows = self.database.fetch_for(Purpose::Lifecycle, STATE, args).await?;
        let row = rows.first().ok_or_else(|| StoreError::new("the database returned no row"))?;
        Ok(match state(row, query)? {
            // This node may know of an activity that it has not written yet.
            RefreshState::Known(recorded) => RefreshState::Known(RefreshedSession {
                last_seen: self.node_cache.last_seen(&query.session, recorded.last_seen),
                presented: self.node_cache.presented(&query.session).max(recorded.presented),
                ..recorded
            }),
            state => state,
        })
    }

    pub(super) async fn rotate(
        self: &Arc<Self>,
        rotation: Rotation,
    ) -> Result<Rotated, StoreError> {
        let _in_flight = self.calls.acquire(rotation.query.scopes.user).await;
        self.sync_if_stale().await?;
        self.check_refresh()?;
        for _ in 0..ATTEMPTS {
            if self.exchange(&rotation).await? {
                return Ok(self.rotated(&rotation));
            }
            match self.state_of(rotation.query).await? {
                RefreshState::Unknown(_) => self.commit(&Adopt(&rotation.record)).await?,
                RefreshState::Known(recorded) if rotation.may_follow(&recorded) => {}
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
