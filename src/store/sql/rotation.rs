//! Refresh tokens: each is consumed once.

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
        RefreshAsk, RefreshState, RefreshedSession, Rotated, Rotation, SuccessorPayloads,
        TokenState,
    },
};

/// What is known of a token and its session, in one row.
pub(super) const STATE: &str = "SELECT s.sid, s.ended_until, s.last_seen, s.exempt_until,
        (SELECT MAX(m.at) FROM tss_revocations AS m WHERE m.scope IN ($3, $4, $5)),
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
    // One that is known by its activity alone has no record.
    let is_known = row.maybe_text(0)?.is_some();
    let has_ended = row.maybe_time(1)?.is_some();
    let is_marked = match (row.maybe_time(4)?, row.maybe_time(3)?) {
        (Some(mark), Some(exempt_until)) => ask.epoch <= mark && exempt_until < mark,
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
            Some(SuccessorPayloads { access: row.text(6)?, refresh: row.text(7)?, token })
        }
        _ => None,
    };
    Ok(TokenState::Used { at, successor, had_successor: token.is_some() })
}

async fn read(tx: &mut Tx, ask: RefreshAsk) -> Result<RefreshState, Failure> {
    state(tx.first(STATE, asked(ask)).await?.as_ref(), ask)
}

impl Transaction for Rotation {
    type Answer = Rotated;

    async fn run(&self, tx: &mut Tx) -> Result<Rotated, Failure> {
        if let Some(state) = self.refusal(tx).await? {
            return Ok(Rotated::Refused(state));
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

impl Rotation {
    /// Why the token is not consumed; `None` if it is.
    async fn refusal(&self, tx: &mut Tx) -> Result<Option<RefreshState>, Failure> {
        for _ in 0..ATTEMPTS {
            if consume(tx, self).await? {
                return Ok(None);
            }
            let state = read(tx, self.ask).await?;
            match (state.session, &state.token, &self.adopt) {
                (RefreshedSession::Unknown, TokenState::Unused, Some(record)) => {
                    sessions::adopt(tx, record).await?;
                }
                // It became known after it was not: another token of its was faster to adopt it.
                (RefreshedSession::Known(_), TokenState::Unused, _) => {}
                _ => return Ok(Some(state)),
            }
        }
        Err(StoreError::new("a session changes while it is refreshed").into())
    }
}

/// Whether the token was unused, and its session known and not revoked.
async fn consume(tx: &mut Tx, rotation: &Rotation) -> Result<bool, Failure> {
    let sql = "INSERT INTO tss_used_tokens
            (token, session, used_at, access, refresh, successor, until)
        SELECT $1, $2, $3, $4, $5, $6, $7 FROM tss_sessions AS s
        WHERE s.key = $2 AND s.ended_until IS NULL AND s.sid IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM tss_revocations AS m WHERE m.scope IN ($8, $9, $10)
                AND m.at >= $11 AND m.at > s.exempt_until)
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
        .time(ask.epoch);
    Ok(tx.execute(sql, args).await? > 0)
}
