//! The request headers that the layers read.

use http::{
    HeaderMap,
    header::{AUTHORIZATION, IF_MODIFIED_SINCE, IF_NONE_MATCH, ORIGIN},
};

use super::{
    activity_header::{DeclaredActivity, SESSION_ACTIVITY},
    header_occurrence::HeaderOccurrence,
};

/// The request headers that the layers read, found in one pass: a look-up by name would hash the
/// name each time.
#[derive(Default)]
pub(crate) struct RequestHeaders<'a> {
    pub(super) authorization: HeaderOccurrence<'a>,
    pub(crate) has_origin: bool,
    /// Whether the response may be a 304.
    pub(crate) is_conditional: bool,
    activity: DeclaredActivity,
}

impl<'a> RequestHeaders<'a> {
    #[inline]
    pub(crate) fn new(headers: &'a HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            if *name == AUTHORIZATION {
                found.authorization = found.authorization.and(value);
            } else if *name == ORIGIN {
                found.has_origin = true;
            } else if *name == IF_NONE_MATCH || *name == IF_MODIFIED_SINCE {
                found.is_conditional = true;
            } else if *name == SESSION_ACTIVITY {
                found.activity = found.activity.and(value);
            }
        }
        found
    }

    /// Whether the client declares that the request is no activity of its user.
    pub(crate) fn says_background(&self) -> bool {
        self.activity == DeclaredActivity::Background
    }
}
