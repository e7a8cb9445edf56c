//! Problem details (RFC 9457) with a stable `code`.

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::json;

/// The body of an error response: `application/problem+json`.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    r#type: &'static str,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    code: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// An invalid field of a body, or an invalid query parameter.
#[derive(Debug, Serialize)]
pub(crate) struct FieldError {
    pub(crate) field: String,
    /// The value that the request named, as JSON.
    pub(crate) value: Box<RawValue>,
    #[serde(rename = "bound")]
    pub(crate) allowed: AllowedRange,
    pub(crate) message: String,
}

/// The smallest and the largest number that is allowed; empty for a value that is not a number.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct AllowedRange {
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u64>,
}

impl Problem {
    pub(super) const ACCESS_DENIED: Self =
        Self::new(StatusCode::FORBIDDEN, "access_denied", "Access denied.");
    /// The user can resolve it, and repeat the request (RFC 9110 section 15.5.10).
    pub(super) const TOO_MANY_SESSIONS: Self = Self::new(
        StatusCode::CONFLICT,
        "too_many_sessions",
        "Too many sessions. Sign out on another device, then sign in again.",
    );
    pub(super) const INVALID_LABEL: Self = Self::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_label",
        "Invalid label: at most 512 bytes of JSON.",
    );
    pub(super) const INVALID_PATH: Self = Self::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_path",
        "The path of a ticket begins with `/` and has no query.",
    );
    /// The cause is a mistake in the app or its configuration; the response must not reveal it.
    pub(super) const INTERNAL_ERROR: Self = Self::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal_error",
        "The request failed because of an internal error.",
    );

    pub(crate) const fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self { r#type: "about:blank", title, status, code, errors: Vec::new() }
    }

    /// An account's timeouts were not changed because `errors` lists values that are not allowed.
    pub(crate) const fn invalid_settings(errors: Vec<FieldError>) -> Self {
        Self {
            r#type: "about:blank",
            title: "Invalid settings. Nothing was changed.",
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "invalid_settings",
            errors,
        }
    }

    /// Query parameters or body fields have values that are not allowed.
    #[cfg(feature = "axum-router")]
    pub(crate) const fn invalid_parameter(errors: Vec<FieldError>) -> Self {
        Self {
            r#type: "about:blank",
            title: "Invalid request parameters.",
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "invalid_parameter",
            errors,
        }
    }
}

impl FieldError {
    /// An error of a field whose value is a string.
    #[cfg(feature = "axum-router")]
    pub(crate) fn from_text(
        field: &str,
        value: &str,
        allowed: AllowedRange,
        message: impl Into<String>,
    ) -> Self {
        let value = to_raw_value(value).expect("a string serializes to JSON");
        Self { field: field.to_owned(), value, allowed, message: message.into() }
    }

    /// An error of a field whose value is a number.
    pub(crate) fn from_number(
        field: &str,
        value: u64,
        allowed: AllowedRange,
        message: impl Into<String>,
    ) -> Self {
        let value = to_raw_value(&value).expect("a number serializes to JSON");
        Self { field: field.to_owned(), value, allowed, message: message.into() }
    }
}

impl AllowedRange {
    #[cfg(feature = "axum-router")]
    pub(crate) const fn within(min: u64, max: u64) -> Self {
        Self { min: Some(min), max: Some(max) }
    }

    /// What is wrong is not the size.
    pub(crate) const UNBOUNDED: Self = Self { min: None, max: None };

    pub(crate) const fn at_least(min: u64) -> Self {
        Self { min: Some(min), max: None }
    }

    pub(crate) const fn at_most(max: u64) -> Self {
        Self { min: None, max: Some(max) }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn as_number<S>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
{
    serializer.serialize_u16(status.as_u16())
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        json::response(self.status, "application/problem+json", &self)
    }
}
