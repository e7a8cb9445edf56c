//! `GET /activity`.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    caller::Caller,
    failure::{Failure, Problem},
    list_request::ListRequest,
    reply::Reply,
};
use crate::{audit::AuditRecord, store::LogScope};

#[derive(Serialize)]
pub(super) struct Log {
    rows: Vec<Row>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Row {
    at: String,
    event: Cow<'static, str>,
    detail: Box<RawValue>,
}

impl From<AuditRecord> for Row {
    fn from(row: AuditRecord) -> Self {
        let detail = RawValue::from_string(row.detail.into_owned())
            .or_else(|_| RawValue::from_string("{}".to_owned()))
            .expect("an empty object is JSON");
        Self { at: row.at.to_string(), event: row.event, detail }
    }
}

pub(super) async fn list(
    caller: Caller,
    request: Result<ListRequest, Problem>,
) -> Result<Reply<Log>, Failure> {
    let request = request?;
    let log = LogScope { category: request.category, scope: request.scope(&caller)? };
    let page = caller.sessions.log(log, request.query).await?;
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(Reply(Log { rows: page.items.into_iter().map(Row::from).collect(), next }))
}
