//! `GET /activity`.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{caller::Caller, failure::Failure, list_request::ListRequest};
use crate::{
    audit::AuditRecord,
    extract::{Json, Problem},
    store::LogScope,
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
    event: Cow<'static, str>,
    detail: Box<RawValue>,
}

impl From<AuditRecord> for Row {
    fn from(record: AuditRecord) -> Self {
        let detail = RawValue::from_string(record.detail.into_owned())
            .or_else(|_| RawValue::from_string("{}".to_owned()))
            .expect("an empty object is JSON");
        Self { at: record.at, event: record.event, detail }
    }
}

pub(super) async fn list(
    caller: Caller,
    request: Result<ListRequest, Problem>,
) -> Result<Json<Log>, Failure> {
    let request = request?;
    let log = LogScope { category: request.category, scope: request.scope(&caller)? };
    let page = caller.sessions.log(log, request.query).await?;
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(Json(Log { rows: page.items.into_iter().map(Row::from).collect(), next }))
}
