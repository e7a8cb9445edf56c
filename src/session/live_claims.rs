//! The questions that requests with stale claims ask the claims source: one for each session and change.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, SemaphorePermit, watch},
};

use super::SharedSuccessor;
use crate::{
    clock::Clock,
    identity::StoreKey,
    maybe_ready::{MaybeReady, StoreError},
    store::{InFlight, UserLimit},
    time::Timestamp,
    token::{ClaimsSource, CurrentClaims},
};

/// How many questions of this node the source has at a time.
const AT_A_TIME: usize = 64;

/// How many of them are of one user.
const AT_A_TIME_PER_USER: usize = 4;

/// How many answers are kept: in about 1 KB each.
const MAX_KEPT: usize = 16_384;

/// How many of them are of the sessions of one user.
const MAX_KEPT_PER_USER: usize = 32;

/// With this many answers kept, one of these makes room.
const KEPT_PER_EVICTED: usize = 16;

/// The claims source, and its answers about sessions whose claims have changed.
///
/// Of each session the last answer is kept, for requests at the same time, and for later ones whose
/// response could not carry the successor. One that has made room for others is asked for again.
pub(super) struct LiveClaims {
    source: Arc<dyn ClaimsSource>,
    running: Semaphore,
    running_of_user: UserLimit,
    /// The questions about the sessions of each user, the latest last.
    users: DashMap<StoreKey, VecDeque<Asked>, RandomState>,
    kept: AtomicUsize,
}

/// What the source has answered, for the number of a change.
pub(crate) struct Answer {
    pub(super) claims: CurrentClaims,
    /// Of the tokens whose claims were stale.
    pub(crate) successor: SharedSuccessor,
}

/// A question about one session. The sender is dropped without an answer if the source fails or
/// panics.
struct Asked {
    session: StoreKey,
    /// The change that was the reason.
    number: Timestamp,
    answer: watch::Receiver<Option<Arc<Answer>>>,
}

/// One of the questions that the source has at a time.
pub(super) struct Turn<'a> {
    pub(super) source: &'a dyn ClaimsSource,
    _running: SemaphorePermit<'a>,
    _of_user: InFlight<'a>,
}

impl Asked {
    fn is_about(&self, session: StoreKey, number: Timestamp) -> bool {
        self.session == session && self.number >= number && !self.has_failed()
    }

    fn is_running(&self) -> bool {
        self.answer.has_changed().is_ok() && self.answer.borrow().is_none()
    }

    fn has_failed(&self) -> bool {
        // In this order: the answer is sent before the sender is dropped.
        self.answer.has_changed().is_err() && self.answer.borrow().is_none()
    }
}

impl LiveClaims {
    pub(super) fn new(source: Arc<dyn ClaimsSource>) -> Self {
        Self {
            source,
            running: Semaphore::new(AT_A_TIME),
            running_of_user: UserLimit::new(AT_A_TIME_PER_USER),
            users: DashMap::default(),
            kept: AtomicUsize::new(0),
        }
    }

    /// Returns the answer about `session` for the change `number` or a later one: the one that is kept,
    /// or that of the question in flight, or that of `run`.
    pub(super) fn ask<F>(
        &self,
        user: StoreKey,
        session: StoreKey,
        number: Timestamp,
        run: impl FnOnce() -> F,
    ) -> MaybeReady<Arc<Answer>>
    where
        F: Future<Output = Result<CurrentClaims, StoreError>> + Send + 'static,
    {
        if let Some(answer) = self.find(user, session, number) {
            return wait(answer);
        }
        let (sender, receiver) = watch::channel(None);
        let asked = Asked { session, number, answer: receiver.clone() };
        if let Some(running) = self.insert(user, asked) {
            return wait(running);
        }
        let run = run();
        let run = async move {
            if let Ok(claims) = run.await {
                let answer = Answer { claims, successor: SharedSuccessor::default() };
                sender.send_replace(Some(Arc::new(answer)));
            }
        };
        match Handle::try_current() {
            // A request that is cancelled does not cancel the question of the others.
            Ok(runtime) => {
                drop(runtime.spawn(run));
                MaybeReady::new(answered(receiver))
            }
            Err(_) => MaybeReady::new(async move {
                run.await;
                answered(receiver).await
            }),
        }
    }

