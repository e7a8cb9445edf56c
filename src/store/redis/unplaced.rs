//! Endings of sessions whose user is not known: they are kept in the slot of the feed, and by each node.

use super::{
    Inner,
    endings::too_many,
    feed::{ATTEMPTS, Kept, Published},
    kept_change::FeedChange,
};
use crate::{
    audit::AuditRecord, identity::StoreKey, maybe_ready::StoreError, store::Tombstone,
    time::Timestamp,
};

/// The most of them that one caller has ended: the actor of the audit record, or nobody; and the most of
/// all.
const MAX_PER_CALLER: usize = 4096;
const MAX: usize = 65_536;

/// A session that has ended.
#[derive(Clone, Copy)]
pub(super) struct Ended {
    pub(super) until: Timestamp,
    caller: u32,
}

impl Inner {
    /// Until when the tombstone stands of a session whose user was not known when it ended.
    pub(super) fn unplaced_until(&self, session: StoreKey) -> Option<Timestamp> {
        self.unplaced.get(&session).map(|ended| ended.until)
    }

    /// Remembers what is kept of a session.
    pub(super) fn hold_unplaced(&self, session: StoreKey, until: Timestamp, caller: u32) {
        let mut ended = self.unplaced.entry(session).or_insert(Ended { until, caller });
        ended.until = ended.until.max(until);
    }

    /// Ends a session whose user is not known.
    pub(super) async fn end_unplaced(
        &self,
        tombstone: Tombstone,
        audit: Option<AuditRecord>,
    ) -> Result<bool, StoreError> {
        let Tombstone { session, until, .. } = tombstone;
        let actor = audit.as_ref().and_then(|audit| audit.actor.as_ref());
        let caller = actor.map_or(0, |actor| beginning_of(actor.user));
        let (_, nonce) = uuid::Uuid::new_v4().as_u64_pair();
        let nonce = u32::try_from(nonce >> 32).unwrap_or_default();
        for _ in 0..ATTEMPTS {
            if !self.unplaced.contains_key(&session) && !self.has_room_for(caller) {
                return Err(too_many().into());
            }
            let change = FeedChange::RevokedUnplaced { session, until, caller, nonce };
            let kept = self.kept(&[change.field()]).await?.pop().unwrap_or_default();
            let is_first = kept.is_empty();
            let change = change.merge(&kept)?;
            // The same command is the first one again, if a client sends it twice.
            if self.publish(&[change], &[Kept::new(change, kept)], &[]).await? == Published::Changed
            {
                continue;
            }
            self.apply_own(&[change]);
            if let Some(audit) = audit.filter(|_| is_first) {
                self.append_committed(&audit).await;
            }
            return Ok(is_first);
        }
        Err(StoreError::new("a session was ended too often at the same time"))
    }

    fn has_room_for(&self, caller: u32) -> bool {
        let count = self.unplaced.len();
        let of_caller = || self.unplaced.iter().filter(|ended| ended.caller == caller).count();
        count < MAX_PER_CALLER || (count < MAX && of_caller() < MAX_PER_CALLER)
    }
}

fn beginning_of(user: StoreKey) -> u32 {
    let [one, two, three, four, ..] = *user.as_bytes();
    u32::from_be_bytes([one, two, three, four])
}
