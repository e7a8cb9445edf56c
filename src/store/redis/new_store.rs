//! What a node does that starts on a store which was made anew.

use std::{sync::Arc, time::Duration};

use super::{
    Inner,
    kept_change::{self, FeedChange},
    repairs::LONGEST_WRITE_BACK,
};
use crate::{
    clock::{Clock as _, Stopwatch},
    identity::StoreKey,
    maybe_ready::StoreError,
    store::{
        RevocationCutoff,
        node::{Change, SharedStore as _},
    },
    time::Timestamp,
};

/// What becomes of the sessions from before, when Redis has lost everything and no node is left that
/// remembers them.
///
/// While one node runs, nothing needs to be chosen: it writes back every ending, cutoff and account policy that
/// it knows. Without one, an empty Redis looks the same as the first start of an app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDataLoss {
    /// Every session that Redis does not know is judged by its token: active users stay signed in, and a
    /// session that was ended before the loss is let in until its token expires. The default, because it is
    /// right for a first start, where tokens of an earlier system may be adopted; and because a loss
    /// that ends the sessions of every active user does more harm than the few tokens of ended sessions that
    /// have not expired.
    #[default]
    Trust,
    /// Every session that began before Redis was empty is ended, whichever issuer its token is of: nobody is
    /// let in whose session was ended, and every user signs in again. Also at a first start.
    EndAll,
}

/// How many sync intervals the nodes that remember a lost store have to write back what they hold, after
/// they have connected again.
const OTHERS_WRITE_BACK: u32 = 2;
const OTHERS_CONNECT: Duration = Duration::from_millis(500);

/// And at most, however long the sync interval is: a node that has lost its connection reads as soon as it has
/// another one.
const LONGEST_SPAN: Duration = Duration::from_secs(10);

/// How often a node that starts looks whether others have written back.
const POLL: Duration = Duration::from_millis(50);

/// How long the cutoff of all sessions from before a store was made is kept: for ever. It costs as much as
/// any other.
const FOR_EVER: Timestamp = Timestamp::from_millis(1 << 52);

impl Inner {
    /// If the store was made just now, waits until nodes that know of one before it have written back what
    /// they hold; and ends what was begun before, if that is chosen and there are none.
    pub(super) async fn settle(
        self: &Arc<Self>,
        on_data_loss: OnDataLoss,
    ) -> Result<(), StoreError> {
        let Some((id, made_at)) = self.made_at().await else { return Ok(()) };
        let span = self.sync_interval.saturating_mul(OTHERS_WRITE_BACK) + OTHERS_CONNECT;
        let span = span.min(LONGEST_SPAN);
        let settled_at = made_at + span;
        let left = settled_at.since(self.store_clock.store_time(self.clock.now()));
        if self.clock.is_time_of_day() && !left.is_zero() {
            // The time of Redis passes, whatever clock this node has.
            tokio::time::sleep(left).await;
            self.sync().await?;
        }
        self.wait_for_writers().await?;
        match on_data_loss {
            OnDataLoss::Trust => Ok(()),
            OnDataLoss::EndAll => self.end_all_before(id, made_at).await,
        }
    }

    /// Waits until no other node writes back what it holds, for a minute at most.
    async fn wait_for_writers(&self) -> Result<(), StoreError> {
        let waited = Stopwatch::start();
        while self.repairs.has_writers(self.connection.server_time(&self.keys.feed())) {
            if waited.elapsed() > LONGEST_WRITE_BACK {
                tracing::warn!(
                    "other nodes have not written back within a minute what Redis has lost"
                );
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
            self.sync().await?;
        }
        Ok(())
    }

    /// The id of the store, and when it was made by its clock.
    async fn made_at(&self) -> Option<(StoreKey, Timestamp)> {
        let position = self.position.lock().await;
        let position = position.as_ref()?;
        Some((position.store_id(), position.made_at()?))
    }

    /// Ends every session that began before the store was made, unless a node has written back what it
    /// knew of the store before.
    async fn end_all_before(&self, id: StoreKey, made_at: Timestamp) -> Result<(), StoreError> {
        let scope = StoreKey::EVERY_SESSION;
        let cutoff = Change::Cutoff { scope, cutoff: RevocationCutoff::new(made_at, FOR_EVER) };
        let fields = [kept_change::loss(id), FeedChange::from(cutoff).field()];
        if self.kept(&fields).await?.concat().is_empty() {
            // The clock of the node on which a session began may have been ahead.
            let at = self.time_of_change(made_at) + self.store_clock.max_skew();
            let cutoff = RevocationCutoff::new(at, FOR_EVER);
            let change = FeedChange::from(Change::Cutoff { scope, cutoff });
            self.publish_and_keep(&[change], 1, &[]).await?;
            self.apply_own(&[change]);
            tracing::warn!(
                "Redis was empty and no node remembers what it has lost: every session from before has \
                 ended, as `OnDataLoss::EndAll` says"
            );
        }
        Ok(())
    }
}
