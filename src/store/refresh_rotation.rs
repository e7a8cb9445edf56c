//! Refresh rotation: a refresh token is exchanged once for its successors.

use std::fmt;

use super::SessionRecord;
use crate::{
    identity::{Scopes, StoreKey},
    time::Timestamp,
};

/// Asks for the state of a refresh token and of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshQuery {
    /// [`StoreKey::session`] of the token's session.
    pub session: StoreKey,
    /// [`StoreKey::token`] of the token's `jti`.
    pub token: StoreKey,
    /// The session's epoch, as the token carries it.
    pub epoch: Timestamp,
    /// The scopes of bulk revocations that reach the session.
    pub scopes: Scopes,
}

impl RefreshQuery {
    /// Creates a query.
    #[must_use]
    pub const fn new(session: StoreKey, token: StoreKey, epoch: Timestamp, scopes: Scopes) -> Self {
        Self { session, token, epoch, scopes }
    }
}

/// The state of a refresh token and of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshState {
    /// The state of the session.
    pub session: RefreshedSession,
    /// The state of the token.
    pub token: TokenState,
}

impl RefreshState {
    /// Creates a state.
    #[must_use]
    pub const fn new(session: RefreshedSession, token: TokenState) -> Self {
        Self { session, token }
    }
}

/// The state of a refresh token's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshedSession {
    /// The store does not know the session.
    Unknown,
    /// The session has a tombstone, or a cutoff revoked it.
    Revoked,
    /// The session is known and not revoked; with its last activity.
    Known(Timestamp),
}

/// The state of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenState {
    /// The token has not been used.
    Unused,
    /// The token has been used.
    Used {
        /// When it was used.
        at: Timestamp,
        /// The successors that it was exchanged for, if any, until the successor is used.
        successor: Option<SuccessorPayloads>,
        /// Whether it was exchanged for successors.
        had_successor: bool,
    },
}

/// The payloads of the tokens that a refresh token was exchanged for. They are not signed, so a
/// reader of the store gains no token. `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SuccessorPayloads {
    /// The access token's payload.
    pub access: String,
    /// The refresh token's payload.
    pub refresh: String,
    /// [`StoreKey::token`] of the refresh token's `jti`.
    pub token: StoreKey,
}

impl SuccessorPayloads {
    /// Creates a pair of payloads.
    #[must_use]
    pub const fn new(access: String, refresh: String, token: StoreKey) -> Self {
        Self { access, refresh, token }
    }
}

impl fmt::Debug for SuccessorPayloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SuccessorPayloads(..)")
    }
}

/// A refresh token to consume.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rotation {
    /// The token and its session.
    pub query: RefreshQuery,
    /// When it is used.
    pub now: Timestamp,
    /// The token's `exp`: until then the store remembers it as used.
    pub until: Timestamp,
    /// The successors that it is exchanged for; `None` consumes it without any.
    pub successors: Option<SuccessorPayloads>,
    /// Whether the exchange is an activity at `now`.
    pub is_activity: bool,
    /// The record to begin if the session is unknown, because its token is older than the store.
    pub adopt: Option<SessionRecord>,
}

impl Rotation {
    /// Consumes a token without successors and without activity, and begins no record.
    #[must_use]
    pub const fn new(query: RefreshQuery, now: Timestamp, until: Timestamp) -> Self {
        Self { query, now, until, successors: None, is_activity: false, adopt: None }
    }
}

/// The answer to a [`Rotation`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotated {
    /// The token is consumed.
    Done,
    /// Nothing was changed, because of this state.
    Refused(RefreshState),
}
