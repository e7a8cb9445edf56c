//! What a transport changes in a response.

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, EXPIRES, SEC_WEBSOCKET_PROTOCOL},
};

use crate::rejection::is_targeted;

/// What a transport changes in the response of the handler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResponseEdits {
    /// The status of a response that opens a WebSocket, if `bearer` was offered.
    pub(super) select_bearer: Option<StatusCode>,
    /// The token stood in the URI: a shared cache would hand the response to whoever has that URI.
    pub(crate) forbid_caching: bool,
}

impl ResponseEdits {
    /// Selects the subprotocol `bearer` where the handler opens a WebSocket and selects none, and forbids
    /// caches to store the response.
    #[inline(always)]
    pub(crate) fn apply<B>(self, response: &mut Response<B>) {
        if self != Self::default() {
            self.apply_some(response);
        }
    }

    #[cold]
    fn apply_some<B>(self, response: &mut Response<B>) {
        let is_accepted = self.select_bearer == Some(response.status());
        let headers = response.headers_mut();
        if is_accepted {
            headers.entry(SEC_WEBSOCKET_PROTOCOL).or_insert(HeaderValue::from_static("bearer"));
        }
        if self.forbid_caching {
            forbid_caching(headers);
        }
    }
}

/// Removes what shared caches obey before `Cache-Control`, which becomes `no-store`.
fn forbid_caching(headers: &mut HeaderMap) {
    let permits = |name: &&HeaderName| **name == EXPIRES || is_targeted(name);
    let permitting: Vec<_> = headers.keys().filter(permits).cloned().collect();
    for name in permitting {
        headers.remove(name);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
