//! Fetching the keys of an issuer whose token names a `kid` that is not known.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch};

use super::JwtKeys;
use crate::{
    clock::Clock,
    maybe_ready::{LIFECYCLE_TIME_LIMIT, MaybeReady, StoreError, within},
    time::Timestamp,
};

/// How long after a fetch none begins: whoever sends made-up `kid`s causes one fetch in this time.
const FETCH_INTERVAL: Duration = Duration::from_secs(5);

/// Returns the JWK set of an issuer.
type FetchJwks = dyn Fn() -> MaybeReady<String> + Send + Sync;

/// Fetches the JWK set of one issuer: one fetch at a time, however many requests wait for it.
pub(in crate::token) struct Fetcher {
    iss: Arc<str>,
    fetch: Box<FetchJwks>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether the fetch in flight has succeeded, once it has ended.
    running: Option<watch::Receiver<Option<bool>>>,
    ended_at: Option<Timestamp>,
}

impl State {
    /// The fetch in flight. One that has panicked has closed its channel without an outcome.
    fn running(&self) -> Option<watch::Receiver<Option<bool>>> {
        self.running.clone().filter(|running| running.has_changed().is_ok())
    }

    fn has_just_ended(&self, now: Timestamp) -> bool {
        self.ended_at.is_some_and(|at| now >= at && now.since(at) < FETCH_INTERVAL)
    }
}

impl Fetcher {
    pub(super) fn new(iss: &Arc<str>, fetch: Box<FetchJwks>) -> Self {
        Self { iss: Arc::clone(iss), fetch, state: Mutex::default() }
    }

    /// Fetches the keys into `keys`, or waits for the fetch that another request has begun. An error
    /// if it fails, or if one has just ended: then nobody knows whether the issuer has newer keys.
    #[cold]
    pub(in crate::token) fn fetch(
        self: &Arc<Self>,
        keys: &Arc<JwtKeys>,
        clock: &Arc<dyn Clock>,
    ) -> MaybeReady<()> {
        let (sender, receiver) = watch::channel(None);
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(running) = state.running() {
                return MaybeReady::new(outcome(running));
            }
            if state.has_just_ended(clock.now()) {
                return MaybeReady::ready(Err(StoreError::new("the keys were fetched just now")));
            }
            state.running = Some(receiver.clone());
        }
        let pending = match (self.fetch)().try_ready() {
            Ok(answer) => {
                let has_succeeded = self.end(answer, keys, clock.now());
                sender.send_replace(Some(has_succeeded));
                return MaybeReady::ready(if has_succeeded { Ok(()) } else { Err(failed()) });
            }
            Err(pending) => pending,
        };
        let (fetcher, keys, clock) = (Arc::clone(self), Arc::clone(keys), Arc::clone(clock));
        let run = async move {
            let answer = within(pending, &*clock, LIFECYCLE_TIME_LIMIT).await;
            sender.send_replace(Some(fetcher.end(answer, &keys, clock.now())));
        };
        match Handle::try_current() {
            // A request that is cancelled does not cancel the fetch for the others.
            Ok(runtime) => {
                drop(runtime.spawn(run));
                MaybeReady::new(outcome(receiver))
            }
            Err(_) => MaybeReady::new(async move {
                run.await;
                outcome(receiver).await
            }),
        }
    }

    /// Replaces the issuer's keys with what was fetched. Returns whether that has succeeded.
    fn end(&self, answer: Result<String, StoreError>, keys: &JwtKeys, now: Timestamp) -> bool {
        let synced = answer.map_err(|error| Box::new(error) as Box<dyn std::error::Error>);
        let synced = synced.and_then(|json| Ok(keys.sync_jwks(&self.iss, &json)?));
        if let Err(error) = &synced {
            tracing::warn!(error = &**error, iss = &*self.iss, "the keys could not be fetched");
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { running: None, ended_at: Some(now) };
        synced.is_ok()
    }
}

async fn outcome(mut running: watch::Receiver<Option<bool>>) -> Result<(), StoreError> {
    match running.wait_for(Option::is_some).await {
        Ok(has_succeeded) if *has_succeeded == Some(true) => Ok(()),
        _ => Err(failed()),
    }
}

fn failed() -> StoreError {
    StoreError::new("the issuer's keys could not be fetched")
}
