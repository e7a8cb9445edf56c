//! What the owners of accounts have decided.

use super::{
    Inner, Step,
    database::Tx,
    failure::Failure,
    logs,
    news::{News, Turn},
    value::{Args, Row},
};
use crate::{
    rules::Overrides,
    store::{Key, OverridesChange, StoreError},
};

const SELECT: &str = "SELECT idle, absolute FROM tss_overrides WHERE account = $1";

impl Inner {
    pub(super) async fn overrides(&self, account: Key) -> Result<Overrides, StoreError> {
        let rows = self.database.fetch(SELECT, Args::new().key(account)).await?;
        Ok(read(rows.first())?)
    }
}

fn read(row: Option<&Row>) -> Result<Overrides, Failure> {
    let Some(row) = row else { return Ok(Overrides::default()) };
    Ok(Overrides { idle: row.maybe_span(0)?, absolute: row.maybe_span(1)? })
}

impl Step for OverridesChange {
    /// What there is to hear of it, if it was made.
    type Answer = Option<News>;

    async fn run(&self, tx: &mut Tx) -> Result<Option<News>, Failure> {
        let turn = Turn::take(tx).await?;
        let present = tx.first(SELECT, Args::new().key(self.account)).await?;
        if read(present.as_ref())? != self.old {
            return Ok(None);
        }
        // What is undecided again stays as a row: a node that reads all there is hears of it.
        let sql = "INSERT INTO tss_overrides (account, idle, absolute) VALUES ($1, $2, $3)
            ON CONFLICT (account) DO UPDATE SET
                idle = excluded.idle, absolute = excluded.absolute";
        let args = Args::new().key(self.account);
        let args = args.maybe_span(self.new.idle).maybe_span(self.new.absolute);
        tx.execute(sql, args).await?;
        let news = News::Overrides { account: self.account, overrides: self.new };
        turn.announce(tx, &[news]).await?;
        logs::write(tx, std::slice::from_ref(&self.log)).await?;
        Ok(Some(news))
    }
}
