//! A JSON response that no cache may store.

use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use serde::Serialize;

/// A body of `application/json`, sent with `Cache-Control: no-store`.
pub(crate) struct Json<T>(pub(crate) T);

impl<T> IntoResponse for Json<T>
where
    T: Serialize,
{
    fn into_response(self) -> Response {
        response(StatusCode::OK, "application/json", &self.0)
    }
}

pub(super) fn response<T>(status: StatusCode, content_type: &'static str, body: &T) -> Response
where
    T: Serialize,
{
    let body = serde_json::to_vec(body).expect("maps with string keys serialize to JSON");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
