//! Account policies: `tss_account_policies`.

use super::{
    Inner, Transaction, audit_log,
    change_feed::ChangeFeed,
    database::Tx,
    failure::Failure,
    pools::Purpose,
    value::{Args, Row, malformed},
};
use crate::{
    identity::StoreKey,
    maybe_ready::StoreError,
    policy::TimeoutOverrides,
    store::{OverridesChange, node::Change},
};

const SELECT: &str = "SELECT idle, absolute FROM tss_account_policies WHERE account = $1";

impl Inner {
    pub(super) async fn overrides(
        &self,
        account: StoreKey,
    ) -> Result<TimeoutOverrides, StoreError> {
        let rows =
            self.database.fetch_for(Purpose::Lifecycle, SELECT, Args::new().key(account)).await?;
        Ok(read(rows.first())?)
    }
}

fn read(row: Option<&Row>) -> Result<TimeoutOverrides, Failure> {
    let Some(row) = row else { return Ok(TimeoutOverrides::default()) };
    Ok(TimeoutOverrides { idle: row.maybe_span(0)?, absolute: row.maybe_span(1)? })
}

impl Transaction for OverridesChange {
    /// The change, if it was made.
    type Answer = Option<Change>;

    async fn run(&self, tx: &mut Tx) -> Result<Option<Change>, Failure> {
        // Of concurrent changes of the account each finds those before it.
        tx.lock_key(self.account).await?;
        let feed = ChangeFeed::open(tx).await?;
        let present = tx.first(SELECT, Args::new().key(self.account)).await?;
        if read(present.as_ref())? != self.old {
            return Ok(None);
        }
        // Default overrides are kept as a row, so that a node that reads everything again applies
        // them.
        // Whatever the database loses, the later change has the greater version.
        let now = tx.now();
        let sql = format!(
            "INSERT INTO tss_account_policies (account, idle, absolute, version)
            VALUES ($1, $2, $3, {now})
            ON CONFLICT (account) DO UPDATE SET idle = excluded.idle, absolute = excluded.absolute,
                version = CASE WHEN tss_account_policies.version < excluded.version
                    THEN excluded.version ELSE tss_account_policies.version + 1 END
            RETURNING version"
        );
        let args = Args::new().key(self.account);
        let args = args.maybe_span(self.new.idle).maybe_span(self.new.absolute);
        let row = tx.first(sql, args).await?;
        let version = row.ok_or_else(malformed)?.count(0)?;
        let (account, overrides) = (self.account, self.new);
        let change = Change::TimeoutOverrides { account, overrides, version };
        feed.publish(tx, &[change]).await?;
        audit_log::write(tx, std::slice::from_ref(&self.audit)).await?;
        Ok(Some(change))
    }
}
