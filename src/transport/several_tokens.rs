//! Several tokens of one request.

use std::fmt;

/// How many different cookies of one name are looked at.
const MOST: usize = 4;

/// Several tokens that a request presents in cookies of one name: two to four, no two equal, in the
/// order of the request.
///
/// A browser sends several where a path or domain was changed, or where another host of the domain
/// has set one. `Debug` shows their number only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SeveralTokens<'a> {
    tokens: [&'a [u8]; MOST],
    count: usize,
}

impl<'a> SeveralTokens<'a> {
    /// The tokens.
    #[must_use]
    pub fn as_slice(&self) -> &[&'a [u8]] {
        &self.tokens[..self.count]
    }

    pub(super) const fn new() -> Self {
        Self { tokens: [b""; MOST], count: 0 }
    }

    pub(super) fn add(&mut self, token: &'a [u8]) {
        if self.count < MOST && !self.as_slice().contains(&token) {
            self.tokens[self.count] = token;
            self.count += 1;
        }
    }
}

impl fmt::Debug for SeveralTokens<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeveralTokens").field("count", &self.count).finish_non_exhaustive()
    }
}
