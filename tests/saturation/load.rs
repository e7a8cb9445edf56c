//! Users who send requests at a rate, whatever is answered.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    answers::Answers,
    client::Client,
    node::{IDLE, Nodes},
    session::KnownSession,
};

/// How many requests are on their way at most: more wait in nobody's queue.
const IN_FLIGHT: usize = 2_000;

/// Every so many requests of a user are a sign-out and a new sign-in.
const REQUESTS_PER_SESSION: usize = 10;

/// Which of them is a refresh before the token has expired.
const REFRESHED: usize = 3;

/// Every so many users are silent for longer than the idle timeout now and then.
const USERS_PER_SILENT: usize = 20;

pub(crate) struct Load {
    client: Client,
    users: Vec<Arc<User>>,
    in_flight: Arc<Semaphore>,
}

struct User {
    number: usize,
    requests: AtomicUsize,
    sessions: Mutex<Sessions>,
}

struct Sessions {
    current: Arc<KnownSession>,
    /// The last one that has ended, whose token the client goes on presenting.
    ended: Option<Arc<KnownSession>>,
    silent_until: Option<Instant>,
}

impl Load {
    pub(crate) async fn sign_in(users: usize, nodes: &Arc<Nodes>, answers: &Arc<Answers>) -> Self {
        let client = Client::new(Arc::clone(nodes), Arc::clone(answers));
        let mut signed_in = Vec::new();
        for number in 0..users {
            let name = format!("user {number}");
            let current = loop {
                // Whatever else the machine has to do.
                if let Some(current) = client.sign_in(&name, number % nodes.count()).await {
                    break current;
                }
            };
            let sessions = Sessions { current, ended: None, silent_until: None };
            signed_in.push(Arc::new(User {
                number,
                // Not all of them sign out at the same time.
                requests: AtomicUsize::new(number % REQUESTS_PER_SESSION),
                sessions: Mutex::new(sessions),
            }));
        }
        Self { client, users: signed_in, in_flight: Arc::new(Semaphore::new(IN_FLIGHT)) }
    }

    /// Returns how many requests a second are answered if each of 64 tasks sends the next one at once.
    pub(crate) async fn bearable_rate(&self, time: Duration) -> f64 {
        let (begun, mut tasks) = (Instant::now(), JoinSet::new());
        for task in 0..64 {
            let (client, user) = (self.client.clone(), Arc::clone(&self.users[task]));
            tasks.spawn(async move {
                let session = Arc::clone(&user.sessions().current);
                let mut sent = 0_u32;
                while begun.elapsed() < time {
                    client.request(&session, sent as usize % client.nodes.count()).await;
                    sent += 1;
                }
                sent
            });
        }
        let sent = tasks.join_all().await.into_iter().sum::<u32>();
        f64::from(sent) / begun.elapsed().as_secs_f64()
    }

    /// Sends `rate` requests a second for some time.
    pub(crate) async fn offer(&self, rate: f64, time: Duration) {
        let (begun, mut sent) = (Instant::now(), 0.0);
        let mut ticks = interval(Duration::from_millis(5));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = 0;
        while begun.elapsed() < time {
            ticks.tick().await;
            while sent < begun.elapsed().as_secs_f64() * rate {
                sent += 1.0;
                next = (next + 1) % self.users.len();
                let Ok(permit) = Arc::clone(&self.in_flight).try_acquire_owned() else { continue };
                let (client, user) = (self.client.clone(), Arc::clone(&self.users[next]));
                tokio::spawn(async move {
                    user.act(&client).await;
                    drop(permit);
                });
            }
        }
    }

    /// Waits until every request has its answer.
    pub(crate) async fn finish(&self) {
        let permits = u32::try_from(IN_FLIGHT).expect("a small number");
        drop(self.in_flight.acquire_many(permits).await.expect("it is open"));
    }
}

impl User {
    fn sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn act(&self, client: &Client) {
        let request = self.requests.fetch_add(1, Relaxed);
        let node = request.wrapping_mul(7).wrapping_add(self.number) % client.nodes.count();
        let (current, ended) = {
            let mut sessions = self.sessions();
            if sessions.silent_until.is_some_and(|until| Instant::now() < until) {
                return;
            }
            let is_silent = self.number.is_multiple_of(USERS_PER_SILENT)
                && sessions.silent_until.take().is_none()
                && request % REQUESTS_PER_SESSION == REQUESTS_PER_SESSION / 2;
            if is_silent {
                sessions.silent_until = Some(Instant::now() + IDLE + Duration::from_secs(3));
                return;
            }
            (Arc::clone(&sessions.current), sessions.ended.clone())
        };
        match (request % REQUESTS_PER_SESSION, ended) {
            (0, _) if request > 0 => self.replace(client, &current, node).await,
            (part, Some(ended)) if part % 4 == 1 => client.request(&ended, node).await,
            (REFRESHED, _) => client.refresh(&current, &current.access_token(), node).await,
            _ => {
                client.request(&current, node).await;
                if current.has_expired() {
                    self.replace(client, &current, node).await;
                }
            }
        }
    }

    /// Signs out, and in again.
    async fn replace(&self, client: &Client, before: &Arc<KnownSession>, node: usize) {
        if before.is_in_use() {
            client.sign_out(before, node).await;
        }
        let name = format!("user {}", self.number);
        let Some(session) = client.sign_in(&name, (node + 1) % client.nodes.count()).await else {
            return;
        };
        let mut sessions = self.sessions();
        if Arc::ptr_eq(&sessions.current, before) {
            let ended = std::mem::replace(&mut sessions.current, session);
            sessions.ended = Some(ended);
        }
    }
}
