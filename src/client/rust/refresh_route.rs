//! A refresh over HTTP: the ready-made route `refresh`.

use std::{error::Error, fmt, future::poll_fn, marker::PhantomData, pin::pin};

use bytes::{Buf, Bytes};
use http::{HeaderValue, Request, Response, StatusCode, Uri, header::CONTENT_TYPE};
use http_body::Body;
use serde::Deserialize;
use serde_json::json;
use tower_service::Service;

use super::{
    answer::rejection_of,
    refresh::{Refresh, RefreshError, RefreshFuture, RefreshRequest},
    tokens::Tokens,
};
use crate::{body::BoxError, request_class::SESSION_ACTIVITY};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Refreshes with `POST` of `{"refresh_token"}` as JSON: the ready-made route `refresh`.
///
/// `service` is the bare HTTP client, without the layer of the session. `B` is the type of its request
/// bodies. The address must be one of HTTPS, for the refresh token is in the body. Give the service a
/// time limit: the requests of the session wait for it.
pub struct RefreshRoute<S, B> {
    service: S,
    uri: Uri,
    body: PhantomData<fn() -> B>,
}

impl<S, B> RefreshRoute<S, B> {
    /// Refreshes with `service` at `uri`, which has a scheme and a host.
    pub const fn new(service: S, uri: Uri) -> Self {
        Self { service, uri, body: PhantomData }
    }
}

impl<S, B, R> Refresh for RefreshRoute<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: From<Bytes> + Send + 'static,
    R: Body<Data: Send, Error: Into<BoxError>> + Send,
{
    fn refresh(&self, request: RefreshRequest) -> RefreshFuture {
        let mut service = self.service.clone();
        let request = http_request(&self.uri, &request);
        Box::pin(async move {
            poll_fn(|cx| service.poll_ready(cx)).await.map_err(RefreshError::unavailable)?;
            let call = service.call(request.map(B::from));
            let response = call.await.map_err(RefreshError::unavailable)?;
            tokens_of(response).await
        })
    }
}

fn http_request(uri: &Uri, request: &RefreshRequest) -> Request<Bytes> {
    let body = json!({ "refresh_token": request.refresh_token() }).to_string();
    let mut http_request = Request::new(Bytes::from(body));
    *http_request.method_mut() = http::Method::POST;
    *http_request.uri_mut() = uri.clone();
    let headers = http_request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if request.is_background() {
        headers.insert(SESSION_ACTIVITY, HeaderValue::from_static("background"));
    }
    http_request
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    refresh_token: Option<String>,
}

async fn tokens_of<R>(response: Response<R>) -> Result<Tokens, RefreshError>
where
    R: Body<Error: Into<BoxError>>,
{
    if let Some(kind) = rejection_of(response.headers()) {
        return Err(RefreshError::Refused(kind));
    }
    let status = response.status();
    if status != StatusCode::OK {
        return Err(RefreshError::unavailable(UnexpectedAnswer::Status(status)));
    }
    let body = read(response.into_body()).await.map_err(RefreshError::Unavailable)?;
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| RefreshError::unavailable(UnexpectedAnswer::NoTokens))?;
    let tokens = Tokens::new(answer.access_token).map_err(RefreshError::unavailable)?;
    Ok(match answer.refresh_token {
        Some(token) => tokens.with_refresh_token(token),
        None => tokens,
    })
}

/// Reads a body of at most [`MAX_ANSWER`] bytes.
async fn read<R>(body: R) -> Result<Vec<u8>, BoxError>
where
    R: Body<Error: Into<BoxError>>,
{
    let (mut body, mut read) = (pin!(body), Vec::new());
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(mut data) = frame.map_err(Into::into)?.into_data() else { continue };
        if data.remaining() > MAX_ANSWER - read.len() {
            return Err(UnexpectedAnswer::TooLong.into());
        }
        read.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    Ok(read)
}

/// An answer that is neither tokens nor a refusal of this crate.
#[derive(Debug)]
enum UnexpectedAnswer {
    Status(StatusCode),
    NoTokens,
    TooLong,
}

impl fmt::Display for UnexpectedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the answer has the status {}", status.as_u16()),
            Self::NoTokens => f.write_str("the answer has no tokens"),
            Self::TooLong => f.write_str("the answer is longer than 64 KiB"),
        }
    }
}

impl Error for UnexpectedAnswer {}

impl<S, B> fmt::Debug for RefreshRoute<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshRoute").field("uri", &self.uri).finish_non_exhaustive()
    }
}