    /// The source, once it is the turn of a question of `user`. A question whose turn comes after the
    /// time limit is not asked: the requests that wait for it have given up.
    pub(super) async fn turn(
        &self,
        user: StoreKey,
        clock: &dyn Clock,
    ) -> Result<Turn<'_>, StoreError> {
        let asked_at = clock.now();
        let of_user = self.running_of_user.acquire(user).await;
        let running = self.running.acquire().await.map_err(StoreError::new)?;
        if clock.now() >= asked_at + self.time_limit() {
            return Err(StoreError::new("the claims source is busy"));
        }
        Ok(Turn { source: &*self.source, _running: running, _of_user: of_user })
    }

    pub(super) fn time_limit(&self) -> Duration {
        self.source.time_limit()
    }

    fn find(
        &self,
        user: StoreKey,
        session: StoreKey,
        number: Timestamp,
    ) -> Option<watch::Receiver<Option<Arc<Answer>>>> {
        let asked = self.users.get(&user)?;
        let asked = asked.iter().find(|asked| asked.is_about(session, number))?;
        Some(asked.answer.clone())
    }

    /// Adds a question in place of an earlier one about its session, unless another request has just
    /// asked it; then returns that.
    fn insert(&self, user: StoreKey, asked: Asked) -> Option<watch::Receiver<Option<Arc<Answer>>>> {
        if self.kept.load(Relaxed) >= MAX_KEPT {
            self.evict();
        }
        let mut of_user = self.users.entry(user).or_default();
        let (session, number) = (asked.session, asked.number);
        if let Some(running) = of_user.iter().find(|asked| asked.is_about(session, number)) {
            return Some(running.answer.clone());
        }
        let before = of_user.len();
        of_user.retain(|earlier| earlier.session != session && !earlier.has_failed());
        if of_user.len() >= MAX_KEPT_PER_USER {
            of_user.pop_front();
        }
        of_user.push_back(asked);
        let added = of_user.len();
        drop(of_user);
        self.kept.fetch_add(added, Relaxed);
        self.kept.fetch_sub(before, Relaxed);
        None
    }

    /// Removes the answers about a part of the users.
    fn evict(&self) {
        let (mut number, mut removed) = (0, 0);
        self.users.retain(|_, of_user| {
            number += 1;
            let is_removed =
                number % KEPT_PER_EVICTED == 0 && !of_user.iter().any(Asked::is_running);
            removed += if is_removed { of_user.len() } else { 0 };
            !is_removed
        });
        self.kept.fetch_sub(removed, Relaxed);
    }
}

/// Waits for an answer, unless it is at hand.
fn wait(asked: watch::Receiver<Option<Arc<Answer>>>) -> MaybeReady<Arc<Answer>> {
    let answer = asked.borrow().clone();
    match answer {
        Some(answer) => MaybeReady::ready(Ok(answer)),
        None => MaybeReady::new(answered(asked)),
    }
}

async fn answered(
    mut asked: watch::Receiver<Option<Arc<Answer>>>,
) -> Result<Arc<Answer>, StoreError> {
    let failed = || StoreError::new("the claims source failed");
    let answer = asked.wait_for(Option::is_some).await.map_err(|_| failed())?;
    answer.clone().ok_or_else(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::ManualClock,
        token::{ClaimsUpdate, VerifiedToken},
    };

    struct Keep;

    impl ClaimsSource for Keep {
        fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
            MaybeReady::ready(Ok(ClaimsUpdate::Keep))
        }
    }

    const NUMBER: Timestamp = Timestamp::from_secs(1);

    fn user(name: usize) -> StoreKey {
        StoreKey::user(None, None, &name.to_string())
    }

    fn session(name: usize) -> StoreKey {
        StoreKey::session(None, &name.to_string())
    }

    /// Whether the answer about a session is not kept: then it is asked for.
    async fn asks(live: &LiveClaims, of: StoreKey, about: StoreKey) -> bool {
        let mut is_asked = false;
        let answer = live.ask(of, about, NUMBER, || {
            is_asked = true;
            async { Ok(CurrentClaims::Denied) }
        });
        answer.await.expect("an answer");
        is_asked
    }

    #[tokio::test]
    async fn p31_the_answers_of_one_user_are_bounded_and_displace_no_others() {
        let live = LiveClaims::new(Arc::new(Keep));
        assert!(asks(&live, user(1), session(0)).await);
        for number in 1..=100 {
            assert!(asks(&live, user(2), session(number)).await);
        }
        let kept = |of| live.users.get(&of).map_or(0, |asked| asked.len());
        assert_eq!((kept(user(1)), kept(user(2))), (1, MAX_KEPT_PER_USER));
        assert_eq!(live.kept.load(Relaxed), 1 + MAX_KEPT_PER_USER);
        assert!(!asks(&live, user(1), session(0)).await);
        assert!(!asks(&live, user(2), session(100)).await, "the latest are kept");
        assert!(asks(&live, user(2), session(1)).await);
    }

    #[tokio::test]
    async fn p15_the_answers_of_all_users_are_bounded() {
        let live = LiveClaims::new(Arc::new(Keep));
        for number in 0..MAX_KEPT + 1000 {
            assert!(asks(&live, user(number), session(number)).await);
        }
        let kept: usize = live.users.iter().map(|asked| asked.len()).sum();
        assert_eq!(kept, live.kept.load(Relaxed));
        assert!(kept <= MAX_KEPT, "{kept}");
    }

    #[tokio::test]
    async fn p31_one_user_takes_four_turns_and_one_that_comes_too_late_is_none() {
        let (live, clock) = (LiveClaims::new(Arc::new(Keep)), ManualClock::new(NUMBER));
        let mut turns = Vec::new();
        for _ in 0..AT_A_TIME_PER_USER {
            turns.push(live.turn(user(1), &clock).await.expect("there is room"));
        }
        live.turn(user(2), &clock).await.expect("another user waits for nobody");
        let late = async {
            clock.advance(live.time_limit());
            turns.clear();
        };
        let (turn, ()) = tokio::join!(live.turn(user(1), &clock), late);
        assert!(turn.is_err(), "the requests that wait for it have given up");
    }
}
