//! What a node writes back when the database has lost data: what it holds and the database lacks.

use super::{
    Inner, Transaction,
    change_feed::ChangeFeed,
    database::Tx,
    failure::Failure,
    pools::Purpose,
    revocation::{Revoke, RevokeSeveral, ended_until},
    value::{Args, Row},
};
use crate::{
    identity::StoreKey,
    maybe_ready::StoreError,
    store::{
        FoldedTombstones, RevocationCutoff, Tombstone,
        node::{Change, LossSign},
        tombstone::MAX_PER_USER,
    },
    time::Timestamp,
};

/// The most changes in one transaction.
const PIECE: usize = 200;

impl Inner {
    /// Writes back what this node holds if the database may have lost data, as of `at`. Returns whether a
    /// loss is to be announced; after that the caller [ends](crate::store::node::NodeState::end_loss) it.
    pub(super) async fn recover(&self, at: Timestamp) -> Result<bool, StoreError> {
        let Some(sign) = self.loss_sign() else { return Ok(false) };
        // It only errs late.
        self.lose_activity(at);
        if sign == LossSign::Certain {
            self.begin_loss(at);
        }
        self.wait_for_turn().await;
        let is_missing = self.write_changes_back(&self.held_changes(), at).await?;
        let is_found = sign == LossSign::Certain || sign == LossSign::Suspected && is_missing;
        if sign == LossSign::Suspected && !is_missing {
            // A sign-in may be lost alone, which no node holds.
            self.suspect_loss(at);
            self.commit_alone(&Suspect(at)).await?;
        }
        if is_found {
            if sign == LossSign::Suspected {
                self.begin_loss(at);
            }
            tracing::warn!(
                "the session store has lost data; this node has written back the endings, cutoffs and \
                 account policies that it knows"
            );
        }
        Ok(is_found)
    }

    /// Writes what the database lacks of `changes` and is needed at `now`, and publishes it. Returns
    /// whether it lacked any.
    pub(super) async fn write_changes_back(
        &self,
        changes: &[Change],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut is_missing = false;
        for piece in changes.chunks(PIECE) {
            let present = self.present_tombstones(piece).await?;
            let is_there = |change: &Change| {
                matches!(*change, Change::Revoked { session, until, .. }
                    if present.iter().any(|it| it.0 == session && until <= it.1))
            };
            let changes: Vec<_> = piece.iter().filter(|it| !is_there(it)).copied().collect();
            if !changes.is_empty() {
                let changes = &changes;
                is_missing |= self.commit_and_publish(&WriteBack { changes, now }).await? > 0;
            }
        }
        Ok(is_missing)
    }

    /// Returns the tombstones of a piece that the database has, and until when.
    async fn present_tombstones(
        &self,
        piece: &[Change],
    ) -> Result<Vec<(StoreKey, Timestamp)>, StoreError> {
        let sessions = piece.iter().filter_map(|change| match *change {
            Change::Revoked { session, .. } => Some(session),
            _ => None,
        });
        let order = self.database.feed_order();
        let Some((sql, args)) = ended_until(sessions, order) else { return Ok(Vec::new()) };
        let rows = self.database.fetch_for(Purpose::Lifecycle, sql, args).await?;
        let tombstone = |row: &Row| Ok(Some(row.key(0)?).zip(row.maybe_time(1)?));
        let tombstones: Result<_, Failure> =
            rows.iter().filter_map(|row| tombstone(row).transpose()).collect();
        Ok(tombstones?)
    }

    /// Notes in the database when it has lost data, for every node.
    pub(super) async fn note_loss_at(&self, at: Timestamp) -> Result<(), StoreError> {
        self.commit_and_publish(&Announce(at)).await
    }
}

/// Writes changes that the database may lack. Each only raises what it finds, so that any number of nodes
/// may do it.
struct WriteBack<'a> {
    changes: &'a [Change],
    now: Timestamp,
}

impl Transaction for WriteBack<'_> {
    /// How many the database lacked.
    type Answer = usize;

    async fn run(&self, tx: &mut Tx) -> Result<usize, Failure> {
        let feed = ChangeFeed::open(tx).await?;
        let mut written = Vec::new();
        for change in self.changes {
            if self.write(tx, *change).await? {
                written.push(*change);
            }
        }
        // As the last of all, as this node holds them.
        written.extend(self.write_tombstones(tx).await?);
        feed.publish(tx, &written).await?;
        Ok(written.len())
    }
}

