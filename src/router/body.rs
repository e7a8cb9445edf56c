//! Reads the JSON body of a request. The body is not trusted: its size, its shape and the time that it
//! takes are checked.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use axum_core::{
    body::Body,
    extract::{FromRequest, Request},
};
use http::{HeaderMap, header::CONTENT_TYPE};
use http_body::Body as _;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::routes::Routes;
use crate::{extract::Problem, session::Session};

/// The largest body, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// How long a body may take after the head of its request.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// A body that is valid JSON of any shape. Its content type must say so: a form of another site can
/// send an empty body, or one of another type, with the cookie of a user (the Fetch standard, section
/// "CORS protocol").
pub(super) struct JsonBody(Vec<u8>);

impl JsonBody {
    /// Deserializes the body; `None` if it is not an object or does not fit `T`.
    pub(super) fn object<T>(&self) -> Option<T>
    where
        T: DeserializeOwned,
    {
        // serde also accepts an array for a struct.
        self.0.trim_ascii_start().starts_with(b"{").then_some(())?;
        serde_json::from_slice(&self.0).ok()
    }
}

impl FromRequest<Routes> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, routes: &Routes) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::UNSUPPORTED_MEDIA_TYPE);
        }
        let bytes = read(request, routes).await?;
        match serde_json::from_slice::<&RawValue>(&bytes) {
            Ok(_) => Ok(Self(bytes)),
            Err(_) => Err(Problem::MALFORMED_BODY),
        }
    }
}

/// Reads the body of a request: within [`TIME_LIMIT`], and unless other bodies of the same client
/// displace it.
pub(super) async fn read(request: Request, routes: &Routes) -> Result<Vec<u8>, Problem> {
    let holder = request.extensions().get::<Session>().map(|session| session.token().user_key());
    let mut body = pin!(read_whole(request.into_body()));
    // Most bodies have arrived with their heads.
    if let Poll::Ready(body) = poll_fn(|cx| Poll::Ready(body.as_mut().poll(cx))).await {
        return body;
    }
    let mut pending = routes.pending_bodies.add(holder);
    let mut limit = routes.sessions.sleep(TIME_LIMIT);
    poll_fn(|cx| {
        if let Poll::Ready(body) = body.as_mut().poll(cx) {
            return Poll::Ready(body);
        }
        let is_over = pending.poll_displaced(cx).is_ready() || limit.as_mut().poll(cx).is_ready();
        if is_over { Poll::Ready(Err(Problem::REQUEST_TIMEOUT)) } else { Poll::Pending }
    })
    .await
}

async fn read_whole(mut body: Body) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame.map_err(|_| Problem::MALFORMED_BODY)?.into_data() else { continue };
        if data.len() > MAX_BYTES - bytes.len() {
            return Err(Problem::BODY_TOO_LARGE);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Whether the content type is `application/json` or `application/..+json`.
fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers)
        .as_deref()
        .and_then(|media_type| media_type.strip_prefix("application/"))
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

/// The only content type, in lower case and without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let essence = value.to_str().ok()?.split(';').next().unwrap_or_default();
    Some(essence.trim().to_ascii_lowercase())
}
