//! Refresh tokens: each is consumed once.

use super::{
    Step,
    database::Tx,
    failure::Failure,
    sessions,
    value::{Args, Row},
};
use crate::store::{
    RefreshAsk, RefreshState, RefreshedSession, Rotated, Rotation, StoreError, Successors,
    TokenState,
};

/// What is known of a token and its session, in one row.
pub(super) const STATE: &str = "SELECT s.key, s.ended_until, s.last_seen, s.spared,
        (SELECT MAX(m.at) FROM tss_marks AS m WHERE m.scope IN ($3, $4, $5)),
        u.used_at, u.access, u.refresh, u.successor, n.token
    FROM (SELECT 1 AS one) AS one
    LEFT JOIN tss_sessions AS s ON s.key = $1
    LEFT JOIN tss_used_tokens AS u ON u.token = $2
    LEFT JOIN tss_used_tokens AS n ON n.token = u.successor";

pub(super) fn asked(ask: RefreshAsk) -> Args {
    let args = Args::new().key(ask.session).key(ask.token);
    args.key(ask.scopes.user).maybe_key(ask.scopes.account).key(ask.scopes.everything)
}

pub(super) fn state(row: Option<&Row>, ask: RefreshAsk) -> Result<RefreshState, Failure> {
    let row = row.ok_or_else(|| StoreError::new("the database answered nothing"))?;
    let is_known = row.maybe_key(0)?.is_some();
    let has_ended = row.maybe_time(1)?.is_some();
    let is_marked = match (row.maybe_time(4)?, row.maybe_time(3)?) {
        (Some(mark), Some(spared)) => ask.epoch <= mark && spared < mark,
        (Some(mark), None) => ask.epoch <= mark,
        (None, _) => false,
    };
    let session = if has_ended || is_marked {
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
            Some(Successors { access: row.text(6)?, refresh: row.text(7)?, token })
        }
        _ => None,
    };
    Ok(TokenState::Used { at, successor, had_successor: token.is_some() })
}

impl Step for Rotation {
    type Answer = Rotated;

    async fn run(&self, tx: &mut Tx) -> Result<Rotated, Failure> {
        let mut is_done = consume(tx, self).await?;
        if !is_done && let Some(record) = &self.adopt {
            sessions::adopt(tx, record).await?;
            is_done = consume(tx, &Self { adopt: None, ..self.clone() }).await?;
        }
        if !is_done {
            let row = tx.first(STATE, asked(self.ask)).await?;
            return Ok(Rotated::Refused(state(row.as_ref(), self.ask)?));
        }
        if self.is_activity {
            let sql = "UPDATE tss_sessions SET
                    last_seen = CASE WHEN last_seen < $2 THEN $2 ELSE last_seen END,
                    forget_at = CASE WHEN sid IS NULL THEN $2 + idle ELSE forget_at END
                WHERE key = $1 AND ended_until IS NULL";
            tx.execute(sql, Args::new().key(self.ask.session).time(self.now)).await?;
        }
        Ok(Rotated::Done)
    }
}

/// Whether the token was unused, and its session known and not revoked. Where a record is at hand,
/// a session known by its activity alone is yet to get it, and counts as unknown.
async fn consume(tx: &mut Tx, rotation: &Rotation) -> Result<bool, Failure> {
    let sql = "INSERT INTO tss_used_tokens
            (token, session, used_at, access, refresh, successor, until)
        SELECT $1, $2, $3, $4, $5, $6, $7 FROM tss_sessions AS s
        WHERE s.key = $2 AND s.ended_until IS NULL AND (s.sid IS NOT NULL OR $12 = 0)
            AND NOT EXISTS (SELECT 1 FROM tss_marks AS m WHERE m.scope IN ($8, $9, $10)
                AND m.at >= $11 AND m.at > s.spared)
        ON CONFLICT (token) DO NOTHING";
    let Rotation { ask, successors, .. } = rotation;
    let successors = successors.as_ref();
    let args = Args::new()
        .key(ask.token)
        .key(ask.session)
        .time(rotation.now)
        .maybe_text(successors.map(|it| it.access.as_str()))
        .maybe_text(successors.map(|it| it.refresh.as_str()))
        .maybe_key(successors.map(|it| it.token))
        .time(rotation.until)
        .key(ask.scopes.user)
        .maybe_key(ask.scopes.account)
        .key(ask.scopes.everything)
        .time(ask.epoch)
        .int(rotation.adopt.is_some().into());
    Ok(tx.execute(sql, args).await? > 0)
}
