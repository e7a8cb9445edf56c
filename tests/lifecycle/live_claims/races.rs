//! Requests, renewals and refreshes in flight while a role changes.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use tokio::{sync::Barrier, task::JoinSet};
use tower_sliding_session::{
    Grant, MaybeReady,
    store::StoreError,
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};

use super::get;
use crate::{
    client::{refreshed, service_of},
    empty_stores::Store,
    test_stack::{MILLI, TestStack, rejected, renewed, text},
};

const REQUESTERS: usize = 4;

/// The role is the number of the round; the source reads it at once, and answers a little later.
#[derive(Clone)]
pub(super) struct Rounds {
    written: Arc<AtomicU32>,
    questions: Arc<AtomicU32>,
}

impl Rounds {
    pub(super) fn new(written: &Arc<AtomicU32>) -> Self {
        Self { written: Arc::clone(written), questions: Arc::default() }
    }
}

impl ClaimsSource for Rounds {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        let role = self.written.load(SeqCst).to_string();
        let claims = ClaimsUpdate::replace(&serde_json::json!({ "role": role }));
        let claims = claims.map_err(StoreError::new);
        match self.questions.fetch_add(1, SeqCst) % 3 {
            0 => MaybeReady::ready(claims),
            yields => MaybeReady::new(async move {
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
                claims
            }),
        }
    }
}

struct Race {
    stack: TestStack,
    /// The round whose `claims_changed` has returned.
    returned: AtomicU32,
    token: Mutex<String>,
    grant: Mutex<Option<Grant>>,
}

impl Race {
    /// Sends a request; its handler must not see a role that was changed before it was sent.
    async fn request(&self, token: &str) {
        let before = self.returned.load(SeqCst);
        let response = get(&self.stack, token).await;
        assert_eq!(rejected(&response), None);
        if let Some(successor) = renewed(&response) {
            *self.token.lock().expect("no panic") = successor;
        }
        let seen: u32 = text(response).await.parse().expect("a round");
        assert!(seen >= before, "a request that was sent after round {before} has seen {seen}");
    }
}

pub(crate) async fn p37_no_request_sees_a_role_after_its_change(store: Store, rounds: u32) {
    let written = Arc::new(AtomicU32::new(0));
    let source = Rounds::new(&written);
    let policy = tower_sliding_session::Policy::long_lived();
    let stack = service_of(policy, &store, |builder| builder.claims_source(source));
    let grant = stack.sessions.start("ada").tenant("acme").await.expect("the session starts");
    let race = Arc::new(Race {
        stack,
        returned: AtomicU32::new(0),
        token: Mutex::new(grant.access_token().to_owned()),
        grant: Mutex::new(Some(grant)),
    });
    for round in 1..=rounds {
        race.stack.at(round * MILLI);
        let start = Arc::new(Barrier::new(REQUESTERS + 2));
        let mut tasks = JoinSet::new();
        for _ in 0..REQUESTERS {
            let (race, start) = (Arc::clone(&race), Arc::clone(&start));
            tasks.spawn(async move {
                start.wait().await;
                for _ in 0..3 {
                    let token = race.token.lock().expect("no panic").clone();
                    race.request(&token).await;
                }
            });
        }
        let (refresher, started) = (Arc::clone(&race), Arc::clone(&start));
        tasks.spawn(async move {
            let grant = refresher.grant.lock().expect("no panic").take().expect("it is put back");
            started.wait().await;
            let next = refreshed(&refresher.stack, &grant).await;
            refresher.request(next.access_token()).await;
            *refresher.grant.lock().expect("no panic") = Some(next);
        });
        start.wait().await;
        for _ in 0..round % 5 {
            tokio::task::yield_now().await;
        }
        written.store(round, SeqCst);
        let sessions = &race.stack.sessions;
        let scope = match round % 4 {
            0 => sessions.user_scope(Some("acme"), "ada"),
            1 => sessions.subject_scope("ada"),
            2 => sessions.account_scope("acme"),
            _ => sessions.everything(),
        };
        sessions.claims_changed(scope).await.expect("the store answers");
        race.returned.store(round, SeqCst);
        let token = race.token.lock().expect("no panic").clone();
        race.request(&token).await;
        tasks.join_all().await;
    }
}
