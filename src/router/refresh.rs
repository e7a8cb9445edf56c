//! `POST /refresh`.

use axum::extract::State;
use http::HeaderMap;

use super::{failure::Failure, refresh_request::RefreshRequest};
use crate::{lifecycle::Grant, request_class::says_background, sessions::SlidingSessions};

pub(super) async fn refresh(
    State(sessions): State<SlidingSessions>,
    headers: HeaderMap,
    request: Result<RefreshRequest, Failure>,
) -> Result<Grant, Failure> {
    let request = request?;
    let refresh = sessions.refresh(request.token()?);
    let refresh = if says_background(&headers) { refresh.background() } else { refresh };
    refresh.await.map_err(|rejection| request.failure(rejection))
}
