//! What a store of sessions promises.

use std::{sync::Arc, time::Duration};

use super::{AccountPolicies, Revocations};
use crate::{identity::StoreKey, maybe_ready::MaybeReady, time::Timestamp};

/// Remembers when each session was last active, and which sessions are over.
///
/// A store owns atomicity: [`touch`](Self::touch) is one step, whatever runs beside it. All
/// instants come from the caller; a store reads no clock.
pub trait SessionStore: Send + Sync + 'static {
    /// Checks a session and, if it lives, records an activity; one atomic step.
    ///
    /// The session is judged by the later of the stored last activity and
    /// [`Touch::token_activity`]. It is over where a tombstone stands
    /// ([`TouchOutcome::Ended`]), or where `now` has reached that instant plus [`Touch::idle`]
    /// ([`TouchOutcome::Idle`]); neither is ever revived. An unknown session begins its entry, unless
    /// [`Touch::known_only`] forbids it. The last activity never moves backwards.
    fn touch(&self, session: StoreKey, touch: Touch) -> MaybeReady<TouchOutcome>;

    /// What is known of a session; records nothing.
    fn get(&self, session: StoreKey) -> MaybeReady<StoredSession>;

    /// Writes a tombstone that lives until `until`, whether or not an entry exists; idempotent
    /// (the later `until` holds). A tombstone is never evicted: an error if there is no room.
    fn write_tombstone(&self, session: StoreKey, until: Timestamp) -> MaybeReady<()>;

    /// Returns the bulk revocations that this node knows, if the store supports them. A layer
    /// calls this once, when it is made, and reads the value at every request.
    fn revocations(&self) -> Option<Arc<Revocations>> {
        None
    }

    /// Returns the account policies that this node knows, if the store supports them. A layer
    /// calls this once, when it is made, and reads the value at every request.
    fn account_policies(&self) -> Option<Arc<AccountPolicies>> {
        None
    }
}

impl<T> SessionStore for Arc<T>
where
    T: SessionStore + ?Sized,
{
    fn touch(&self, session: StoreKey, touch: Touch) -> MaybeReady<TouchOutcome> {
        (**self).touch(session, touch)
    }

    fn get(&self, session: StoreKey) -> MaybeReady<StoredSession> {
        (**self).get(session)
    }

    fn write_tombstone(&self, session: StoreKey, until: Timestamp) -> MaybeReady<()> {
        (**self).write_tombstone(session, until)
    }

    fn revocations(&self) -> Option<Arc<Revocations>> {
        (**self).revocations()
    }

    fn account_policies(&self) -> Option<Arc<AccountPolicies>> {
        (**self).account_policies()
    }
}

/// An activity to check and record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// When the activity happens.
    pub now: Timestamp,
    /// The last activity that the token itself proves.
    pub token_activity: Timestamp,
    /// The session's idle timeout.
    pub idle: Duration,
    /// Whether an unknown session stays unknown ([`TouchOutcome::Unknown`]).
    pub known_only: bool,
}

/// The answer to a [`Touch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TouchOutcome {
    /// The session lives and the activity is recorded; with the last activity stored before, if
    /// the store knew the session.
    Active(Option<Timestamp>),
    /// The idle timeout had passed; with the last activity, the later of the two.
    Idle(Timestamp),
    /// The store does not know the session and may not begin its entry; nothing is recorded.
    Unknown,
    /// A tombstone stands.
    Ended,
}

/// What a store knows of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredSession {
    /// Nothing.
    Unknown,
    /// The last activity.
    Active(Timestamp),
    /// A tombstone stands.
    Ended,
}
