//! Sign-outs while a store fails. One that was answered with success is effective: on its node at once, on
//! others as soon as they have read of it. One that was answered with 503 may be repeated until it is. No token
//! is minted for a session that has ended.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep};
use tower_sliding_session::layers::OnStoreFailure;

use crate::{
    limits::fault_time,
    node::{Answer, Answered, Handler, Node},
};

/// How long after an end another node may admit the session: it reads the changes every second, and
/// admits nothing from its cache when its last reading is older than three.
const UNTIL_READ: Duration = Duration::from_secs(3);

/// How many users sign out at the same time, and the pauses of each: between two requests, and between
/// two sessions.
const USERS: usize = 2;
const REQUEST_PAUSE: Duration = Duration::from_millis(20);
const SESSION_PAUSE: Duration = Duration::from_millis(200);

/// Of a run without a fault, in seconds.
const OTHER_SECONDS: u64 = 8;

pub(crate) struct SignOuts {
    nodes: Vec<Node>,
    tokens: Vec<String>,
    next: AtomicUsize,
    is_stopped: AtomicBool,
    observed: Mutex<Observed>,
}

#[derive(Default)]
pub(crate) struct Observed {
    /// Sessions that have ended, and when.
    ended: Vec<(String, Instant)>,
    /// How many sign-outs were answered with 503, and repeated.
    repeated: usize,
    /// How many tokens were minted beside a sign-out.
    minted: usize,
    pub(crate) violations: Vec<String>,
}

/// When a session ended, and which node said so.
type End = Mutex<Option<(Instant, usize)>>;

impl SignOuts {
    /// Signs in as often as there is time to sign out, and makes all `nodes` know the sessions.
    pub(crate) async fn prepare(other: &Node, nodes: &[Node]) -> Self {
        let seconds = OTHER_SECONDS + fault_time().as_secs();
        let most = Duration::from_secs(seconds).as_millis() / SESSION_PAUSE.as_millis();
        let count = USERS * usize::try_from(most).expect("a small number");
        let mut tokens = Vec::new();
        for number in 0..count {
            let grant = other.sign_in(&format!("signed out {number}")).await;
            tokens.push(grant.access_token().to_owned());
        }
        for node in nodes {
            for token in &tokens {
                node.learn(token).await;
            }
        }
        Self {
            nodes: nodes.to_vec(),
            tokens,
            next: AtomicUsize::new(0),
            is_stopped: AtomicBool::new(false),
            observed: Mutex::default(),
        }
    }

    pub(crate) fn observed(&self) -> std::sync::MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_violation(&self, violation: String) {
        self.observed().violations.push(violation);
    }

    /// Signs out until it is stopped.
    pub(crate) fn begin(self: &Arc<Self>) -> JoinSet<()> {
        let mut users = JoinSet::new();
        for user in 0..USERS {
            let this = Arc::clone(self);
            users.spawn(async move {
                while !this.is_stopped.load(Relaxed)
                    && let Some(token) = this.tokens.get(this.next.fetch_add(1, Relaxed))
                {
                    this.sign_out_beside_requests(token, user % this.nodes.len()).await;
                    sleep(SESSION_PAUSE).await;
                }
            });
        }
        users
    }

    /// Lets no further session be signed out; those that have begun complete.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Relaxed);
    }

    async fn sign_out_beside_requests(&self, token: &str, node: usize) {
        let end = End::default();
        let requests = async {
            let mut is_last = false;
            while !is_last {
                is_last = lock(&end).is_some();
                for number in 0..self.nodes.len() {
                    self.request(token, number, &end).await;
                }
                sleep(REQUEST_PAUSE / 4).await;
            }
        };
        tokio::join!(self.sign_out(token, node, &end), requests);
        let (at, _) = lock(&end).expect("it is signed out");
        self.observed().ended.push((token.to_owned(), at));
    }

    /// Signs out, again and again until that is effective.
    async fn sign_out(&self, token: &str, node: usize, end: &End) {
        let mut is_repeated = false;
        loop {
            match self.nodes[node].send(token, Handler::SignOut).await.answer {
                Answer::Admitted => break,
                Answer::Rejected("session_revoked") if is_repeated => break,
                Answer::Unavailable => is_repeated = true,
                Answer::Rejected(code) => {
                    self.add_violation(format!("a sign-out: {code}"));
                    break;
                }
            }
            sleep(REQUEST_PAUSE).await;
        }
        *lock(end) = Some((Instant::now(), node));
        self.observed().repeated += usize::from(is_repeated);
    }

    /// Sends a request, whose session may end meanwhile.
    async fn request(&self, token: &str, number: usize, end: &End) {
        let (node, started) = (&self.nodes[number], Instant::now());
        let Answered { answer, renewed, done } = node.send(token, Handler::Work).await;
        let effective = lock(end).map(|(at, by)| if number == by { at } else { at + UNTIL_READ });
        let is_ended = |at: Instant| effective.is_some_and(|effective| effective < at);
        // Without its store a node that trusts tokens hears of no end.
        let must_know = lock(end).is_some_and(|(_, by)| number == by)
            || node.on_failure == OnStoreFailure::Reject;
        if answer == Answer::Admitted && must_know && is_ended(started) {
            self.add_violation(format!(
                "a session is admitted after its sign-out on node {number}"
            ));
        }
        if let Answer::Rejected(code) = answer
            && code != "session_revoked"
        {
            self.add_violation(format!("{code} beside a sign-out"));
        }
        if renewed.is_some() {
            self.observed().minted += 1;
            if must_know && done.is_some_and(is_ended) {
                self.add_violation(format!("node {number} has minted after a sign-out"));
            }
        }
    }

    /// Every session that was signed out has ended for `nodes`, which have a store that works.
    pub(crate) async fn assert_effective(&self, nodes: &[&Node]) {
        let ended = std::mem::take(&mut self.observed().ended);
        for (token, at) in &ended {
            for node in nodes {
                loop {
                    let started = Instant::now();
                    match node.request(token).await {
                        Answer::Rejected("session_revoked") => break,
                        Answer::Admitted if started > *at + UNTIL_READ => {
                            self.add_violation(
                                "a session is admitted long after its end".to_owned(),
                            );
                            break;
                        }
                        Answer::Rejected(code) => {
                            self.add_violation(format!("{code} after a sign-out"));
                            break;
                        }
                        Answer::Admitted | Answer::Unavailable => sleep(REQUEST_PAUSE).await,
                    }
                }
            }
        }
        let observed = self.observed();
        println!(
            "  {:>6} sign-outs, {} of them repeated, and {} tokens minted beside them",
            ended.len(),
            observed.repeated,
            observed.minted
        );
        assert!(!ended.is_empty());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
