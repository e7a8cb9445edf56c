//! Rejections over HTTP: problem details (RFC 9457) and a challenge (RFC 6750).

use std::borrow::Cow;

use http::{
    HeaderValue, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};

use super::{
    kind::{RejectionKind, SESSION_ERROR},
    make_rejection::{MakeRejection, RejectionBody},
    rejection::Rejection,
};
use crate::body::SessionBody;

/// The response with the body that `make` writes; by default the problem details.
pub(super) fn response<B>(
    rejection: Rejection,
    make: Option<&dyn MakeRejection>,
) -> Response<SessionBody<B>> {
    let RejectionBody { content_type, bytes } =
        make.map_or_else(|| problem_details(&rejection), |make| make.rejection_body(&rejection));
    let mut response = Response::new(SessionBody::rejection(bytes));
    *response.status_mut() = rejection.kind().status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(SESSION_ERROR, HeaderValue::from_static(rejection.code()));
    if rejection.kind() == RejectionKind::StoreUnavailable {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    } else {
        headers.insert(WWW_AUTHENTICATE, challenge(&rejection));
    }
    response
}

/// The problem details of RFC 9457. Titles and codes need no escape in JSON.
fn problem_details(rejection: &Rejection) -> RejectionBody {
    let problem = format!(
        r#"{{"type":"about:blank","title":"{}","status":{},"code":"{}"}}"#,
        rejection.title(),
        rejection.kind().status().as_u16(),
        rejection.code(),
    );
    RejectionBody::new(HeaderValue::from_static("application/problem+json"), problem)
}

/// The challenge of RFC 6750 section 3, or of RFC 9470 section 3 if a recent sign-in is required.
fn challenge(rejection: &Rejection) -> HeaderValue {
    let error = match rejection.kind() {
        // A request without any token gets no error code (RFC 6750 section 3.1).
        RejectionKind::MissingToken => return HeaderValue::from_static("Bearer"),
        RejectionKind::RecentAuthenticationRequired => "insufficient_user_authentication",
        _ => "invalid_token",
    };
    let max_age = rejection.max_age().map_or(Cow::Borrowed(""), |max_age| {
        Cow::Owned(format!(", max_age={}", max_age.as_secs()))
    });
    let title = rejection.title();
    let challenge = format!(r#"Bearer error="{error}", error_description="{title}"{max_age}"#);
    HeaderValue::try_from(challenge).expect("a title is visible ASCII")
}
