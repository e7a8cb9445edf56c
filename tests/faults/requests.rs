//! Requests while a store fails, each answer compared with what is known of its session.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tower_sliding_session::{RejectionKind, layers::OnStoreFailure, store::MemoryStore};

use crate::{
    in_time::in_time,
    limits::{RECOVERY, TIME_LIMIT, fault_time},
    node::{Answer, Connect, Handler, Node, Store},
    sign_outs::SignOuts,
};

/// At most this many requests are sent to each node, before, during and after a fault.
const REQUESTS: u16 = 10_000;
const BEFORE: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_secs(4);

/// Sessions that the nodes know before the fault, that have ended before it, and that are refreshed.
const KNOWN: usize = 50;
const ENDED: usize = 20;
const REFRESHED: usize = 10;

/// How long a client waits before it repeats a refresh.
const REFRESH_PAUSE: Duration = Duration::from_millis(20);

/// What is known of a session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Active, and the node knows it.
    Active,
    /// Active, and the node must ask.
    New,
    /// Ended, and every node has been told.
    Ended,
}

pub(crate) struct Run {
    connect: Connect,
    nodes: Vec<Node>,
    /// The latest token of each.
    active: Vec<Mutex<String>>,
    ended: Vec<String>,
    new: Vec<String>,
    next_new: AtomicUsize,
    sign_outs: Arc<SignOuts>,
    observed: Mutex<Observed>,
}

#[derive(Default)]
struct Observed {
    counts: BTreeMap<(&'static str, Answer), usize>,
    /// How many answers came later than the time limit and 5 ms, and how long the longest took, with
    /// whatever else the machine had to do.
    late: usize,
    longest: Duration,
    /// How many tokens were minted.
    minted: usize,
    violations: Vec<String>,
}

impl Run {
    /// Signs in over a store of `connect`, and makes the nodes of `stores` know their sessions.
    pub(crate) async fn prepare(connect: Connect, stores: [Store; 2]) -> (Arc<Self>, Node) {
        let other = Node::new(connect().await, OnStoreFailure::Reject);
        let [reject, trust] = stores;
        let nodes = vec![
            Node::new(reject, OnStoreFailure::Reject),
            Node::new(trust, OnStoreFailure::TrustToken),
        ];
        let mut sessions = Vec::new();
        for number in 0..KNOWN + ENDED {
            sessions.push(other.sign_in(&format!("user {number}")).await);
        }
        let ended = sessions.split_off(KNOWN);
        for grant in &ended {
            other.sessions.revoke(grant.session_id()).await.expect("the store works");
        }
        let tokens = |grants: &[tower_sliding_session::Grant]| {
            grants.iter().map(|grant| grant.access_token().to_owned()).collect::<Vec<_>>()
        };
        // The tokens of sessions that no store knows: each asks the store once.
        let unknown = Node::new(Store::Memory(MemoryStore::new()), OnStoreFailure::Reject);
        let mut new = Vec::new();
        for number in 0..REQUESTS {
            let user = format!("new user {}", number % 1000);
            new.push(unknown.sign_in(&user).await.access_token().to_owned());
        }
        let sign_outs = Arc::new(SignOuts::prepare(&other, &nodes).await);
        let run = Self {
            connect,
            nodes,
            active: tokens(&sessions).into_iter().map(Mutex::new).collect(),
            ended: tokens(&ended),
            new,
            next_new: AtomicUsize::new(0),
            sign_outs,
            observed: Mutex::default(),
        };
        for node in &run.nodes {
            for token in &run.ended {
                while node.request(token).await != Answer::Rejected("session_revoked") {
                    sleep(Duration::from_millis(1)).await;
                }
            }
            for token in &run.active {
                let token = lock(token).clone();
                node.learn(&token).await;
            }
        }
        (Arc::new(run), other)
    }

    fn observed(&self) -> MutexGuard<'_, Observed> {
        lock(&self.observed)
    }

    /// Sends one request, and judges the answer.
    async fn send(&self, node: &Node, number: usize, phase: &'static str) {
        let (known, token) = match number % 10 {
            0 => (Known::Ended, self.ended[number / 10 % ENDED].clone()),
            1..=3 => (Known::New, self.new_token().to_owned()),
            _ => (Known::Active, lock(&self.active[number % KNOWN]).clone()),
        };
        let begun = Instant::now();
        let answered = node.send(&token, Handler::Answer);
        let (answered, is_late) = in_time(answered, TIME_LIMIT).await;
        let answer = answered.answer;
        let took = begun.elapsed();
        let is_allowed = match (known, answer) {
            (Known::Ended, Answer::Rejected("session_revoked"))
            | (Known::Active | Known::New, Answer::Admitted) => true,
            (_, Answer::Unavailable) => node.on_failure == OnStoreFailure::Reject,
            _ => false,
        };
        let mut observed = self.observed();
        if node.on_failure == OnStoreFailure::Reject {
            *observed.counts.entry((phase, answer)).or_default() += 1;
        }
        observed.late += usize::from(is_late);
        observed.longest = observed.longest.max(took);
        if let Some(renewed) = answered.renewed {
            observed.minted += 1;
            match known {
                Known::Active => *lock(&self.active[number % KNOWN]) = renewed,
                Known::New => {}
                Known::Ended => observed.violations.push("an ended session is renewed".to_owned()),
            }
        }
        if !is_allowed {
            let known = match known {
                Known::Active => "an active session",
                Known::New => "an active session that the node does not know",
                Known::Ended => "an ended session",
            };
            let violation =
                format!("{phase} the fault: {known}: {answer:?} ({:?})", node.on_failure);
            observed.violations.push(violation);
        }
    }

