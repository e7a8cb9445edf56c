//! What the owners of accounts have decided.

use super::{
    Inner, Transaction,
    change_feed::{Change, ChangeFeed},
    database::Tx,
    failure::Failure,
    logs,
    value::{Args, Row},
};
use crate::{
    identity::StoreKey, maybe_ready::StoreError, policy::TimeoutOverrides, store::OverridesChange,
};

const SELECT: &str = "SELECT idle, absolute FROM tss_account_policies WHERE account = $1";

impl Inner {
    pub(super) async fn overrides(
        &self,
        account: StoreKey,
    ) -> Result<TimeoutOverrides, StoreError> {
        let rows = self.database.fetch(SELECT, Args::new().key(account)).await?;
        Ok(read(rows.first())?)
    }
}

fn read(row: Option<&Row>) -> Result<TimeoutOverrides, Failure> {
    let Some(row) = row else { return Ok(TimeoutOverrides::default()) };
    Ok(TimeoutOverrides { idle: row.maybe_span(0)?, absolute: row.maybe_span(1)? })
}

impl Transaction for OverridesChange {
    /// What there is to hear of it, if it was made.
    type Answer = Option<Change>;

    async fn run(&self, tx: &mut Tx) -> Result<Option<Change>, Failure> {
        let turn = ChangeFeed::take(tx).await?;
        let present = tx.first(SELECT, Args::new().key(self.account)).await?;
        if read(present.as_ref())? != self.old {
            return Ok(None);
        }
        // What is undecided again stays as a row: a node that reads all there is hears of it.
        let sql = "INSERT INTO tss_account_policies (account, idle, absolute) VALUES ($1, $2, $3)
            ON CONFLICT (account) DO UPDATE SET
                idle = excluded.idle, absolute = excluded.absolute";
        let args = Args::new().key(self.account);
        let args = args.maybe_span(self.new.idle).maybe_span(self.new.absolute);
        tx.execute(sql, args).await?;
        let changes = Change::TimeoutOverrides { account: self.account, overrides: self.new };
        turn.publish(tx, &[changes]).await?;
        logs::write(tx, std::slice::from_ref(&self.log)).await?;
        Ok(Some(changes))
    }
}
