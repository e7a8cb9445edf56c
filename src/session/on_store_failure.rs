//! What happens while a store fails.

/// What happens to requests while the store fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStoreFailure {
    /// They are rejected as `store_unavailable`, a 503: an outage signs nobody out. The default.
    #[default]
    Reject,
    /// The token is accepted until its `exp`, and not renewed.
    TrustToken,
}
