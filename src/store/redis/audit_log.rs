//! The audit log and the activity log.

use std::sync::Arc;

use super::{
    Inner,
    bytes::{Reader, Writer},
    failure::Failure,
    logs::{About, Log, LogRow},
};
use crate::{
    audit::{ActivityEntry, AuditActor, AuditEvent, AuditRecord, AuditSubject},
    identity::Scope,
    maybe_ready::StoreError,
    request_class::RequestClass,
    store::{ListQuery, Page},
    time::Timestamp,
};

/// Events that a client can repeat displace no others.
const AUDIT: Log = Log { classes: &['a', 'b'], list: 'i' };
const ACTIVITY: Log = Log { classes: &['v'], list: 'w' };

const NO_LOG: &str = "no audit log is kept: see `RedisStoreBuilder::audit_log`";

impl Inner {
    /// The row of an audit record, if the store keeps them.
    pub(super) fn audit_row(&self, record: &AuditRecord) -> Option<LogRow> {
        if !self.keeps_audit_log {
            return None;
        }
        let AuditSubject { user, subject, account, .. } = record.subject;
        let class = usize::from(record.event.is_repeatable());
        let about = About { user, subject, account };
        Some(self.log_row(AUDIT, class, about, record.at, pack_audit(record)))
    }

    /// Appends the record of a change that is made: now, or later if that fails.
    pub(super) async fn append_committed(&self, audit: &AuditRecord) {
        if let Some(row) = self.audit_row(audit) {
            self.append_committed_row(row).await;
        }
    }

    /// Appends the row of a change that is made: now, or later if that fails.
    pub(super) async fn append_committed_row(&self, row: LogRow) {
        let rows = std::slice::from_ref(&row);
        if let Err(error) = self.append_rows(AUDIT, rows, about_audit).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "an audit record is appended later");
            self.late_rows.add(row);
        }
    }

    /// Appends the rows that could not be when their changes were made.
    pub(super) async fn append_late_rows(&self) {
        for row in self.late_rows.take() {
            self.append_committed_row(row).await;
        }
    }

    pub(super) async fn unindex_audit(&self, removed: Vec<Vec<u8>>) -> Result<(), Failure> {
        self.unindex_rows(AUDIT, removed, about_audit).await
    }

    pub(super) async fn append_audit_records(
        &self,
        records: &[AuditRecord],
    ) -> Result<(), StoreError> {
        let rows: Vec<_> = records.iter().filter_map(|record| self.audit_row(record)).collect();
        self.append_rows(AUDIT, &rows, about_audit).await
    }

    pub(super) async fn append_activity_entries(
        &self,
        entries: &[ActivityEntry],
    ) -> Result<(), StoreError> {
        let row = |entry: &ActivityEntry| {
            let ActivityEntry { user, subject, account, .. } = *entry;
            let about = About { user: Some(user), subject, account };
            self.log_row(ACTIVITY, 0, about, entry.at, pack_activity(entry))
        };
        let rows: Vec<_> = entries.iter().map(row).collect();
        let about = |packed: &[u8]| {
            let ActivityEntry { user, subject, account, .. } =
                unpack_activity(Timestamp::EPOCH, packed)?;
            Ok(About { user: Some(user), subject, account })
        };
        self.append_rows(ACTIVITY, &rows, about).await
    }

    pub(super) async fn audit_page(
        &self,
        scope: Scope,
        query: ListQuery,
    ) -> Result<Page<AuditRecord>, StoreError> {
        if !self.keeps_audit_log {
            return Err(StoreError::new(NO_LOG));
        }
        self.log_page(AUDIT, scope, &query, unpack_audit).await
    }

    pub(super) async fn activity_page(
        &self,
        scope: Scope,
        query: ListQuery,
    ) -> Result<Page<ActivityEntry>, StoreError> {
        self.log_page(ACTIVITY, scope, &query, unpack_activity).await
    }
}

fn about_audit(packed: &[u8]) -> Result<About, Failure> {
    let AuditSubject { user, subject, account, .. } =
        unpack_audit(Timestamp::EPOCH, packed)?.subject;
    Ok(About { user, subject, account })
}

fn pack_audit(record: &AuditRecord) -> Vec<u8> {
    let AuditSubject { session, user, subject, account, sub } = &record.subject;
    let writer = Writer::new().maybe_key(*session).maybe_key(*user).maybe_key(*subject);
    let writer = writer.maybe_key(*account).maybe_text(sub.as_deref());
    let actor = record.actor.as_ref();
    let writer = writer.maybe_key(actor.map(|actor| actor.user));
    let writer = writer.maybe_text(actor.and_then(|actor| actor.sub.as_deref()));
    writer.text(record.event.name()).text(&record.event.detail()).finish()
}

fn unpack_audit(at: Timestamp, packed: &[u8]) -> Result<AuditRecord, Failure> {
    let mut reader = Reader::new(packed);
    let subject = AuditSubject {
        session: reader.maybe_key()?,
        user: reader.maybe_key()?,
        subject: reader.maybe_key()?,
        account: reader.maybe_key()?,
        sub: reader.maybe_text()?.map(Arc::from),
    };
    let (actor, sub) = (reader.maybe_key()?, reader.maybe_text()?);
    let actor = actor.map(|user| AuditActor { user, sub: sub.map(Arc::from) });
    let event = AuditEvent::from_stored(&reader.text()?, &reader.text()?);
    Ok(AuditRecord { at, event, subject, actor })
}

fn pack_activity(entry: &ActivityEntry) -> Vec<u8> {
    let writer = Writer::new().key(entry.session).key(entry.user).maybe_key(entry.subject);
    let writer = writer.maybe_key(entry.account).text(entry.class.as_str()).text(&entry.method);
    let writer = writer.maybe_text(entry.route.as_deref()).u16(entry.status);
    writer.maybe_text(entry.code.as_deref()).finish()
}

fn unpack_activity(at: Timestamp, packed: &[u8]) -> Result<ActivityEntry, Failure> {
    let mut reader = Reader::new(packed);
    Ok(ActivityEntry {
        at,
        session: reader.key()?,
        user: reader.key()?,
        subject: reader.maybe_key()?,
        account: reader.maybe_key()?,
        class: RequestClass::from_name(&reader.text()?).ok_or_else(Failure::malformed)?,
        method: reader.text()?.into(),
        route: reader.maybe_text()?.map(Arc::from),
        status: reader.u16()?,
        code: reader.maybe_text()?.map(Into::into),
    })
}
