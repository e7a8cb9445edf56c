//! The subprotocols of a WebSocket handshake: scripts of a browser can set no other header there.

use std::iter;

use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode,
    header::{SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};

use super::{
    response_edits::ResponseEdits,
    transport::{PresentedToken, TokenOrigin, Transport, mark_sensitive},
};
use crate::{rejection::InvalidTokenReason, request_class::RequestHead};

/// The subprotocol whose rest is a token in base64url, as Kubernetes writes it.
const ENCODED: &[u8] = b"base64url.bearer.authorization.k8s.io.";

/// The subprotocol before the token.
const BEARER: &[u8] = b"bearer";

/// The transport of [`websocket_protocol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebSocketProtocol(());

/// Reads the token from the subprotocols that a WebSocket handshake offers. The constructor of
/// `WebSocket` in a browser can set no header, and takes subprotocols:
///
/// - `["bearer", token]`
/// - `["base64url.bearer.authorization.k8s.io." + base64url(token), "v1.app"]`, without padding
///
/// It reads handshakes only: `GET` with `Upgrade: websocket` (RFC 6455 section 4.1), and the extended
/// `CONNECT` of HTTP/2 (RFC 8441). Several header fields are one list. Two tokens, and `bearer` with
/// nothing after it, are `invalid_token`.
///
/// The layer removes the token before the handler, on `Public` paths too, and keeps the order of the
/// others. It never writes the token into a response. Where a response selects no subprotocol,
/// browsers fail the handshake: then the layer selects `bearer` if it was offered. A handshake that
/// offers nothing but the encoded token is answered with 400.
///
/// A response to a handshake carries no renewed token: a script cannot read it. Layers outside see
/// the token, so a log of request headers must be inside. Servers and proxies accept header lines of
/// about 8 KiB, and base64url adds a third: keep tokens below 4 KiB.
///
/// ```
/// use tower_sliding_session::{JwtKeys, Policy, SlidingSessions, transport::websocket_protocol};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::builder().build()?)
///     .bearer()
///     .transport(websocket_protocol())
///     .build()?;
/// # drop(sessions);
/// # Ok(()) }
/// ```
#[must_use]
pub const fn websocket_protocol() -> WebSocketProtocol {
    WebSocketProtocol(())
}

impl Transport for WebSocketProtocol {
    fn read<'a>(&self, head: RequestHead<'a>) -> PresentedToken<'a> {
        if !is_handshake(head.method(), head.path(), head.headers()) {
            return PresentedToken::None;
        }
        let mut found = PresentedToken::None;
        for entry in entries(head.headers()) {
            let token = match entry {
                Entry::Other(_) => continue,
                Entry::Encoded([]) => PresentedToken::from_bytes(b""),
                Entry::Encoded(token) => PresentedToken::Base64Url(token),
                Entry::Bearer(token) => PresentedToken::from_bytes(token),
            };
            if found != PresentedToken::None {
                return PresentedToken::Unreadable(InvalidTokenReason::SeveralTokens);
            }
            found = token;
        }
        found
    }

    fn mark_sensitive(&self, headers: &mut HeaderMap) {
        mark_sensitive(headers, &SEC_WEBSOCKET_PROTOCOL);
    }

    fn origin(&self) -> TokenOrigin {
        TokenOrigin::NoSuccessor
    }
}

/// One or two elements of the list of subprotocols.
enum Entry<'a> {
    /// The base64url of a token.
    Encoded(&'a [u8]),
    /// The token after `bearer`.
    Bearer(&'a [u8]),
    /// A subprotocol of the application.
    Other(&'a [u8]),
}

/// The subprotocols of all header fields, as one list (RFC 9110 section 5.3).
fn entries(headers: &HeaderMap) -> impl Iterator<Item = Entry<'_>> {
    let fields = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    let elements = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b','));
    let mut elements = elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty());
    iter::from_fn(move || {
        let element = elements.next()?;
        Some(match element.strip_prefix(ENCODED) {
            Some(token) => Entry::Encoded(token),
            None if element == BEARER => Entry::Bearer(elements.next().unwrap_or_default()),
            None => Entry::Other(element),
        })
    })
}

/// Whether a request opens a WebSocket: over HTTP/1.1 with `Upgrade`, over HTTP/2 with the extended
/// `CONNECT`, which has a path where an ordinary one has none (RFC 8441 section 4).
fn is_handshake(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    if *method == Method::CONNECT {
        return !path.is_empty();
    }
    let is_websocket = |name: &[u8]| name.trim_ascii().eq_ignore_ascii_case(b"websocket");
    let mut upgrades = headers.get_all(UPGRADE).into_iter();
    *method == Method::GET
        && upgrades.any(|field| field.as_bytes().split(|byte| *byte == b',').any(is_websocket))
}

/// Whether a handshake offers an encoded token and nothing that a response could select.
pub(crate) fn offers_only_a_token(head: RequestHead<'_>) -> bool {
    if !is_handshake(head.method(), head.path(), head.headers()) {
        return false;
    }
    let mut entries = entries(head.headers()).peekable();
    entries.peek().is_some() && entries.all(|entry| matches!(entry, Entry::Encoded(_)))
}

/// Removes the tokens from the subprotocols of a handshake. Returns what is to be changed in its
/// response.
pub(crate) fn remove_token<B>(request: &mut Request<B>) -> ResponseEdits {
    if !is_handshake(request.method(), request.uri().path(), request.headers()) {
        return ResponseEdits::default();
    }
    let (mut kept, mut has_token, mut has_bearer) = (Vec::new(), false, false);
    for entry in entries(request.headers()) {
        let name = match entry {
            Entry::Other(name) => name,
            Entry::Bearer(_) => BEARER,
            Entry::Encoded(_) => b"",
        };
        has_token |= !matches!(entry, Entry::Other(_));
        has_bearer |= matches!(entry, Entry::Bearer(_));
        if !name.is_empty() {
            kept.extend_from_slice(if kept.is_empty() { b"" } else { b", " });
            kept.extend_from_slice(name);
        }
    }
    if has_token {
        let headers = request.headers_mut();
        headers.remove(SEC_WEBSOCKET_PROTOCOL);
        if let Ok(kept) = HeaderValue::from_bytes(&kept)
            && !kept.is_empty()
        {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, kept);
        }
    }
    let accepted = match *request.method() {
        Method::CONNECT => StatusCode::OK,
        _ => StatusCode::SWITCHING_PROTOCOLS,
    };
    ResponseEdits { select_bearer: has_bearer.then_some(accepted), ..ResponseEdits::default() }
}