    fn new_token(&self) -> &str {
        &self.new[self.next_new.fetch_add(1, Relaxed) % self.new.len()]
    }

    /// Sends requests at a steady rate for some time.
    async fn offer(self: &Arc<Self>, phase: &'static str, time: Duration) {
        let total = BEFORE + fault_time() + RECOVERY + AFTER;
        let rate = f64::from(REQUESTS) / total.as_secs_f64();
        let (begun, mut sent) = (Instant::now(), 0);
        let mut ticks = interval(Duration::from_millis(4));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut answers = JoinSet::new();
        while begun.elapsed() < time {
            ticks.tick().await;
            while f64::from(sent) < begun.elapsed().as_secs_f64() * rate {
                sent += 1;
                for node in 0..self.nodes.len() {
                    let run = Arc::clone(self);
                    let number = usize::try_from(sent).expect("a small number");
                    answers.spawn(async move { run.send(&run.nodes[node], number, phase).await });
                }
            }
            while answers.try_join_next().is_some() {}
        }
        while answers.join_next().await.is_some() {}
    }

    /// Refreshes a session again and again. A client that gets no tokens repeats the exchange.
    async fn refresh(self: Arc<Self>, mut token: String) -> String {
        loop {
            match self.nodes[0].sessions.refresh(&token).await {
                Ok(grant) => grant.refresh_token().expect("a token").clone_into(&mut token),
                Err(rejection) if rejection.kind() == RejectionKind::StoreUnavailable => {}
                Err(rejection) => {
                    let violation = format!("a refresh: {}", rejection.kind().code());
                    self.observed().violations.push(violation);
                    return token;
                }
            }
            sleep(REFRESH_PAUSE).await;
        }
    }

    /// Waits until the node asks its store again, or for far too long; returns how long that took.
    async fn recovery(&self) -> Duration {
        let begun = Instant::now();
        while begun.elapsed() < RECOVERY * 5
            && self.nodes[0].request(self.new_token()).await != Answer::Admitted
        {
            sleep(Duration::from_millis(1)).await;
        }
        begun.elapsed()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends requests before, during and after a fault. `harm` and `help` return when the server is harmed,
/// and when it works again.
pub(crate) async fn survives(
    fault: &str,
    (run, other): (Arc<Run>, Node),
    harm: impl AsyncFnOnce(),
    help: impl AsyncFnOnce(),
) {
    let mut refreshes = JoinSet::new();
    let mut access_tokens = Vec::new();
    for number in 0..REFRESHED {
        let grant = other.sign_in(&format!("refreshed {number}")).await;
        access_tokens.push(grant.access_token().to_owned());
        let token = grant.refresh_token().expect("a token").to_owned();
        refreshes.spawn(Arc::clone(&run).refresh(token));
    }
    let sign_outs = run.sign_outs.begin();
    run.offer("before", BEFORE).await;
    let ((), ()) = tokio::join!(run.offer("during", fault_time()), harm());
    let ((), recovered) = tokio::join!(run.offer("after", RECOVERY), async {
        help().await;
        run.recovery().await
    });
    run.offer("in the end", AFTER).await;
    refreshes.shutdown().await;
    run.sign_outs.stop();
    sign_outs.join_all().await;
    for token in &access_tokens {
        loop {
            match run.nodes[0].request(token).await {
                Answer::Admitted => break,
                Answer::Unavailable => sleep(REFRESH_PAUSE).await,
                Answer::Rejected(code) => {
                    panic!("{fault}: {code} for a session that was refreshed")
                }
            }
        }
    }
    println!("{fault}: recovered after {recovered:?}");
    // One that starts afterwards knows what the store has kept.
    let new = Node::new((run.connect)().await, OnStoreFailure::Reject);
    run.sign_outs.assert_effective(&[&run.nodes[0], &run.nodes[1], &other, &new]).await;
    let mut observed = run.observed();
    println!("  the longest answer took {:?}; {} tokens minted", observed.longest, observed.minted);
    assert!(observed.minted > 0);
    observed.violations.append(&mut run.sign_outs.observed().violations);
    for ((phase, answer), count) in &observed.counts {
        println!("  {count:>6} {phase}: {answer:?}");
    }
    let violations = &observed.violations;
    assert!(
        violations.is_empty(),
        "{fault}: {} violations: {:?}",
        violations.len(),
        &violations[..9.min(violations.len())]
    );
    assert!(recovered <= RECOVERY, "{fault}: recovered after {recovered:?}");
    assert_eq!(observed.late, 0, "{fault}: answers later than the time limit");
}
