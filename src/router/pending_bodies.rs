//! The request bodies that have not arrived yet. Each is held for a time, and as many as a client may
//! hold: a new one displaces the oldest of the same client.

use std::{
    collections::{BTreeMap, HashMap},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use crate::identity::StoreKey;

/// How many bodies one user may hold.
const MAX_OF_USER: usize = 8;

/// How many bodies all clients without a session may hold together: nothing tells them apart. At
/// 16 KiB each they take 16 MiB. The oldest is displaced, so slow bodies take each other's places:
/// that of a client that sends its body at once is never one of them.
const MAX_ANONYMOUS: usize = 1024;

/// Who holds a body: a user, or any client without a session.
type Holder = Option<StoreKey>;

/// The bodies that are awaited.
#[derive(Default)]
pub(super) struct PendingBodies(Mutex<Held>);

#[derive(Default)]
struct Held {
    /// The number of the next body.
    next: u64,
    /// By number: the oldest first. Dropping a sender displaces its body.
    bodies: HashMap<Holder, BTreeMap<u64, oneshot::Sender<()>>>,
}

impl PendingBodies {
    /// Adds a body of `holder`, and displaces the oldest one of `holder` if there are too many.
    pub(super) fn add(self: &Arc<Self>, holder: Holder) -> PendingBody {
        let (sender, displaced) = oneshot::channel();
        let most = if holder.is_some() { MAX_OF_USER } else { MAX_ANONYMOUS };
        let mut held = self.held();
        let number = held.next;
        held.next += 1;
        let bodies = held.bodies.entry(holder).or_default();
        bodies.insert(number, sender);
        if bodies.len() > most {
            bodies.pop_first();
        }
        PendingBody { bodies: Arc::clone(self), holder, number, displaced }
    }

    fn remove(&self, holder: Holder, number: u64) {
        let mut held = self.held();
        let Some(bodies) = held.bodies.get_mut(&holder) else { return };
        bodies.remove(&number);
        if bodies.is_empty() {
            held.bodies.remove(&holder);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that is awaited, until this is dropped.
pub(super) struct PendingBody {
    bodies: Arc<PendingBodies>,
    holder: Holder,
    number: u64,
    displaced: oneshot::Receiver<()>,
}

impl PendingBody {
    /// Ready as soon as another body has taken the place of this one.
    pub(super) fn poll_displaced(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.displaced).poll(cx).map(drop)
    }
}

impl Drop for PendingBody {
    fn drop(&mut self) {
        self.bodies.remove(self.holder, self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn is_displaced(body: &mut PendingBody) -> bool {
        body.poll_displaced(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn p31_a_holder_displaces_its_own_oldest_body_only() {
        let ada = Some(StoreKey::user(None, None, "ada"));
        let bob = Some(StoreKey::user(None, None, "bob"));
        for (holder, most) in [(ada, MAX_OF_USER), (None, MAX_ANONYMOUS)] {
            let bodies = Arc::new(PendingBodies::default());
            let mut others =
                [bodies.add(bob), bodies.add(if holder.is_some() { None } else { ada })];
            let mut held: Vec<_> = (0..most).map(|_| bodies.add(holder)).collect();
            assert!(!held.iter_mut().any(is_displaced));
            held.push(bodies.add(holder));
            held.push(bodies.add(holder));
            let displaced: Vec<_> = held.iter_mut().map(is_displaced).collect();
            assert!(displaced[..2].iter().all(|is_displaced| *is_displaced));
            assert!(!displaced[2..].iter().any(|is_displaced| *is_displaced));
            assert!(!others.iter_mut().any(is_displaced));
        }
    }

    #[test]
    fn p15_a_body_that_arrived_or_was_given_up_takes_no_place() {
        let ada = Some(StoreKey::user(None, None, "ada"));
        let bodies = Arc::new(PendingBodies::default());
        let mut first = bodies.add(ada);
        for _ in 0..2 * MAX_OF_USER {
            drop(bodies.add(ada));
        }
        assert!(!is_displaced(&mut first));
        drop(first);
        assert!(bodies.held().bodies.is_empty());
    }
}
