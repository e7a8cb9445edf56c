//! `GET /sessions` and `DELETE /sessions/{sid}`.

use axum::extract::{Path, rejection::PathRejection};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{caller::Caller, failure::Failure, list_request::ListRequest};
use crate::{
    extract::{Json, Problem},
    policy::Profiles,
    store::SessionRecord,
    time::Timestamp,
};

#[derive(Serialize)]
pub(super) struct SessionList {
    sessions: Vec<ListedSession>,
    next: Option<String>,
}

/// An active session.
#[derive(Serialize)]
struct ListedSession {
    session_id: String,
    user_id: String,
    profile: String,
    signed_in_at: Timestamp,
    last_seen_at: Timestamp,
    idle_expires_at: Timestamp,
    absolute_expires_at: Timestamp,
    current: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<Box<RawValue>>,
}

impl ListedSession {
    fn new(record: SessionRecord, caller: &Caller) -> Self {
        let (idle, absolute) = caller.sessions.deadlines_of(&record);
        Self {
            current: record.key == caller.session.token().session_key(),
            session_id: record.sid,
            user_id: record.sub,
            profile: record.profile.unwrap_or_else(|| Profiles::NORMAL.to_owned()),
            signed_in_at: record.auth_time,
            last_seen_at: record.last_seen,
            idle_expires_at: idle,
            absolute_expires_at: absolute,
            label: record
                .label
                .and_then(|label| RawValue::from_string(label.as_json().into()).ok()),
        }
    }
}

pub(super) async fn list(
    caller: Caller,
    request: Result<ListRequest, Problem>,
) -> Result<Json<SessionList>, Failure> {
    let request = request?;
    let page = caller.sessions.sessions(request.scope(&caller)?, request.query).await?;
    let next = page.next.map(|cursor| cursor.to_string());
    let sessions =
        page.items.into_iter().map(|record| ListedSession::new(record, &caller)).collect();
    Ok(Json(SessionList { sessions, next }))
}

pub(super) async fn revoke(
    caller: Caller,
    sid: Result<Path<String>, PathRejection>,
) -> Result<impl axum_core::response::IntoResponse, Failure> {
    // A path segment that is not UTF-8 is the id of no session.
    let Ok(Path(sid)) = sid else { return Err(Problem::SESSION_NOT_FOUND.into()) };
    let is_own = sid == caller.session.id();
    let record = caller.sessions.session(&sid).await?;
    let scope = caller.widest_scope();
    if record.is_some_and(|record| scope.contains(&record.scopes)) {
        if is_own {
            caller.session.forbid_renewal();
        }
        caller.sessions.revoke(&sid).actor(&caller.session).await?;
    } else if is_own {
        // The store does not know it, such as after a restart; its token does.
        caller.sessions.sign_out(&caller.session).await?;
    } else {
        return Err(Problem::SESSION_NOT_FOUND.into());
    }
    Ok((StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]))
}
