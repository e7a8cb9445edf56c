//! Account policies and claims numbers: kept in the slot of the feed.

use std::sync::Arc;

use super::{
    Inner,
    feed::{ATTEMPTS, Kept, Published},
    kept_change::{self, FeedChange, LATEST_CLAIMS},
};
use crate::{
    identity::StoreKey,
    maybe_ready::StoreError,
    policy::TimeoutOverrides,
    store::{
        ClaimsChange, OverridesChange,
        node::{Change, STALE_AFTER, SharedStore as _},
    },
    time::Timestamp,
};

impl Inner {
    pub(super) async fn overrides_of(
        &self,
        account: StoreKey,
    ) -> Result<TimeoutOverrides, StoreError> {
        let kept = self.kept(&[kept_change::overrides(account)]).await?;
        Ok(read_overrides(&kept.concat())?.0)
    }

    pub(super) async fn replace_overrides(
        self: &Arc<Self>,
        change: OverridesChange,
    ) -> Result<bool, StoreError> {
        let OverridesChange { account, old, new, audit } = change;
        let _in_flight = self.calls.acquire(account).await;
        self.sync_if_stale().await?;
        let kept = self.kept(&[kept_change::overrides(account)]).await?.concat();
        let (present, version) = read_overrides(&kept)?;
        if present != old {
            return Ok(false);
        }
        // Default overrides are kept, too, so that a node that reads everything again applies them.
        let change = FeedChange::from(Change::TimeoutOverrides {
            account,
            overrides: new,
            // The server's clock, as claims numbers have it: whatever Redis has lost, the later change has
            // the greater version.
            version: self.connection.server_time(&self.keys.feed()).as_millis().max(version + 1),
        });
        let published = self.publish(&[change], &[Kept::new(change, kept)], &[]).await?;
        if published == Published::Changed {
            return Ok(false);
        }
        self.apply_own(&[change]);
        self.append_committed(&audit).await;
        Ok(true)
    }

    pub(super) async fn raise_claims(
        self: &Arc<Self>,
        change: ClaimsChange,
    ) -> Result<Timestamp, StoreError> {
        let ClaimsChange { scope, now, until, audit } = change;
        let _in_flight = self.calls.acquire(scope.key()).await;
        let _changing = self.changing_claims.lock().await;
        self.sync_if_stale().await?;
        // A node that has not read the change yet goes on minting tokens for this long.
        let until = until + self.sync_interval.saturating_mul(STALE_AFTER);
        for _ in 0..ATTEMPTS {
            let fields = [LATEST_CLAIMS.to_vec(), kept_change::claims(scope.key())];
            let mut kept = self.kept(&fields).await?.into_iter();
            let (latest, before) =
                (kept.next().unwrap_or_default(), kept.next().unwrap_or_default());
            let number = latest.first_chunk().map_or(now, |latest| {
                let latest = Timestamp::from_millis(u64::from_be_bytes(*latest));
                now.max(latest + std::time::Duration::from_millis(1))
            });
            let change = FeedChange::from(Change::Claims { scope: scope.key(), number, until });
            let kept =
                [Kept::latest_claims(number, latest), Kept::new(change.merge(&before)?, before)];
            // Two changes with one number would be one, and a token minted between them stale. What is
            // there already is what this command has written, which the client has sent twice.
            if self.publish(&[change], &kept, &[]).await? != Published::Changed {
                self.apply_own(&[change]);
                self.append_committed(&audit).await;
                return Ok(number);
            }
        }
        Err(StoreError::new("claims changed too often at the same time"))
    }
}

/// Reads the overrides of an account, and how often they were changed.
fn read_overrides(kept: &[u8]) -> Result<(TimeoutOverrides, u64), StoreError> {
    Ok(match FeedChange::unpack(kept)?.first() {
        Some(FeedChange::Known(Change::TimeoutOverrides { overrides, version, .. })) => {
            (*overrides, *version)
        }
        _ => (TimeoutOverrides::default(), 0),
    })
}