impl WriteBack<'_> {
    /// Returns those that the database lacked.
    async fn write_tombstones(&self, tx: &mut Tx) -> Result<Vec<Change>, Failure> {
        let revoke = |change: &Change| match *change {
            Change::Revoked { session, user, until } if self.now < until => {
                let mut tombstone = Tombstone::new(session, self.now, until);
                tombstone.user = user;
                Some(Revoke::new(tombstone, None))
            }
            _ => None,
        };
        let tombstones: Vec<_> = self.changes.iter().filter_map(revoke).collect();
        if tombstones.is_empty() {
            return Ok(Vec::new());
        }
        // With those that could be folded before the records of their sessions were lost.
        let revoked = RevokeSeveral::again(&tombstones, MAX_PER_USER).write(tx).await?;
        Ok(revoked.into_iter().flatten().filter_map(|revoked| revoked.change).collect())
    }

    /// Writes a change that is no tombstone. Returns whether the database lacked it.
    async fn write(&self, tx: &mut Tx, change: Change) -> Result<bool, Failure> {
        let count = match change {
            Change::Exempt { session, at, until } if self.now < until => {
                let sql = "INSERT INTO tss_sessions (key, exempt_until, forget_at)
                    VALUES ($1, $2, $3)
                    ON CONFLICT (key) DO UPDATE SET exempt_until = excluded.exempt_until
                        WHERE tss_sessions.ended_until IS NULL
                        AND tss_sessions.exempt_until < excluded.exempt_until";
                tx.execute(sql, Args::new().key(session).time(at).time(until)).await?
            }
            Change::Cutoff { scope, cutoff: RevocationCutoff { at, until } }
                if self.now < until =>
            {
                let sql = "INSERT INTO tss_revocations (scope, at, until) VALUES ($1, $2, $3)
                    ON CONFLICT (scope) DO UPDATE SET
                        at = CASE WHEN tss_revocations.at < excluded.at
                            THEN excluded.at ELSE tss_revocations.at END,
                        until = CASE WHEN tss_revocations.until < excluded.until
                            THEN excluded.until ELSE tss_revocations.until END
                    WHERE tss_revocations.at < excluded.at OR tss_revocations.until < excluded.until";
                tx.execute(sql, Args::new().key(scope).time(at).time(until)).await?
            }
            Change::Folded { user, folded } if self.now < folded.until => {
                let FoldedTombstones { first, last, at, until } = folded;
                let args = Args::new().key(user).time(first).time(last).time(at).time(until);
                tx.execute(RAISE_FOLDED, args).await?
            }
            Change::Claims { scope, number, until } if self.now < until => {
                let sql = "UPDATE tss_claims_number SET number = $1 WHERE one = 1 AND number < $1";
                tx.execute(sql, Args::new().time(number)).await?;
                let sql =
                    "INSERT INTO tss_claims_changes (scope, number, until) VALUES ($1, $2, $3)
                    ON CONFLICT (scope) DO UPDATE SET
                        number = excluded.number,
                        until = CASE WHEN tss_claims_changes.until < excluded.until
                            THEN excluded.until ELSE tss_claims_changes.until END
                    WHERE tss_claims_changes.number < excluded.number";
                tx.execute(sql, Args::new().key(scope).time(number).time(until)).await?
            }
            Change::TimeoutOverrides { account, overrides, version } => {
                let sql = "INSERT INTO tss_account_policies (account, idle, absolute, version)
                    VALUES ($1, $2, $3, $4)
                    ON CONFLICT (account) DO UPDATE SET idle = excluded.idle,
                        absolute = excluded.absolute, version = excluded.version
                    WHERE tss_account_policies.version < excluded.version";
                let args = Args::new().key(account).maybe_span(overrides.idle);
                tx.execute(sql, args.maybe_span(overrides.absolute).count(version)).await?
            }
            _ => 0,
        };
        Ok(count > 0)
    }
}

const RAISE_FOLDED: &str =
    "INSERT INTO tss_folded_tombstones AS present (user_key, first_epoch, last_epoch, at, until)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (user_key) DO UPDATE SET
        first_epoch = CASE WHEN present.first_epoch < excluded.first_epoch
            THEN present.first_epoch ELSE excluded.first_epoch END,
        last_epoch = CASE WHEN present.last_epoch < excluded.last_epoch
            THEN excluded.last_epoch ELSE present.last_epoch END,
        at = CASE WHEN present.at < excluded.at THEN excluded.at ELSE present.at END,
        until = CASE WHEN present.until < excluded.until THEN excluded.until ELSE present.until END
    WHERE excluded.first_epoch < present.first_epoch OR present.last_epoch < excluded.last_epoch
        OR present.at < excluded.at OR present.until < excluded.until";

/// Notes when the database has lost data.
struct Announce(Timestamp);

impl Transaction for Announce {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        let sql = "UPDATE tss_change_seq SET lost_at = $1 WHERE one = 1 AND lost_at < $1";
        tx.execute(sql, Args::new().time(self.0)).await.map(drop)
    }
}

/// Notes when the database may have lost data that no node holds.
struct Suspect(Timestamp);

impl Transaction for Suspect {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        let sql = "UPDATE tss_change_seq SET suspected_at = $1 WHERE one = 1 AND suspected_at < $1";
        tx.execute(sql, Args::new().time(self.0)).await.map(drop)
    }
}
