//! What there is: sessions, and users with one.

use super::{
    Inner,
    sessions::{RECORD, column, live, record},
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
        let (column, live) = (column(scope), live("$2"));
        let mut args = Args::new().key(scope.key()).time(now).int(i64::from(query.limit()) + 1);
        let mut behind = "";
        if let Some(cursor) = query.cursor() {
            behind = "AND (s.auth_time, s.key) < ($4, $5)";
            args = args.time(Timestamp::from_millis(cursor.at)).tie(cursor.tie);
        }
        let sql = format!(
            "SELECT {RECORD} FROM tss_sessions AS s
            WHERE s.{column} = $1 AND {live} {behind}
            ORDER BY s.auth_time DESC, s.key DESC LIMIT $3"
        );
        let rows = self.database.fetch(sql, args).await?;
        let records = rows.iter().map(record).collect::<Result<Vec<_>, _>>()?;
        let records = records.into_iter().map(|record| self.up_to_date(record)).collect();
        Ok(Page::new(records, &query, |record: &SessionRecord| Cursor {
            at: record.auth_time.as_millis(),
            tie: u128::from_be_bytes(*record.key.as_bytes()),
        }))
    }

    pub(super) async fn session(
        &self,
        session: StoreKey,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let live = live("$2");
        let sql = format!("SELECT {RECORD} FROM tss_sessions AS s WHERE s.key = $1 AND {live}");
        let rows = self.database.fetch(sql, Args::new().key(session).time(now)).await?;
        let record = rows.first().map(record).transpose()?;
        Ok(record.map(|record| self.up_to_date(record)))
    }

    pub(super) async fn active_users(
        &self,
        account: StoreKey,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<ActiveUser>, StoreError> {
        let live = live("$2");
        let sql = format!(
            "SELECT MAX(s.sub), MAX(s.auth_time) AS latest FROM tss_sessions AS s
            WHERE s.account_key = $1 AND {live}
            GROUP BY s.user_key ORDER BY latest DESC, s.user_key DESC LIMIT $3"
        );
        let args = Args::new().key(account).time(now).int(limit.into());
        let rows = self.database.fetch(sql, args).await?;
        let users = rows
            .iter()
            .map(|row| Ok(ActiveUser { sub: row.text(0)?, last_login_at: row.time(1)? }));
        users.collect()
    }

    /// With the activity that this node has not written yet.
    fn up_to_date(&self, record: SessionRecord) -> SessionRecord {
        let last_seen = self.node_cache.last_seen(&record.key, record.last_seen);
        SessionRecord { last_seen, ..record }
    }
}
