//! `POST /refresh`.

use axum::extract::State;
use http::HeaderMap;
use serde::Deserialize;

use super::{body::JsonBody, failure::Failure};
use crate::{
    extract::Problem, lifecycle::Grant, rejection::RejectionKind, request_class::says_background,
    sessions::SlidingSessions,
};

#[derive(Deserialize)]
struct Presented {
    refresh_token: String,
}

pub(super) async fn refresh(
    State(sessions): State<SlidingSessions>,
    headers: HeaderMap,
    body: Result<JsonBody, Problem>,
) -> Result<Grant, Failure> {
    let Some(Presented { refresh_token }) = body?.object() else {
        return Err(Failure::Rejection(RejectionKind::InvalidRefreshToken.into()));
    };
    let refresh = sessions.refresh(&refresh_token);
    let refresh = if says_background(&headers) { refresh.background() } else { refresh };
    Ok(refresh.await?)
}
