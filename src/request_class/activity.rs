//! Which requests are activity of the user.

#[cfg(feature = "axum-router")]
use http::HeaderMap;

use super::{
    activity_header::says_user, class::RequestClass, classify::Classify, head::RequestHead,
};

/// Which requests and refreshes are activity of the user, where no path rule says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// Each one that does not declare `Session-Activity: background`. The default.
    #[default]
    Requests,
    /// Those that declare `Session-Activity: user`. For pages that send requests by themselves: a tab
    /// that nobody uses keeps no session alive.
    Declared,
}

impl Activity {
    /// Whether a refresh with these headers is activity.
    #[cfg(feature = "axum-router")]
    pub(crate) fn counts_refresh(self, headers: &HeaderMap) -> bool {
        match self {
            Self::Requests => !super::activity_header::says_background(headers),
            Self::Declared => says_user(headers),
        }
    }
}

/// Returns the class that `classify` names, or else `User` if the client declares it (P17).
pub(crate) fn named_or_declared(
    classify: &dyn Classify,
    head: RequestHead<'_>,
) -> Option<RequestClass> {
    let declared = || says_user(head.headers()).then_some(RequestClass::User);
    classify.named_class(head).or_else(declared)
}
