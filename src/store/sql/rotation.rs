//! Refresh rotation: `tss_used_tokens`; each refresh token is consumed once.

use super::{
    ATTEMPTS, Transaction,
    database::Tx,
    failure::Failure,
    sessions,
    value::{Args, Row},
};
use crate::{
    maybe_ready::StoreError,
    store::{
        RefreshQuery, RefreshState, RefreshedSession, Rotated, Rotation, SuccessorPayloads,
        TokenState,
    },
};

/// Selects the state of a token and of its session, in one row.
pub(super) const STATE: &str = "SELECT s.sid, s.ended_until, s.last_seen, s.exempt_until,
        (SELECT MAX(m.at) FROM tss_revocations AS m WHERE m.scope IN ($3, $4, $5, $6)),
        u.used_at, u.access, u.refresh, u.successor, n.token
    FROM (SELECT 1 AS one) AS one
    LEFT JOIN tss_sessions AS s ON s.key = $1
    LEFT JOIN tss_used_tokens AS u ON u.token = $2
    LEFT JOIN tss_used_tokens AS n ON n.token = u.successor";

pub(super) fn args(query: RefreshQuery) -> Args {
    let args = Args::new().key(query.session).key(query.token);
    let args = args.key(query.scopes.user).key(query.scopes.subject);
    args.maybe_key(query.scopes.account).key(query.scopes.everything)
}

pub(super) fn state(row: Option<&Row>, query: RefreshQuery) -> Result<RefreshState, Failure> {
    let row = row.ok_or_else(|| StoreError::new("the database returned no row"))?;
    // A session that is known by its activity alone has no record.
    let is_known = row.maybe_text(0)?.is_some();
    let has_ended = row.maybe_time(1)?.is_some();
    let is_cut_off = match (row.maybe_time(4)?, row.maybe_time(3)?) {
        (Some(cutoff), Some(exempt_until)) => query.epoch <= cutoff && exempt_until < cutoff,
        (Some(cutoff), None) => query.epoch <= cutoff,
        (None, _) => false,
    };
    let session = if has_ended || is_cut_off {
        RefreshedSession::Revoked
    } else if is_known {
        RefreshedSession::Known(row.time(2)?)
    } else {
        RefreshedSession::Unknown
    };
    Ok(RefreshState { session, token: token_state(row)? })
}

fn token_state(row: &Row) -> Result<TokenState, Failure> {
    let Some(at) = row.maybe_time(5)? else { return Ok(TokenState::Unused) };
    let token = row.maybe_key(8)?;
    let is_unused = row.maybe_key(9)?.is_none();
    let successor = match token {
        Some(token) if is_unused => {
            Some(SuccessorPayloads { access: row.text(6)?, refresh: row.text(7)?, token })
        }
        _ => None,
    };
    Ok(TokenState::Used { at, successor, had_successor: token.is_some() })
}

async fn read(tx: &mut Tx, query: RefreshQuery) -> Result<RefreshState, Failure> {
    state(tx.first(STATE, args(query)).await?.as_ref(), query)
}

impl Transaction for Rotation {
    type Answer = Rotated;

    async fn run(&self, tx: &mut Tx) -> Result<Rotated, Failure> {
        if let Some(state) = self.consume(tx).await? {
            return Ok(Rotated::Refused(state));
        }
        if self.is_activity {
            let sql = "UPDATE tss_sessions SET
                    last_seen = CASE WHEN last_seen < $2 THEN $2 ELSE last_seen END,
                    forget_at = CASE WHEN sid IS NULL THEN $2 + idle ELSE forget_at END
                WHERE key = $1 AND ended_until IS NULL";
            tx.execute(sql, Args::new().key(self.query.session).time(self.now)).await?;
        }
        Ok(Rotated::Done)
    }
}

impl Rotation {
    /// Consumes the token. Returns the state that prevents it, if one does.
    async fn consume(&self, tx: &mut Tx) -> Result<Option<RefreshState>, Failure> {
        for _ in 0..ATTEMPTS {
            if consume_unused(tx, self).await? {
                return Ok(None);
            }
            let state = read(tx, self.query).await?;
            match (state.session, &state.token, &self.adopt) {
                (RefreshedSession::Unknown, TokenState::Unused, Some(record)) => {
                    sessions::adopt(tx, record).await?;
                }
                // Another token of the session has adopted it since the attempt.
                (RefreshedSession::Known(_), TokenState::Unused, _) => {}
                _ => return Ok(Some(state)),
            }
        }
        Err(StoreError::new("a session changed too often while it was refreshed").into())
    }
}

/// Consumes the token if it is unused and its session is known and not revoked. Returns whether
/// it did.
async fn consume_unused(tx: &mut Tx, rotation: &Rotation) -> Result<bool, Failure> {
    let sql = "INSERT INTO tss_used_tokens
            (token, session, used_at, access, refresh, successor, until)
        SELECT $1, $2, $3, $4, $5, $6, $7 FROM tss_sessions AS s
        WHERE s.key = $2 AND s.ended_until IS NULL AND s.sid IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM tss_revocations AS m WHERE m.scope IN ($8, $9, $10, $11)
                AND m.at >= $12 AND m.at > s.exempt_until)
        ON CONFLICT (token) DO NOTHING";
    let Rotation { query, successors, .. } = rotation;
    let successors = successors.as_ref();
    let args = Args::new()
        .key(query.token)
        .key(query.session)
        .time(rotation.now)
        .maybe_text(successors.map(|it| it.access.as_str()))
        .maybe_text(successors.map(|it| it.refresh.as_str()))
        .maybe_key(successors.map(|it| it.token))
        .time(rotation.until)
        .key(query.scopes.user)
        .key(query.scopes.subject)
        .maybe_key(query.scopes.account)
        .key(query.scopes.everything)
        .time(query.epoch);
    Ok(tx.execute(sql, args).await? > 0)
}
