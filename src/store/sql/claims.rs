//! Changes of claims: `tss_claims_changes`.

use super::{
    Inner, Transaction, audit_log, change_feed::ChangeFeed, database::Tx, failure::Failure,
    value::Args,
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
        &self,
        mut change: ClaimsChange,
    ) -> Result<Timestamp, StoreError> {
        let _in_flight = self.calls.acquire(change.scope.key()).await;
        self.sync_if_stale().await?;
        // A node that has not read the change yet goes on minting tokens for this long.
        change.until = change.until + self.sync_interval.saturating_mul(STALE_AFTER);
        let raised = self.commit_and_publish(&change).await?;
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
        let (feed, number) = ChangeFeed::lock_with_claims_number(tx, self.now).await?;
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
