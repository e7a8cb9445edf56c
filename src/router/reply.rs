//! An answer in JSON that nobody stores.

use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use serde::Serialize;

/// An answer of a route.
pub(super) struct Reply<T>(pub(super) T);

impl<T> IntoResponse for Reply<T>
where
    T: Serialize,
{
    fn into_response(self) -> Response {
        json("application/json", &self.0)
    }
}

pub(super) fn json<T>(content_type: &'static str, body: &T) -> Response
where
    T: Serialize,
{
    let body = serde_json::to_vec(body).expect("plain data with names for keys");
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
