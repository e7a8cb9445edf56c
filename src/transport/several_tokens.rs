//! Several tokens of one request.

use std::fmt;

use http::HeaderMap;

use super::cookie_header;

/// How many different cookies of one name are looked at.
const MOST: usize = 4;

/// Several tokens that a request presents in cookies of one name: two to four, no two equal.
///
/// A browser sends several where a path or domain was changed, or where another host of the domain
/// has set one. `Debug` shows none of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SeveralTokens<'a> {
    // Not the tokens themselves: what a transport finds stays small for every other request.
    headers: &'a HeaderMap,
    name: &'a [u8],
}

impl<'a> SeveralTokens<'a> {
    /// The tokens in the cookies `name`.
    pub(super) const fn new(headers: &'a HeaderMap, name: &'a [u8]) -> Self {
        Self { headers, name }
    }

    /// The tokens, in the order of the request.
    #[must_use]
    pub fn to_vec(&self) -> Vec<&'a [u8]> {
        let mut tokens = Vec::with_capacity(MOST);
        for (_, token) in cookie_header::cookies(self.headers, self.name) {
            if tokens.len() < MOST && !token.is_empty() && !tokens.contains(&token) {
                tokens.push(token);
            }
        }
        tokens
    }
}

impl fmt::Debug for SeveralTokens<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeveralTokens(..)")
    }
}
