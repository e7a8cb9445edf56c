//! Responses: what a sign-in, a sign-out and a change of an account policy return.

use std::{convert::Infallible, error::Error};

use axum_core::{
    body::Body,
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};

use super::{account_policy::field_errors, json::Json, problem::Problem};
use crate::{
    lifecycle::{AccountPolicyError, ClaimsChangedError, Grant, StartError, Ticket, TicketError},
    rejection::{Rejection, RejectionKind},
    transport::SetCookie,
    transport::TokenInBody,
};

/// Responds 200 with the grant as JSON (RFC 6749 section 5.1) and `Cache-Control: no-store`.
impl IntoResponse for Grant {
    fn into_response(self) -> Response {
        let mut response = Json(&self).into_response();
        response.extensions_mut().insert(TokenInBody);
        response
    }
}

/// Responds as the layers reject a request over plain HTTP.
impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.into_http_response::<Body>().map(Body::new)
    }
}

/// Responds with problem details (RFC 9457) and `Cache-Control: no-store`:
///
/// - 503 `store_unavailable` with `Retry-After` if the store did not answer,
/// - 403 `access_denied` if the claims source denies the user,
/// - 409 `too_many_sessions` if the user has as many sessions as allowed,
/// - 422 `invalid_label` if the label is not JSON or has more than 512 bytes,
/// - 500 `internal_error` for everything else, which is a mistake in the app: an empty subject, an
///   unknown profile, refused claims, a token that is too long, a key that cannot sign. The response does not say which;
///   the error is logged.
impl IntoResponse for StartError {
    fn into_response(self) -> Response {
        match self {
            Self::Unavailable(rejection) => IntoResponse::into_response(rejection),
            Self::Denied => {
                IntoResponse::into_response(Rejection::from(RejectionKind::AccessDenied))
            }
            Self::TooManySessions => Problem::TOO_MANY_SESSIONS.into_response(),
            Self::Label(_) => Problem::INVALID_LABEL.into_response(),
            error => {
                tracing::error!(error = &error as &dyn Error, "the session could not be started");
                Problem::INTERNAL_ERROR.into_response()
            }
        }
    }
}

/// Responds with problem details (RFC 9457) and `Cache-Control: no-store`: 422 `invalid_settings`
/// with each timeout that is out of bounds, in whole minutes, or 503 `store_unavailable` with
/// `Retry-After`.
impl IntoResponse for AccountPolicyError {
    fn into_response(self) -> Response {
        match self {
            Self::OutOfBounds(errors) => {
                Problem::invalid_settings(field_errors(&errors)).into_response()
            }
            Self::Unavailable(rejection) => IntoResponse::into_response(rejection),
        }
    }
}

/// Responds with problem details (RFC 9457) and `Cache-Control: no-store`: 503 `store_unavailable` with
/// `Retry-After`, or 500 `internal_error` without a claims source, which is a mistake in the app and
/// logged.
impl IntoResponse for ClaimsChangedError {
    fn into_response(self) -> Response {
        match self {
            Self::Unavailable(rejection) => IntoResponse::into_response(rejection),
            Self::NoClaimsSource => {
                tracing::error!(error = &self as &dyn Error, "the claims could not be changed");
                Problem::INTERNAL_ERROR.into_response()
            }
        }
    }
}

/// Responds 200 with the ticket as JSON and `Cache-Control: no-store`.
impl IntoResponse for Ticket {
    fn into_response(self) -> Response {
        Json(&self).into_response()
    }
}

/// Responds with problem details (RFC 9457) and `Cache-Control: no-store`:
///
/// - 503 `store_unavailable` with `Retry-After` if the store did not answer,
/// - 422 `invalid_path` if the path is none,
/// - 403 `access_denied` for a session of another issuer,
/// - 500 `internal_error` for everything else, which is a mistake in the app. The error is logged.
impl IntoResponse for TicketError {
    fn into_response(self) -> Response {
        match self {
            Self::Unavailable(rejection) => IntoResponse::into_response(rejection),
            Self::Path => Problem::INVALID_PATH.into_response(),
            Self::OtherIssuer => Problem::ACCESS_DENIED.into_response(),
            error => {
                tracing::error!(error = &error as &dyn Error, "no ticket was issued");
                Problem::INTERNAL_ERROR.into_response()
            }
        }
    }
}

/// Adds `Set-Cookie` and `Cache-Control: no-store` to a response.
impl IntoResponseParts for SetCookie {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        self.write_to(parts.headers_mut());
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{policy::Policy, sessions::SlidingSessions, token::JwtKeys};

    #[tokio::test]
    async fn a_grant_marks_its_response() {
        let keys = JwtKeys::hs256([7; 32]).expect("a key of 32 bytes is long enough");
        let sessions = SlidingSessions::builder(keys, Policy::long_lived());
        let sessions = sessions.build().expect("the settings are valid");
        let grant = sessions.start("ada").await.expect("a session starts");
        assert!(grant.into_response().extensions().get::<TokenInBody>().is_some());
    }
}
