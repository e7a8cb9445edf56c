//! The error of settings that cannot be built.

use std::{error::Error, fmt};

/// Why [`SlidingSessions`](crate::SlidingSessions) could not be built: lists every problem.
#[derive(Debug)]
pub struct BuildError {
    problems: Vec<String>,
}

impl BuildError {
    pub(super) fn new(problems: Vec<String>) -> Self {
        Self { problems }
    }

    /// The problems, each beginning with the name of the setting, each with what to change.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid session settings: {}", self.problems.join("; "))
    }
}

impl Error for BuildError {}
