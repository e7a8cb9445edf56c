//! Changes of claims: `tss_claims_changes`.

use std::sync::Arc;

use super::{
    Inner, Transaction, audit_log,
    change_feed::ChangeFeed,
    database::Tx,
    failure::Failure,
    value::{Args, malformed},
};
use crate::{
    maybe_ready::StoreError,
    store::{
        ClaimsChange,
        node::{Change, STALE_AFTER, SharedStore as _},
    },
    time::Timestamp,
};

impl Inner {
    pub(super) async fn change_claims(
        self: &Arc<Self>,
        mut change: ClaimsChange,
    ) -> Result<Timestamp, StoreError> {
        let _in_flight = self.calls.acquire(change.scope.key()).await;
        self.sync_if_stale().await?;
        // A node that has not read the change yet goes on minting tokens for this long.
        change.until = change.until + self.sync_interval.saturating_mul(STALE_AFTER);
        let raised = self.commit_alone(&change).await?;
        self.apply(&[Change::Claims {
            scope: change.scope.key(),
            number: raised,
            until: change.until,
        }]);
        Ok(raised)
    }
}

impl Transaction for ClaimsChange {
    /// The number.
    type Answer = Timestamp;

    async fn run(&self, tx: &mut Tx) -> Result<Timestamp, Failure> {
        let feed = ChangeFeed::open(tx).await?;
        // The row is locked until the end of the transaction: a later number is committed later.
        let sql = "UPDATE tss_claims_number
            SET number = CASE WHEN number < $1 THEN $1 ELSE number + 1 END
            WHERE one = 1 RETURNING number";
        let row = tx.first(sql, Args::new().time(self.now)).await?;
        let number = row.ok_or_else(malformed)?.time(0)?;
        let (scope, until) = (self.scope.key(), self.until);
        let sql = "INSERT INTO tss_claims_changes (scope, number, until) VALUES ($1, $2, $3)
            ON CONFLICT (scope) DO UPDATE SET
                number = CASE WHEN tss_claims_changes.number < excluded.number
                    THEN excluded.number ELSE tss_claims_changes.number END,
                until = CASE WHEN tss_claims_changes.until < excluded.until
                    THEN excluded.until ELSE tss_claims_changes.until END";
        tx.execute(sql, Args::new().key(scope).time(number).time(until)).await?;
        feed.publish(tx, &[Change::Claims { scope, number, until }]).await?;
        audit_log::write(tx, std::slice::from_ref(&self.audit)).await?;
        Ok(number)
    }
}
