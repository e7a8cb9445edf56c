//! The audit log: `tss_audit`.

use std::sync::Arc;

use super::{
    Inner, Transaction,
    database::Tx,
    failure::Failure,
    logs::{PIECE, remove_old},
    value::{Args, Row, placeholders},
};
use crate::{
    audit::{AuditActor, AuditEvent, AuditRecord, AuditSubject},
    identity::Scope,
    maybe_ready::StoreError,
    store::{ListQuery, Page},
    time::Timestamp,
};

const TABLE: &str = "tss_audit";
pub(super) const COLUMNS: &str =
    "session, user_key, subject_key, account_key, sub, actor_key, actor_sub, event, detail,
    is_repeatable";
pub(super) const COLUMN_COUNT: usize = 11;

/// Writes records in the transaction of the change that they report.
pub(super) async fn write(tx: &mut Tx, records: &[AuditRecord]) -> Result<(), Failure> {
    for piece in records.chunks(PIECE) {
        let args = piece.iter().fold(Args::new(), add_to);
        let rows = placeholders(piece.len(), COLUMN_COUNT);
        tx.execute(format!("INSERT INTO {TABLE} (at, {COLUMNS}) VALUES {rows}"), args).await?;
    }
    Ok(())
}

/// Adds the values of `at` and [`COLUMNS`].
fn add_to(args: Args, record: &AuditRecord) -> Args {
    let AuditRecord { at, event, subject, actor } = record;
    args.time(*at)
        .maybe_key(subject.session)
        .maybe_key(subject.user)
        .maybe_key(subject.subject)
        .maybe_key(subject.account)
        .maybe_text(subject.sub.as_deref())
        .maybe_key(actor.as_ref().map(|actor| actor.user))
        .maybe_text(actor.as_ref().and_then(|actor| actor.sub.as_deref()))
        .text(event.name())
        .text(&event.detail())
        .int(event.is_repeatable().into())
}

/// Adds the values of a record, or as many NULLs of their types.
pub(super) fn add_maybe(args: Args, record: Option<&AuditRecord>) -> Args {
    let Some(record) = record else {
        let args = args.maybe_time(None);
        let args = (0..4).fold(args, |args, _| args.maybe_key(None));
        let args = args.maybe_text(None).maybe_key(None);
        return (0..3).fold(args, |args, _| args.maybe_text(None)).maybe_time(None);
    };
    add_to(args, record)
}

/// Appends records.
struct Append(Arc<[AuditRecord]>);

impl Transaction for Append {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        write(tx, &self.0).await?;
        match self.0.iter().map(|record| record.at).max() {
            Some(newest) => remove_old(tx, TABLE, newest).await,
            None => Ok(()),
        }
    }
}

impl Inner {
    pub(super) async fn append_audit(&self, records: Arc<[AuditRecord]>) -> Result<(), StoreError> {
        let count = records.len();
        if count > 0 {
            self.commit(&Append(records)).await?;
            self.count_appended(count).await;
        }
        Ok(())
    }

    pub(super) async fn audit_log(
        &self,
        scope: Scope,
        query: ListQuery,
    ) -> Result<Page<AuditRecord>, StoreError> {
        self.log_page((TABLE, COLUMNS), scope, &query, read).await
    }
}

fn read(row: &Row, at: Timestamp) -> Result<AuditRecord, Failure> {
    let subject = AuditSubject {
        session: row.maybe_key(2)?,
        user: row.maybe_key(3)?,
        subject: row.maybe_key(4)?,
        account: row.maybe_key(5)?,
        sub: row.maybe_text(6)?.map(Arc::from),
    };
    let actor = match row.maybe_key(7)? {
        Some(user) => Some(AuditActor { user, sub: row.maybe_text(8)?.map(Arc::from) }),
        None => None,
    };
    let event = AuditEvent::from_stored(&row.text(9)?, &row.text(10)?);
    Ok(AuditRecord { at, event, subject, actor })
}
