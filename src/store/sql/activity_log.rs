//! The activity log: `tss_activity`.

use std::sync::Arc;

use super::{
    Inner, Transaction,
    database::Tx,
    failure::Failure,
    logs::{PIECE, remove_old},
    value::{Args, Row, malformed, placeholders},
};
use crate::{
    audit::ActivityEntry,
    identity::Scope,
    maybe_ready::StoreError,
    request_class::RequestClass,
    store::{ListQuery, Page},
    time::Timestamp,
};

const TABLE: &str = "tss_activity";
const COLUMNS: &str =
    "session, user_key, subject_key, account_key, class, method, route, status, code";
const COLUMN_COUNT: usize = 10;

/// Appends entries.
struct Append(Arc<[ActivityEntry]>);

impl Transaction for Append {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        for piece in self.0.chunks(PIECE) {
            let args = piece.iter().fold(Args::new(), |args, entry| {
                args.time(entry.at)
                    .key(entry.session)
                    .key(entry.user)
                    .maybe_key(entry.subject)
                    .maybe_key(entry.account)
                    .text(entry.class.as_str())
                    .text(&entry.method)
                    .maybe_text(entry.route.as_deref())
                    .int(entry.status.into())
                    .maybe_text(entry.code.as_deref())
            });
            let rows = placeholders(piece.len(), COLUMN_COUNT);
            tx.execute(format!("INSERT INTO {TABLE} (at, {COLUMNS}) VALUES {rows}"), args).await?;
        }
        match self.0.iter().map(|entry| entry.at).max() {
            Some(newest) => remove_old(tx, TABLE, newest).await,
            None => Ok(()),
        }
    }
}

impl Inner {
    pub(super) async fn append_activity(
        &self,
        entries: Arc<[ActivityEntry]>,
    ) -> Result<(), StoreError> {
        let count = entries.len();
        if count > 0 {
            self.commit(&Append(entries)).await?;
            self.count_appended(count).await;
        }
        Ok(())
    }

    pub(super) async fn activity_log(
        &self,
        scope: Scope,
        query: ListQuery,
    ) -> Result<Page<ActivityEntry>, StoreError> {
        self.log_page((TABLE, COLUMNS), scope, &query, read).await
    }
}

fn read(row: &Row, at: Timestamp) -> Result<ActivityEntry, Failure> {
    Ok(ActivityEntry {
        at,
        session: row.key(2)?,
        user: row.key(3)?,
        subject: row.maybe_key(4)?,
        account: row.maybe_key(5)?,
        class: RequestClass::from_name(&row.text(6)?).ok_or_else(malformed)?,
        method: row.text(7)?.into(),
        route: row.maybe_text(8)?.map(Arc::from),
        status: row.int(9)?.try_into().map_err(|_| malformed())?,
        code: row.maybe_text(10)?.map(Into::into),
    })
}
