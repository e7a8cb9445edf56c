//! `GET /sessions` and `DELETE /sessions/{sid}`.

use axum::extract::{Path, rejection::PathRejection};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{
    caller::Caller,
    failure::{Failure, Problem},
    list_request::ListRequest,
    reply::Reply,
};
use crate::{policy::Profiles, store::SessionRecord};

#[derive(Serialize)]
pub(super) struct Listed {
    sessions: Vec<LiveSession>,
    next: Option<String>,
}

/// A live session. Instants are in RFC 3339.
#[derive(Serialize)]
struct LiveSession {
    session_id: String,
    user_id: String,
    profile: String,
    signed_in_at: String,
    last_seen_at: String,
    idle_expires_at: String,
    absolute_expires_at: String,
    current: bool,
}

impl LiveSession {
    fn new(record: SessionRecord, caller: &Caller) -> Self {
        let (idle, absolute) = caller.sessions.deadlines_of(&record);
        Self {
            current: record.key == caller.session.token().session_key(),
            session_id: record.sid,
            user_id: record.sub,
            profile: record.profile.unwrap_or_else(|| Profiles::NORMAL.to_owned()),
            signed_in_at: record.auth_time.to_string(),
            last_seen_at: record.last_seen.to_string(),
            idle_expires_at: idle.to_string(),
            absolute_expires_at: absolute.to_string(),
        }
    }
}

pub(super) async fn list(
    caller: Caller,
    request: Result<ListRequest, Problem>,
) -> Result<Reply<Listed>, Failure> {
    let request = request?;
    let page = caller.sessions.sessions(request.scope(&caller)?, request.query).await?;
    let next = page.next.map(|cursor| cursor.to_string());
    let sessions = page.items.into_iter().map(|record| LiveSession::new(record, &caller)).collect();
    Ok(Reply(Listed { sessions, next }))
}

pub(super) async fn end(
    caller: Caller,
    sid: Result<Path<String>, PathRejection>,
) -> Result<impl axum_core::response::IntoResponse, Failure> {
    // What is no text names no session.
    let Ok(Path(sid)) = sid else { return Err(Problem::SESSION_NOT_FOUND.into()) };
    let record = caller.sessions.session(&sid).await?;
    let scope = caller.widest_scope();
    let Some(record) = record.filter(|record| scope.contains(&record.scopes)) else {
        return Err(Problem::SESSION_NOT_FOUND.into());
    };
    if record.key == caller.session.token().session_key() {
        caller.session.forbid_renewal();
    }
    caller.sessions.revoke(&sid).await?;
    Ok((StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]))
}
