//! `GET /activity`.

use serde::Serialize;
use serde_json::{json, value::RawValue};

use super::{
    caller::Caller, failure::Failure, list_request::ListRequest, log_category::LogCategory,
};
use crate::{
    audit::{ActivityEntry, AuditRecord},
    extract::{Json, Problem},
    store::Page,
    time::Timestamp,
};

#[derive(Serialize)]
pub(super) struct Log {
    rows: Vec<Row>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Row {
    at: Timestamp,
    event: String,
    detail: Box<RawValue>,
}

impl From<AuditRecord> for Row {
    fn from(record: AuditRecord) -> Self {
        Self::new(record.at, record.event.name(), record.event.detail().into_owned())
    }
}

impl From<ActivityEntry> for Row {
    fn from(entry: ActivityEntry) -> Self {
        let detail = json!({
            "class": entry.class.as_str(),
            "method": entry.method,
            "route": entry.route.as_deref(),
            "status": entry.status,
            "code": entry.code,
        });
        Self::new(entry.at, "request", detail.to_string())
    }
}

impl Row {
    /// A detail that is not JSON, of an unknown event, becomes `{}`.
    fn new(at: Timestamp, event: &str, detail: String) -> Self {
        let detail = RawValue::from_string(detail)
            .or_else(|_| RawValue::from_string("{}".to_owned()))
            .expect("an empty object is JSON");
        Self { at, event: event.to_owned(), detail }
    }
}

impl Log {
    fn new<T: Into<Row>>(page: Page<T>) -> Self {
        let next = page.next.map(|cursor| cursor.to_string());
        Self { rows: page.items.into_iter().map(Into::into).collect(), next }
    }
}

pub(super) async fn list(
    caller: Caller,
    request: Result<ListRequest, Problem>,
) -> Result<Json<Log>, Failure> {
    let request = request?;
    let scope = request.scope(&caller)?;
    Ok(Json(match request.category {
        LogCategory::Activity => {
            Log::new(caller.sessions.activity_log(scope, request.query).await?)
        }
        LogCategory::Security => Log::new(caller.sessions.audit_log(scope, request.query).await?),
    }))
}
