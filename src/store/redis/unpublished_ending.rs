//! The end of a session that a step-up replaces. Its tombstone is written before it is published, so it is
//! published until that succeeds, whatever becomes of the caller: it may have gone, or may not know whether
//! the server has run the step.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use tokio::runtime::Handle;

use super::{Inner, endings::Ending, failure::Failure, kept_change, record::Stored};
use crate::{
    clock::Stopwatch,
    identity::{SessionKeys, StoreKey},
    jitter::jitter,
    maybe_ready::StoreError,
    store::node::Change,
};

/// The most of them that are published in the background, of one user and of all. Of more each node hears
/// with its next write of an activity of the session.
const MAX_PER_USER: u32 = 16;
const MAX: usize = 4096;

/// How long a step may run that the server has received: its deadline is earlier.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// An ending that is published in the background unless it is settled.
pub(super) struct UnpublishedEnding {
    store: Weak<Inner>,
    keys: SessionKeys,
    is_settled: bool,
}

impl UnpublishedEnding {
    pub(super) fn new(store: &Arc<Inner>, keys: SessionKeys) -> Self {
        Self { store: Arc::downgrade(store), keys, is_settled: false }
    }

    /// The ending is published, or the session has not ended.
    pub(super) fn settle(mut self) {
        self.is_settled = true;
    }
}

impl Drop for UnpublishedEnding {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let Some(store) = self.store.upgrade() else { return };
        let permit = Publishing::permit(&store.publishing, self.keys.user);
        let (Some(permit), Ok(runtime)) = (permit, Handle::try_current()) else {
            tracing::warn!("the end of a session is not published in the background");
            return;
        };
        let publishing = publish_until_done(Weak::clone(&self.store), self.keys);
        runtime.spawn(async move {
            publishing.await;
            drop(permit);
        });
    }
}

/// How many endings of each user are published in the background.
#[derive(Default)]
pub(super) struct Publishing {
    users: DashMap<StoreKey, u32, RandomState>,
    all: AtomicUsize,
}

/// The place of an ending that is published in the background.
pub(super) struct Permit {
    publishing: Arc<Publishing>,
    user: StoreKey,
}

impl Publishing {
    /// Returns a place for an ending of a user, if there is one.
    pub(super) fn permit(self: &Arc<Self>, user: StoreKey) -> Option<Permit> {
        let mut count = self.users.entry(user).or_insert(0);
        if *count >= MAX_PER_USER || self.all.load(Relaxed) >= MAX {
            drop(count);
            self.users.remove_if(&user, |_, count| *count == 0);
            return None;
        }
        *count += 1;
        self.all.fetch_add(1, Relaxed);
        drop(count);
        Some(Permit { publishing: Arc::clone(self), user })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Publishing { users, all } = &*self.publishing;
        all.fetch_sub(1, Relaxed);
        users.alter(&self.user, |_, count| count - 1);
        users.remove_if(&self.user, |_, count| *count == 0);
    }
}

/// Publishes that a session has ended, until that succeeds or the step that ends it cannot run any more.
async fn publish_until_done(store: Weak<Inner>, keys: SessionKeys) {
    let since = Stopwatch::start();
    loop {
        let Some(store) = store.upgrade() else { return };
        // What is read after that is final.
        let is_over = since.elapsed() > MAX_DELAY;
        match store.publish_if_ended(keys).await {
            Ok(false) if !is_over => {}
            Ok(_) => return,
            Err(failure) => {
                let error = StoreError::from(failure);
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "the end of a session is not published yet");
            }
        }
        let pause = store.sync_interval;
        drop(store);
        tokio::time::sleep(pause + jitter(pause)).await;
    }
}

impl Inner {
    /// Publishes the end of a session that is replaced. It has ended, and the new one has begun: if this
    /// fails, it is repeated in the background.
    pub(super) async fn publish_replaced(
        &self,
        ending: Ending,
        unpublished: UnpublishedEnding,
        many: u64,
    ) {
        match self.publish_end(&ending).await {
            Ok(()) => {
                unpublished.settle();
                self.finish_end(ending, many).await;
            }
            Err(failure) => {
                let error = StoreError::from(failure);
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the end of a session is published later");
                self.apply_own(&[ending.change()]);
            }
        }
    }

    /// Returns whether the session has a tombstone, which is then published.
    async fn publish_if_ended(&self, keys: SessionKeys) -> Result<bool, Failure> {
        let SessionKeys { session, user } = keys;
        let Some(Stored::Tombstone { until }) = self.stored(keys).await? else { return Ok(false) };
        let change = Change::Revoked { session, user: Some(user), until }.into();
        self.publish(&[change], &[], &[kept_change::exemption(session)]).await?;
        self.apply_own(&[change]);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p31_one_user_takes_no_place_of_others() {
        let publishing = Arc::new(Publishing::default());
        let user = |number: usize| StoreKey::session(None, &number.to_string());
        let permit = |number| Publishing::permit(&publishing, user(number));
        let of_one: Vec<_> = (0..MAX_PER_USER).map(|_| permit(0).expect("a place")).collect();
        assert!(permit(0).is_none());
        let others = MAX - of_one.len();
        let of_others: Vec<_> = (1..=others).map(|it| permit(it).expect("a place")).collect();
        assert!(permit(others + 1).is_none(), "there is no place for anybody");
        assert_eq!(publishing.users.len(), others + 1);
        drop(of_one);
        assert!(permit(0).is_some() && permit(others + 1).is_some());
        drop(of_others);
        assert!(publishing.users.is_empty());
    }
}
