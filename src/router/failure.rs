//! The error responses of the routes.

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

use super::token_error::TokenError;
use crate::{extract::Problem, lifecycle::AccountPolicyError, rejection::Rejection};

/// An error of a route, as a response.
pub(super) enum Failure {
    Rejection(Rejection),
    AccountPolicy(AccountPolicyError),
    Problem(Problem),
    Token(TokenError),
}

/// The errors that only the routes respond with.
impl Problem {
    pub(super) const FORBIDDEN: Self =
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Only an owner of the account has access.");
    pub(super) const SESSION_NOT_FOUND: Self =
        Self::new(StatusCode::NOT_FOUND, "session_not_found", "Session not found.");
    pub(super) const METHOD_NOT_ALLOWED: Self =
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed.");
    pub(super) const MALFORMED_BODY: Self =
        Self::new(StatusCode::BAD_REQUEST, "malformed_body", "The body is not valid JSON.");
    pub(super) const BODY_TOO_LARGE: Self = Self::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        "The body is larger than 16 KiB.",
    );
    pub(super) const REQUEST_TIMEOUT: Self = Self::new(
        StatusCode::REQUEST_TIMEOUT,
        "request_timeout",
        "The body did not arrive in time. Try again.",
    );
    pub(super) const UNSUPPORTED_MEDIA_TYPE: Self = Self::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "The content type is not supported.",
    );
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Rejection(rejection) => IntoResponse::into_response(rejection),
            Self::AccountPolicy(error) => error.into_response(),
            Self::Problem(problem) => problem.into_response(),
            Self::Token(error) => error.into_response(),
        }
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Rejection(rejection)
    }
}

impl From<AccountPolicyError> for Failure {
    fn from(error: AccountPolicyError) -> Self {
        Self::AccountPolicy(error)
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}
