//! Why a route does not answer what it was asked.

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use super::reply::json;
use crate::rejection::Rejection;

/// A rejection as the layers give it, or a problem of the routes' own.
pub(super) enum Failure {
    Rejection(Rejection),
    Problem(Problem),
}

/// Problem details (RFC 9457).
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    r#type: &'static str,
    title: &'static str,
    #[serde(serialize_with = "number")]
    status: StatusCode,
    code: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// What is wrong with one field or parameter.
#[derive(Debug, Serialize)]
pub(super) struct FieldError {
    pub(super) field: String,
    /// What was asked for.
    pub(super) value: Box<RawValue>,
    pub(super) bound: Bound,
    pub(super) message: String,
}

/// What a number may be; empty where there is nothing to say.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Bound {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max: Option<u64>,
}

impl Problem {
    pub(super) const FORBIDDEN: Self =
        Self::new(StatusCode::FORBIDDEN, "forbidden", "This is for the account's owner");
    pub(super) const SESSION_NOT_FOUND: Self =
        Self::new(StatusCode::NOT_FOUND, "session_not_found", "There is no such session");
    pub(super) const METHOD_NOT_ALLOWED: Self = Self::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "The method is not for this address",
    );
    pub(super) const MALFORMED_BODY: Self =
        Self::new(StatusCode::BAD_REQUEST, "malformed_body", "The body is not JSON");
    pub(super) const BODY_TOO_LARGE: Self =
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is over 16 KiB");
    pub(super) const UNSUPPORTED_MEDIA_TYPE: Self = Self::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "The body is not of the type application/json",
    );

    /// What the request asks for is not to be had.
    pub(super) fn invalid_parameter(errors: Vec<FieldError>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let title = "The request asks for something that there is not";
        Self { errors, ..Self::new(status, "invalid_parameter", title) }
    }

    /// The settings are not within what is allowed, and nothing was changed.
    pub(super) fn invalid_settings(errors: Vec<FieldError>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let title = "The settings are out of bounds; nothing was changed";
        Self { errors, ..Self::new(status, "invalid_settings", title) }
    }

    const fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self { r#type: "about:blank", title, status, code, errors: Vec::new() }
    }
}

impl FieldError {
    /// A parameter that is a text.
    pub(super) fn from_text(
        field: &str,
        value: &str,
        bound: Bound,
        message: impl Into<String>,
    ) -> Self {
        let value = serde_json::value::to_raw_value(value).expect("any text is a JSON string");
        Self { field: field.to_owned(), value, bound, message: message.into() }
    }
}

impl Bound {
    pub(super) const fn within(min: u64, max: u64) -> Self {
        Self { min: Some(min), max: Some(max) }
    }

    pub(super) const fn at_least(min: u64) -> Self {
        Self { min: Some(min), max: None }
    }

    pub(super) const fn at_most(max: u64) -> Self {
        Self { min: None, max: Some(max) }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn number<S>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error>
where
    S: serde::Serializer,
{
    serializer.serialize_u16(status.as_u16())
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = json("application/problem+json", &self);
        *response.status_mut() = self.status;
        response
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Rejection(rejection) => IntoResponse::into_response(rejection),
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Rejection(rejection)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}
