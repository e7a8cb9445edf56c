//! The error of a policy that cannot be built.

use std::{error::Error, fmt};

/// Why a [`Policy`](super::Policy) could not be built: lists every problem with what to change.
///
/// ```
/// use std::time::Duration;
/// use tower_sliding_session::Policy;
///
/// let error = Policy::builder()
///     .idle_timeout(Duration::ZERO)
///     .renew_threshold(2.0)
///     .build()
///     .unwrap_err();
/// assert_eq!(error.problems().len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    problems: Vec<String>,
}

impl PolicyError {
    pub(super) fn new(problems: Vec<String>) -> Self {
        Self { problems }
    }

    /// The problems, one sentence each, each beginning with the name of the setting or variable.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid session policy: {}", self.problems.join("; "))
    }
}

impl Error for PolicyError {}
