//! Lists of sessions and of their users.

use super::{
    Inner,
    pools::Purpose,
    sessions::{RECORD, active, column, record},
    value::Args,
};
use crate::{
    identity::{Scope, StoreKey},
    maybe_ready::StoreError,
    store::{ActiveUser, Cursor, ListQuery, Page, SessionRecord},
    time::Timestamp,
};

impl Inner {
    pub(super) async fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
        now: Timestamp,
    ) -> Result<Page<SessionRecord>, StoreError> {
        let _in_flight = self.lists.acquire(scope.key()).await;
        let (column, active) = (column(scope), active("$2"));
        let mut args = Args::new().key(scope.key()).time(now).int(i64::from(query.limit()) + 1);
        let mut after = "";
        if let Some(cursor) = query.cursor() {
            after = "AND (s.auth_time, s.key) < ($4, $5)";
            args = args.time(Timestamp::from_millis(cursor.at)).cursor_id(cursor.id);
        }
        let sql = format!(
            "SELECT {RECORD} FROM tss_sessions AS s
            WHERE s.{column} = $1 AND {active} {after}
            ORDER BY s.auth_time DESC, s.key DESC LIMIT $3"
        );
        let rows = self.database.fetch_for(Purpose::List, sql, args).await?;
        let records = rows.iter().map(record).collect::<Result<Vec<_>, _>>()?;
        let records = records.into_iter().map(|record| self.up_to_date(record)).collect();
        Ok(Page::new(records, &query, |record: &SessionRecord| {
            Cursor::new(record.auth_time.as_millis(), u128::from_be_bytes(*record.key.as_bytes()))
        }))
    }

    pub(super) async fn session(
        &self,
        session: StoreKey,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let active = active("$2");
        let sql = format!("SELECT {RECORD} FROM tss_sessions AS s WHERE s.key = $1 AND {active}");
        let args = Args::new().key(session).time(now);
        let rows = self.database.fetch_for(Purpose::Lifecycle, sql, args).await?;
        let record = rows.first().map(record).transpose()?;
        Ok(record.map(|record| self.up_to_date(record)))
    }

    pub(super) async fn active_users(
        &self,
        account: StoreKey,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<ActiveUser>, StoreError> {
        let _in_flight = self.lists.acquire(account).await;
        let active = active("$2");
        let sql = format!(
            "SELECT MAX(s.sub), MAX(s.auth_time) AS latest FROM tss_sessions AS s
            WHERE s.account_key = $1 AND {active}
            GROUP BY s.user_key ORDER BY latest DESC, s.user_key DESC LIMIT $3"
        );
        let args = Args::new().key(account).time(now).int(limit.into());
        let rows = self.database.fetch_for(Purpose::List, sql, args).await?;
        let users = rows.iter().map(|row| Ok(ActiveUser::new(row.text(0)?, row.time(1)?)));
        users.collect()
    }

    /// Adds the activity that this node has not written yet.
    fn up_to_date(&self, record: SessionRecord) -> SessionRecord {
        let last_seen = self.node_cache.last_seen(&record.key, record.last_seen);
        SessionRecord { last_seen, ..record }
    }
}
