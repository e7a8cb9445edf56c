//! Refresh rotation: a refresh token is exchanged once, for tokens of the next generation.

use std::fmt;

use super::SessionRecord;
use crate::{
    identity::{Scopes, StoreKey},
    time::Timestamp,
};

/// Asks for the state of a session that is to be refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshQuery {
    /// [`StoreKey::session`].
    pub session: StoreKey,
    /// The session's epoch, as the token carries it.
    pub epoch: Timestamp,
    /// The scopes of bulk revocations that reach the session.
    pub scopes: Scopes,
    /// The last activity of the session if the store has lost it, as
    /// [`Touch::unknown_activity`](super::Touch::unknown_activity).
    pub unknown_activity: Timestamp,
}

impl RefreshQuery {
    /// Creates a query; a store that has lost activity answers with what it has left.
    #[must_use]
    pub const fn new(session: StoreKey, epoch: Timestamp, scopes: Scopes) -> Self {
        Self { session, epoch, scopes, unknown_activity: Timestamp::EPOCH }
    }
}

/// The state of a session that is to be refreshed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshState {
    /// The store has no record of the session; with its last activity, if the store knows that.
    Unknown(Option<Timestamp>),
    /// The session has a tombstone, or a cutoff revoked it.
    Revoked,
    /// The session has a record and is not revoked.
    Known(RefreshedSession),
}

/// What a store knows of the refreshes of a session. Its size does not depend on their number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshedSession {
    /// The last activity.
    pub last_seen: Timestamp,
    /// The generation whose refresh token may be exchanged.
    pub generation: u32,
    /// The exchange that led to `generation`; `None` if there was none, or its record was lost.
    pub exchange: Option<TokenExchange>,
    /// The latest generation of which an access token was presented.
    pub presented: u32,
}

impl RefreshedSession {
    /// Creates the state of a session without any exchange.
    #[must_use]
    pub const fn new(last_seen: Timestamp) -> Self {
        Self { last_seen, generation: 0, exchange: None, presented: 0 }
    }

    /// Records an exchange, and the generation that it led to.
    #[must_use]
    pub fn exchanged(mut self, generation: u32, exchange: TokenExchange) -> Self {
        self.generation = generation;
        self.exchange = Some(exchange);
        self
    }
}

/// One exchange of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenExchange {
    /// When the token was exchanged: the `iat` of its successors, rounded down to a second.
    pub at: Timestamp,
    /// The successors; `None` if the token was consumed without any.
    pub successors: Option<SuccessorIds>,
}

impl TokenExchange {
    /// Creates an exchange.
    #[must_use]
    pub const fn new(at: Timestamp, successors: Option<SuccessorIds>) -> Self {
        Self { at, successors }
    }
}

/// The `jti` of the two tokens that a refresh token was exchanged for. `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SuccessorIds {
    /// The access token's.
    pub access: String,
    /// The refresh token's.
    pub refresh: String,
}

impl SuccessorIds {
    /// Creates a pair.
    #[must_use]
    pub const fn new(access: String, refresh: String) -> Self {
        Self { access, refresh }
    }
}

impl fmt::Debug for SuccessorIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SuccessorIds(..)")
    }
}

/// A refresh token to consume.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rotation {
    /// The token's session.
    pub query: RefreshQuery,
    /// The generation of the token.
    pub generation: u32,
    /// When and for what it is exchanged.
    pub exchange: TokenExchange,
    /// Whether the exchange is an activity.
    pub is_activity: bool,
    /// The record to begin if the store has none: it was evicted or lost, or the token is older
    /// than the store.
    pub record: SessionRecord,
}

impl Rotation {
    /// Consumes a token of `generation` without activity.
    #[must_use]
    pub const fn new(
        query: RefreshQuery,
        generation: u32,
        exchange: TokenExchange,
        record: SessionRecord,
    ) -> Self {
        Self { query, generation, exchange, is_activity: false, record }
    }

    /// The generation of the successors.
    #[must_use]
    pub const fn next_generation(&self) -> u32 {
        self.generation.saturating_add(1)
    }

    /// Whether the store may exchange the token: the session has no record, or the record has
    /// reached no later generation. A record of an earlier one lacks exchanges that were lost; it
    /// continues from the token's.
    #[must_use]
    pub const fn may_follow(&self, recorded: &RefreshedSession) -> bool {
        recorded.generation < self.next_generation()
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
