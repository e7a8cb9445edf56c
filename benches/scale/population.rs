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

/// So many places a token that none is displaced by chance.
const PLACES: usize = 16;

pub(crate) struct Population {
    sessions: SlidingSessions,
    /// The `Authorization` values of the sessions that send requests.
    active: Vec<HeaderValue>,
}

impl Population {
    /// Starts `active` sessions among those of `store`, whose tokens are then remembered.
    pub(crate) fn new(store: Arc<dyn SessionStore>, clock: &ManualClock, active: usize) -> Self {
        let sessions = SlidingSessions::builder(keys(), policy(Case::User))
            .cached_tokens(PLACES * active)
            .path_rules(path_rules())
            .store(store)
            .clock(clock.clone())
            .build()
            .expect("the settings agree");
        let active = (0..active).map(|_| sign_in(&sessions)).collect();
        let population = Self { sessions, active };
        let mut client = population.client();
        population.active.iter().for_each(|bearer| client(request(bearer)));
        population
    }

    /// Sends requests through a stack of its own, which lets them pass.
    pub(crate) fn client(&self) -> impl FnMut(Request<()>) + use<> {
        let mut service = self.sessions.layer().layer(service_fn(bare));
        move |request| {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(service.poll_ready(&mut cx).is_ready(), "always ready");
            let Ok(response) = drive(service.call(request));
            assert_eq!(response.status(), StatusCode::OK);
        }
    }

    /// Requests of sessions that are drawn by `dice`.
    pub(crate) fn requests(&self, count: usize, dice: &mut Dice) -> Vec<Request<()>> {
        (0..count).map(|_| request(&self.active[dice.below(self.active.len())])).collect()
    }

    /// Requests of as many sessions that its store has not seen.
    pub(crate) fn strangers(clock: &ManualClock, count: usize) -> Vec<Request<()>> {
        let elsewhere = Self::new(Arc::new(MemoryStore::new()), clock, 1);
        (0..count).map(|_| request(&sign_in(&elsewhere.sessions))).collect()
    }
}

fn sign_in(sessions: &SlidingSessions) -> HeaderValue {
    let grant = drive(sessions.start("lovelace").into_future()).expect("a session starts");
    format!("Bearer {}", grant.access_token()).parse().expect("a header's value")
}

fn request(bearer: &HeaderValue) -> Request<()> {
    Request::post("/documents/7")
        .header("accept", "application/json")
        .header("authorization", bearer.as_bytes())
        .body(())
        .expect("a request")
}

/// Draws the same numbers in each run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        // Knuth's linear congruence; its upper half is random enough.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap_or_default() % bound
    }
}
