//! `GET /session.js`, `GET /session-streams.js` and `GET /session-warning.js`: the modules for browsers.

use axum_core::response::{IntoResponse, Response};
use base64_simd::URL_SAFE_NO_PAD;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS},
};
use sha2::{Digest, Sha256};

/// A module and its entity tag.
#[derive(Clone)]
pub(super) struct BrowserModule {
    text: &'static str,
    etag: HeaderValue,
}

impl BrowserModule {
    pub(super) fn new(text: &'static str) -> Self {
        let digest = URL_SAFE_NO_PAD.encode_to_string(&Sha256::digest(text)[..16]);
        let etag = HeaderValue::try_from(format!("\"{digest}\"")).expect("it is visible ASCII");
        Self { text, etag }
    }

    /// Responds with the module, or with 304 to a browser that has it. A browser asks each time
    /// (`no-cache`), so that a page never has the module of another version of the server.
    pub(super) fn respond(&self, request: &HeaderMap) -> Response {
        let headers = [
            (ETAG, self.etag.clone()),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        if self.is_known_to(request) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        let content_type = HeaderValue::from_static("text/javascript; charset=utf-8");
        (headers, [(CONTENT_TYPE, content_type)], self.text).into_response()
    }

    /// The weak comparison of RFC 9110 section 13.1.2: a proxy that compresses weakens the tag.
    fn is_known_to(&self, request: &HeaderMap) -> bool {
        let values = request.get_all(IF_NONE_MATCH).iter();
        let mut tags = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        tags.any(|tag| {
            let tag = tag.trim_ascii();
            tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == self.etag.as_bytes()
        })
    }
}
