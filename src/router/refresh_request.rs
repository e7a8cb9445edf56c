//! The body of `POST /refresh`: JSON, or the form of RFC 6749 section 6.

use axum::Form;
use axum_core::{
    body::Body,
    extract::{FromRequest, Request},
};
use http::{Method, header::CONTENT_TYPE};
use serde::Deserialize;

use super::{
    body::{JsonBody, media_type, read},
    failure::Failure,
    routes::Routes,
    token_error::TokenError,
};
use crate::rejection::{Rejection, RejectionKind};

const FORM: &str = "application/x-www-form-urlencoded";

/// A request for the next tokens.
pub(super) struct RefreshRequest {
    refresh_token: Option<String>,
    is_form: bool,
}

#[derive(Deserialize)]
struct Fields {
    refresh_token: String,
}

impl RefreshRequest {
    /// The refresh token.
    pub(super) fn token(&self) -> Result<&str, Failure> {
        let invalid = || self.failure(RejectionKind::InvalidRefreshToken.into());
        self.refresh_token.as_deref().ok_or_else(invalid)
    }

    /// Returns the error for `rejection` in the form that the client reads. A store that failed is a
    /// 503 for each: RFC 6749 has no code for it.
    pub(super) fn failure(&self, rejection: Rejection) -> Failure {
        if self.is_form && rejection.kind() != RejectionKind::StoreUnavailable {
            return TokenError::from(rejection).into();
        }
        rejection.into()
    }

    /// Reads a form. Unknown parameters, such as `client_id`, are ignored.
    async fn from_form(body: Vec<u8>) -> Result<Self, TokenError> {
        let form = Request::builder().method(Method::POST).header(CONTENT_TYPE, FORM);
        let form = form.body(Body::from(body)).expect("the parts are valid");
        let Form(fields) = Form::<Vec<(String, String)>>::from_request(form, &())
            .await
            .map_err(|_| TokenError::invalid_request("The body is not a form."))?;
        let only = |name: &str| {
            let mut values = fields.iter().filter(|(field, _)| field == name);
            let (value, second) = (values.next(), values.next());
            value.filter(|_| second.is_none()).map(|(_, value)| value.as_str())
        };
        match only("grant_type") {
            Some("refresh_token") => {}
            Some(_) => return Err(TokenError::UNSUPPORTED_GRANT_TYPE),
            None => return Err(TokenError::invalid_request("`grant_type` must be sent once.")),
        }
        let token = only("refresh_token")
            .ok_or(TokenError::invalid_request("`refresh_token` must be sent once."))?;
        Ok(Self { refresh_token: Some(token.to_owned()), is_form: true })
    }
}

impl FromRequest<Routes> for RefreshRequest {
    type Rejection = Failure;

    async fn from_request(request: Request, routes: &Routes) -> Result<Self, Failure> {
        if media_type(request.headers()).as_deref() == Some(FORM) {
            return Ok(Self::from_form(read(request, routes).await?).await?);
        }
        let body = JsonBody::from_request(request, routes).await?;
        let fields = body.object::<Fields>();
        Ok(Self { refresh_token: fields.map(|fields| fields.refresh_token), is_form: false })
    }
}

#[cfg(test)]
mod tests {
    use axum_core::response::IntoResponse;
    use http::StatusCode;

    use super::*;

    #[test]
    fn p23_a_store_that_failed_is_a_503_for_a_form_too() {
        for is_form in [false, true] {
            let request = RefreshRequest { refresh_token: None, is_form };
            let failure = request.failure(RejectionKind::StoreUnavailable.into());
            assert_eq!(failure.into_response().status(), StatusCode::SERVICE_UNAVAILABLE);
            let failure = request.failure(RejectionKind::SessionExpiredIdle.into());
            let status = if is_form { StatusCode::BAD_REQUEST } else { StatusCode::UNAUTHORIZED };
            assert_eq!(failure.into_response().status(), status);
        }
    }
}
