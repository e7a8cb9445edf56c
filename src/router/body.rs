//! Reads the JSON body of a request. The body is not trusted: its size and shape are checked.

use std::{future::poll_fn, pin::Pin};

use axum_core::{
    body::Body,
    extract::{FromRequest, Request},
};
use http::{HeaderMap, header::CONTENT_TYPE};
use http_body::Body as _;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::extract::Problem;

/// The largest body, in bytes.
const MAX_BYTES: usize = 16 * 1024;

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

impl<S> FromRequest<S> for JsonBody
where
    S: Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        if !is_json(&head.headers) {
            return Err(Problem::UNSUPPORTED_MEDIA_TYPE);
        }
        let bytes = read(body).await?;
        match serde_json::from_slice::<&RawValue>(&bytes) {
            Ok(_) => Ok(Self(bytes)),
            Err(_) => Err(Problem::MALFORMED_BODY),
        }
    }
}

pub(super) async fn read(mut body: Body) -> Result<Vec<u8>, Problem> {
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
