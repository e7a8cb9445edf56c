//! What the layers look for in a request's headers.

use http::{
    HeaderMap,
    header::{AUTHORIZATION, ORIGIN},
};

use super::{SESSION_ACTIVITY, is_background};
use crate::transport::HeaderOccurrence;

/// What the layers look for in a request's headers, found in one pass: each look-up by name would
/// hash the name anew.
#[derive(Default)]
pub(crate) struct RequestHeaders<'a> {
    pub(crate) authorization: HeaderOccurrence<'a>,
    pub(crate) has_origin: bool,
    activity: HeaderOccurrence<'a>,
}

impl<'a> RequestHeaders<'a> {
    #[inline]
    pub(crate) fn new(headers: &'a HeaderMap) -> Self {
        let mut noted = Self::default();
        for (name, value) in headers {
            if *name == AUTHORIZATION {
                noted.authorization = noted.authorization.with(value);
            } else if *name == ORIGIN {
                noted.has_origin = true;
            } else if *name == SESSION_ACTIVITY {
                noted.activity = noted.activity.with(value);
            }
        }
        noted
    }

    /// Whether the client says that nobody sits before it.
    pub(crate) fn says_background(&self) -> bool {
        is_background(self.activity)
    }
}
