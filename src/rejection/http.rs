//! Rejections over HTTP: problem details (RFC 9457) and a challenge (RFC 6750), or the response of the
//! application.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, EXPIRES, RETRY_AFTER, SET_COOKIE,
        TRANSFER_ENCODING, WWW_AUTHENTICATE,
    },
};

use super::{
    kind::RejectionKind, make_rejection::MakeRejection, rejection::Rejection,
    targeted_cache::is_targeted,
};
use crate::{
    body::{SESSION_ERROR, SessionBody},
    jitter::jitter,
    request_class::RequestHead,
};

/// How many seconds a client waits after a 503 at least, and how much longer at random.
const RETRY_AFTER_SECONDS: u64 = 1;
const RETRY_JITTER: Duration = Duration::from_secs(3);

/// The response that `make` makes, unless a store failed; by default the problem details.
pub(super) fn response<B>(
    rejection: Rejection,
    head: RequestHead<'_>,
    make: Option<&dyn MakeRejection>,
) -> Response<SessionBody<B>> {
    let make = make.filter(|_| rejection.kind() != RejectionKind::StoreUnavailable);
    match make.and_then(|make| make.make_rejection(&rejection, head)) {
        Some(response) => from_made(rejection, response),
        None => problem_details(rejection),
    }
}

/// The problem details of RFC 9457. Titles and codes need no escape in JSON.
pub(super) fn problem_details<B>(rejection: Rejection) -> Response<SessionBody<B>> {
    let problem = format!(
        r#"{{"type":"about:blank","title":"{}","status":{},"code":"{}"}}"#,
        rejection.title(),
        rejection.kind().status().as_u16(),
        rejection.code(),
    );
    error_response(rejection, "application/problem+json", problem)
}

/// The response with this body, and what every rejection has.
pub(super) fn error_response<B>(
    rejection: Rejection,
    content_type: &'static str,
    body: String,
) -> Response<SessionBody<B>> {
    let mut response = Response::new(SessionBody::rejection(body.into()));
    *response.status_mut() = rejection.kind().status();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if rejection.kind() == RejectionKind::StoreUnavailable {
        let seconds = RETRY_AFTER_SECONDS + jitter(RETRY_JITTER).as_secs();
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    complete(rejection, response)
}

/// The response to a request that is malformed whatever its session is.
pub(crate) fn bad_request<B>(title: &str) -> Response<SessionBody<B>> {
    let status = StatusCode::BAD_REQUEST;
    let problem =
        format!(r#"{{"type":"about:blank","title":"{title}","status":{}}}"#, status.as_u16());
    let mut response = Response::new(SessionBody::rejection(problem.into()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The response that the application made, without what the stack decides.
fn from_made<B>(rejection: Rejection, made: Response<Bytes>) -> Response<SessionBody<B>> {
    let mut response = made.map(SessionBody::rejection);
    let status = response.status_mut();
    if status.as_u16() < 300 || *status == StatusCode::NOT_MODIFIED {
        *status = rejection.kind().status();
    }
    let headers = response.headers_mut();
    let reserved: Vec<_> = headers.keys().filter(|name| is_reserved(name)).cloned().collect();
    for name in reserved {
        headers.remove(name);
    }
    complete(rejection, response)
}

fn is_reserved(name: &HeaderName) -> bool {
    [SET_COOKIE, EXPIRES, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) || is_targeted(name)
}

/// Adds what every rejection has.
fn complete<B>(rejection: Rejection, mut response: Response<B>) -> Response<B> {
    let needs_challenge = response.status() == StatusCode::UNAUTHORIZED
        && !response.headers().contains_key(WWW_AUTHENTICATE);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(SESSION_ERROR, HeaderValue::from_static(rejection.code()));
    if needs_challenge {
        headers.insert(WWW_AUTHENTICATE, challenge(&rejection));
    }
    response
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
