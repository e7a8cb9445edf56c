//! What the activity layer does when the store fails or does not know a session.

/// What becomes of requests while the store does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStoreFailure {
    /// They are answered `store_unavailable`, a 503: nobody is signed out. The default.
    #[default]
    Reject,
    /// The token is trusted until its `exp`, and not renewed.
    TrustToken,
}

/// What becomes of sessions that the store does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownSessions {
    /// They are judged by their token and, if alive, known from then on: another issuer's
    /// sessions, or those from before a restart. The default.
    #[default]
    Adopt,
    /// They are answered `session_revoked`: for stores that must know every session.
    Reject,
}
