//! The errors of an OAuth token endpoint, for a refresh by form.

use std::borrow::Cow;

use axum_core::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::{body::SESSION_ERROR, extract::Json, rejection::Rejection};

/// The error response of RFC 6749 section 5.2.
pub(super) struct TokenError {
    error: &'static str,
    description: Cow<'static, str>,
    rejection: Option<Rejection>,
}

impl TokenError {
    pub(super) const UNSUPPORTED_GRANT_TYPE: Self = Self {
        error: "unsupported_grant_type",
        description: Cow::Borrowed("`grant_type` must be `refresh_token`."),
        rejection: None,
    };

    pub(super) const fn invalid_request(description: &'static str) -> Self {
        let description = Cow::Borrowed(description);
        Self { error: "invalid_request", description, rejection: None }
    }
}

impl From<Rejection> for TokenError {
    fn from(rejection: Rejection) -> Self {
        let description = rejection.title();
        Self { error: "invalid_grant", description, rejection: Some(rejection) }
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        let Self { error, description, rejection } = self;
        let body = json!({ "error": error, "error_description": description });
        let mut response = Json(body).into_response();
        *response.status_mut() = StatusCode::BAD_REQUEST;
        if let Some(rejection) = rejection {
            let code = HeaderValue::from_static(rejection.code());
            response.headers_mut().insert(SESSION_ERROR, code);
            response.extensions_mut().insert(rejection);
        }
        response
    }
}
