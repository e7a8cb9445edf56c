//! `POST /refresh`.

use axum::extract::State;
use http::HeaderMap;

use super::{failure::Failure, refresh_request::RefreshRequest};
use crate::{lifecycle::Grant, sessions::SlidingSessions};

pub(super) async fn refresh(
    State(sessions): State<SlidingSessions>,
    headers: HeaderMap,
    request: Result<RefreshRequest, Failure>,
) -> Result<Grant, Failure> {
    let request = request?;
    let refresh = sessions.refresh(request.token()?);
    let counts = sessions.counts_refresh(&headers);
    let refresh = if counts { refresh.user() } else { refresh.background() };
    refresh.await.map_err(|rejection| request.failure(rejection))
}
