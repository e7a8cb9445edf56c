//! What a lifecycle store does: it writes sessions from sign-in to sign-out.

use std::sync::Arc;

use super::{
    BulkRevocation, ClaimsChange, LifecycleQueries, OpenTicket, OverridesChange, RefreshQuery,
    RefreshState, Rotated, Rotation, SessionRecord, SessionStore, SignIn, SignInOutcome, TicketUse,
    Tombstone,
};
use crate::{
    audit::{ActivityEntry, AuditRecord},
    identity::StoreKey,
    maybe_ready::MaybeReady,
    policy::TimeoutOverrides,
    time::Timestamp,
};

/// Stores sessions from sign-in to sign-out, refresh tokens, bulk revocations, account policies
/// and logs.
///
/// A method is one transaction: it happens entirely or not at all, whatever runs concurrently and
/// wherever the process dies. An audit record that a method receives is written in the same
/// transaction, and only if the method says so. A session is *active* if it has no tombstone, no
/// cutoff of its scopes revokes it, and neither its idle nor its absolute deadline has passed. All
/// instants come from the caller; a store reads no clock for its answers.
///
/// What only reads is in [`LifecycleQueries`].
pub trait LifecycleStore: SessionStore + LifecycleQueries {
    /// Begins a session. Its epoch becomes the later of [`SessionRecord::epoch`] and one millisecond
    /// after the latest cutoff of its scopes, and after the last epoch of the user's folded
    /// tombstones. Ends the session that it [replaces](SignIn::replaces) in the same step, as
    /// [`revoke`](Self::revoke) does, and those that end because of its
    /// [limit](SignIn::limit): concurrent sign-ins leave no more sessions than that.
    fn begin(&self, sign_in: SignIn) -> MaybeReady<SignInOutcome>;

    /// Begins the record of a session that has none, such as one of an earlier system at its first
    /// activity. Changes nothing if it has one or is revoked.
    fn adopt(&self, record: SessionRecord) -> MaybeReady<()>;

    /// Returns the state of a session that is to be refreshed; changes nothing.
    fn refresh_state(&self, query: RefreshQuery) -> MaybeReady<RefreshState>;

    /// Exchanges a refresh token: the session's generation becomes [`Rotation::next_generation`].
    /// Begins the record of a session that has none. If the session is revoked, or its record
    /// [forbids it](Rotation::may_follow), changes nothing and returns the state.
    fn rotate(&self, rotation: Rotation) -> MaybeReady<Rotated>;

    /// Writes a tombstone as [`SessionStore::write_tombstone`] does. Returns whether the session had
    /// none, with or without a record; only then writes `audit`, so that each session ends in the log
    /// once (P40).
    fn revoke(&self, tombstone: Tombstone, audit: AuditRecord) -> MaybeReady<bool>;

    /// Revokes all active sessions of a scope: raises its cutoff, to the latest epoch of those
    /// sessions if that is later (P29). Returns how many there were, and
    /// writes the audit record [with that count](AuditRecord::with_revoked_count).
    ///
    /// The cost does not depend on the number of sessions, except for one indexed statement that
    /// counts them.
    fn revoke_all(&self, revocation: BulkRevocation) -> MaybeReady<u64>;

    /// Returns the overrides of an account; the default if it has none.
    fn overrides(&self, account: StoreKey) -> MaybeReady<TimeoutOverrides>;

    /// Replaces `change.old` by `change.new` and writes the audit record. Returns `false` and
    /// changes nothing if the account's overrides are no longer `change.old`.
    fn set_overrides(&self, change: OverridesChange) -> MaybeReady<bool>;

    /// Changes the claims of a scope: raises its number to the later of `change.now` and one millisecond
    /// after the latest number that the store has given to any scope, kept or removed; writes the audit
    /// record. Returns the number. On this node
    /// [`claims_changes`](SessionStore::claims_changes) contains it when this returns.
    fn change_claims(&self, change: ClaimsChange) -> MaybeReady<Timestamp>;

    /// Opens a ticket. The newest 32 tickets of a session stay open; of the older ones none can be used.
    fn open_ticket(&self, ticket: OpenTicket) -> MaybeReady<()>;

    /// Closes a ticket that is used. Returns whether it was open: of any number of calls, on whatever
    /// nodes, one returns `true`, and none at or after [`OpenTicket::until`]. A store that forgets
    /// returns `false` for what it has forgotten, so that no ticket is used twice.
    fn use_ticket(&self, used: TicketUse) -> MaybeReady<bool>;

    /// Appends records to the audit log, and removes records beyond the store's limits of age and
    /// count: nobody's records displace those of another user, and no
    /// [repeatable](crate::audit::AuditEvent::is_repeatable) events displace others.
    fn append_audit(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()>;

    /// Appends entries to the activity log, and removes entries beyond the store's limits of age
    /// and count. Discards them by default, for a store without activity log.
    fn append_activity(&self, entries: Arc<[ActivityEntry]>) -> MaybeReady<()> {
        drop(entries);
        MaybeReady::ready(Ok(()))
    }
}

#[deny(clippy::missing_trait_methods, reason = "an Arc forwards every method")]
impl<T> LifecycleStore for Arc<T>
where
    T: LifecycleStore + ?Sized,
{
    fn begin(&self, sign_in: SignIn) -> MaybeReady<SignInOutcome> {
        (**self).begin(sign_in)
    }

    fn adopt(&self, record: SessionRecord) -> MaybeReady<()> {
        (**self).adopt(record)
    }

    fn refresh_state(&self, query: RefreshQuery) -> MaybeReady<RefreshState> {
        (**self).refresh_state(query)
    }

    fn rotate(&self, rotation: Rotation) -> MaybeReady<Rotated> {
        (**self).rotate(rotation)
    }

    fn revoke(&self, tombstone: Tombstone, audit: AuditRecord) -> MaybeReady<bool> {
        (**self).revoke(tombstone, audit)
    }

    fn revoke_all(&self, revocation: BulkRevocation) -> MaybeReady<u64> {
        (**self).revoke_all(revocation)
    }

    fn overrides(&self, account: StoreKey) -> MaybeReady<TimeoutOverrides> {
        (**self).overrides(account)
    }

    fn set_overrides(&self, change: OverridesChange) -> MaybeReady<bool> {
        (**self).set_overrides(change)
    }

    fn change_claims(&self, change: ClaimsChange) -> MaybeReady<Timestamp> {
        (**self).change_claims(change)
    }

    fn open_ticket(&self, ticket: OpenTicket) -> MaybeReady<()> {
        (**self).open_ticket(ticket)
    }

    fn use_ticket(&self, used: TicketUse) -> MaybeReady<bool> {
        (**self).use_ticket(used)
    }

    fn append_audit(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()> {
        (**self).append_audit(records)
    }

    fn append_activity(&self, entries: Arc<[ActivityEntry]>) -> MaybeReady<()> {
        (**self).append_activity(entries)
    }
}
