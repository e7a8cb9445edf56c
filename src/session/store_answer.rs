//! What a store returned about a session.

use crate::{
    maybe_ready::StoreError,
    store::{StoredSession, TouchOutcome},
};

/// What a store returned about a session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StoreAnswer {
    /// No store was asked yet: the idle timeout is not checked.
    NotAsked,
    /// The store failed or did not answer in time.
    Failed,
    Touch(TouchOutcome),
    Get(StoredSession),
}

impl From<Result<TouchOutcome, StoreError>> for StoreAnswer {
    #[inline(always)]
    fn from(answer: Result<TouchOutcome, StoreError>) -> Self {
        answer.map_or_else(|error| Self::failed(&error), Self::Touch)
    }
}

impl From<Result<StoredSession, StoreError>> for StoreAnswer {
    #[inline(always)]
    fn from(answer: Result<StoredSession, StoreError>) -> Self {
        answer.map_or_else(|error| Self::failed(&error), Self::Get)
    }
}

impl StoreAnswer {
    /// Whether no store knows the session, so that its token ends it.
    pub(super) const fn is_unknown(self) -> bool {
        matches!(
            self,
            Self::NotAsked | Self::Touch(TouchOutcome::Unknown) | Self::Get(StoredSession::Unknown)
        )
    }

    #[cold]
    fn failed(error: &StoreError) -> Self {
        tracing::warn!(error = error as &dyn std::error::Error, "the session store failed");
        Self::Failed
    }
}
