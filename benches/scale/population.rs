//! Sessions in one store, some of which send requests.

use std::{
    sync::Arc,
    task::{Context, Waker},
};

use http::{HeaderValue, Request, StatusCode};
use tower::{Layer, Service, service_fn};
use tower_sliding_session::{
    ManualClock, SlidingSessions,
    store::{MemoryStore, SessionStore},
};

use crate::scenario::{Case, bare, drive, keys, path_rules, policy};

/// Cache entries per token: enough that no token is evicted by chance.
const PLACES: usize = 16;

pub(crate) struct Population {
    sessions: SlidingSessions,
    /// The `Authorization` values of the sessions that send requests.
    active: Vec<HeaderValue>,
}

impl Population {
    /// Starts `active` sessions in `store` and caches their tokens.
    pub(crate) fn new(store: Arc<dyn SessionStore>, clock: &ManualClock, active: usize) -> Self {
        let sessions = SlidingSessions::builder(keys(), policy(Case::User))
            .cached_tokens(PLACES * active)
            .path_rules(path_rules())
            .store(store)
            .clock(clock.clone())
            .build()
            .expect("a legal configuration");
        let active = (0..active).map(|_| sign_in(&sessions)).collect();
        let population = Self { sessions, active };
        let mut client = population.client();
        population.active.iter().for_each(|bearer| client(request(bearer)));
        population
    }

    /// Returns a function that sends requests through its own service; each must succeed.
    pub(crate) fn client(&self) -> impl FnMut(Request<()>) + use<> {
        let mut service = self.sessions.layer().layer(service_fn(bare));
        move |request| {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(service.poll_ready(&mut cx).is_ready(), "always ready");
            let Ok(response) = drive(service.call(request));
            assert_eq!(response.status(), StatusCode::OK);
        }
    }

    /// Requests of sessions that `random` selects.
    pub(crate) fn requests(&self, count: usize, random: &mut SeededRandom) -> Vec<Request<()>> {
        (0..count).map(|_| request(&self.active[random.below(self.active.len())])).collect()
    }

    /// Requests of `count` sessions that no store knows.
    pub(crate) fn unknown(clock: &ManualClock, count: usize) -> Vec<Request<()>> {
        let elsewhere = Self::new(Arc::new(MemoryStore::new()), clock, 1);
        (0..count).map(|_| request(&sign_in(&elsewhere.sessions))).collect()
    }
}

fn sign_in(sessions: &SlidingSessions) -> HeaderValue {
    let grant = drive(sessions.start("lovelace").into_future()).expect("the session starts");
    format!("Bearer {}", grant.access_token()).parse().expect("a header's value")
}

fn request(bearer: &HeaderValue) -> Request<()> {
    Request::post("/documents/7")
        .header("accept", "application/json")
        .header("authorization", bearer.as_bytes())
        .body(())
        .expect("a request")
}

/// A random number generator with the same numbers in each run.
pub(crate) struct SeededRandom(pub(crate) u64);

impl SeededRandom {
    fn below(&mut self, bound: usize) -> usize {
        // Knuth's linear congruential generator; its upper bits are random enough.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap_or_default() % bound
    }
}
