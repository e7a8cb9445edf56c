//! `GET /session`.

use serde::Serialize;

use super::caller::Caller;
use crate::{extract::Json, time::Timestamp};

/// The session of the request, and when it expires; seconds from now are rounded down.
#[derive(Serialize)]
pub(super) struct PresentedSession {
    session_id: String,
    expires_in: u64,
    idle_expires_in: u64,
    idle_expires_at: Timestamp,
    absolute_expires_in: u64,
    absolute_expires_at: Timestamp,
}

pub(super) async fn show(caller: Caller) -> Json<PresentedSession> {
    let Caller { session, sessions } = caller;
    let (deadlines, now) = sessions.deadlines(&session);
    let seconds = |at: Timestamp| at.since(now).as_secs();
    let (idle, absolute) = deadlines.of_session();
    Json(PresentedSession {
        session_id: session.id().to_owned(),
        expires_in: seconds(deadlines.token),
        idle_expires_in: seconds(idle),
        idle_expires_at: idle,
        absolute_expires_in: seconds(absolute),
        absolute_expires_at: absolute,
    })
}
