//! What a client knows of one session, and what that says of an answer.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{node::IDLE, shared_store::PAUSE};

/// How long after an end another node may admit the session: it reads the changes every second, and
/// admits nothing from its cache when its last reading is older than three.
const UNTIL_READ_ELSEWHERE: Duration = Duration::from_secs(3);

/// How much earlier than the idle timeout a session may expire for a node that has not served it: a touch
/// interval, a reading, and the pause of the store, after which others write what they have admitted in it.
const EARLY: Duration = Duration::from_secs(2).saturating_add(PAUSE);

pub(crate) struct KnownSession {
    pub(crate) user: String,
    /// Held by the refresh that runs.
    pub(crate) refreshing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    access_token: String,
    refresh_token: String,
    /// When the client asked to end it, and when and by which node it was told that it has ended.
    end_requested: Option<Instant>,
    ended: Option<(Instant, SocketAddr)>,
    /// The latest start of a request or of the sign-in that was answered, and the latest answer.
    active_after: Instant,
    active_before: Instant,
    /// The latest start of a request that a node could not check: that counts as activity, too.
    attempted: Option<Instant>,
    unanswered: usize,
    has_expired: bool,
    /// The last answers, for the report of a violation.
    answers: VecDeque<Answer>,
}

/// How many answers the report of a violation has.
const REPORTED: usize = 12;

/// An answer to a request of a session.
pub(crate) struct Answer {
    pub(crate) path: &'static str,
    pub(crate) node: SocketAddr,
    pub(crate) started: Instant,
    pub(crate) completed: Instant,
    pub(crate) status: u16,
    pub(crate) code: String,
}

impl KnownSession {
    /// A session whose sign-in was begun at `begun`, and answered now.
    pub(crate) fn new(
        user: String,
        access_token: String,
        refresh_token: String,
        begun: Instant,
    ) -> Self {
        let state = State {
            access_token,
            refresh_token,
            end_requested: None,
            ended: None,
            active_after: begun,
            active_before: Instant::now(),
            attempted: None,
            unanswered: 0,
            has_expired: false,
            answers: VecDeque::with_capacity(REPORTED),
        };
        Self { user, refreshing: tokio::sync::Mutex::default(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the token to present now: a request begins.
    pub(crate) fn begin_request(&self) -> String {
        let mut state = self.state();
        state.unanswered += 1;
        state.access_token.clone()
    }

    pub(crate) fn access_token(&self) -> String {
        self.state().access_token.clone()
    }

    pub(crate) fn refresh_token(&self) -> String {
        self.state().refresh_token.clone()
    }

    pub(crate) fn set_access_token(&self, token: &str) {
        token.clone_into(&mut self.state().access_token);
    }

    pub(crate) fn set_tokens(&self, access: &str, refresh: &str) {
        let mut state = self.state();
        access.clone_into(&mut state.access_token);
        refresh.clone_into(&mut state.refresh_token);
    }

    pub(crate) fn request_end(&self) {
        self.state().end_requested.get_or_insert_with(Instant::now);
    }

    pub(crate) fn end(&self, node: SocketAddr) {
        self.state().ended.get_or_insert_with(|| (Instant::now(), node));
    }

    /// Whether the client still works with it.
    pub(crate) fn is_in_use(&self) -> bool {
        self.state().end_requested.is_none()
    }

    /// Whether a node has said that its idle timeout has passed.
    pub(crate) fn has_expired(&self) -> bool {
        self.state().has_expired
    }

    pub(crate) fn is_current(&self, token: &str) -> bool {
        self.state().access_token == token
    }

    /// A request ends without an answer: a node was stopped, or took too long.
    pub(crate) fn end_request(&self) {
        let mut state = self.state();
        state.unanswered -= 1;
        state.active_before = Instant::now();
    }

    /// A request ends with an answer.
    ///
    /// # Errors
    /// If the answer breaks a promise.
    pub(crate) fn judge(&self, answer: Answer) -> Result<(), String> {
        let mut state = self.state();
        state.unanswered -= 1;
        let judged = state.judge(&answer).map_err(|violation| state.report(&violation, &answer));
        state.has_expired |= answer.code == "session_expired_idle";
        if state.active_before < answer.completed {
            state.active_before = answer.completed;
        }
        // An attempt that a store failed is activity within the idle timeout of the one before; a
        // rejected request never is.
        let last_activity = state.last_activity();
        let latest = match answer.status {
            401 => None,
            503 if last_activity + IDLE <= answer.completed => None,
            503 => Some(state.attempted.get_or_insert(answer.started)),
            _ => Some(&mut state.active_after),
        };
        if let Some(latest) = latest {
            *latest = answer.started.max(*latest);
        }
        state.remember(answer);
        judged
    }
}

impl State {
    /// The latest activity, on whatever node.
    fn last_activity(&self) -> Instant {
        self.attempted.map_or(self.active_after, |attempt| self.active_after.max(attempt))
    }

    fn remember(&mut self, answer: Answer) {
        if self.answers.len() == REPORTED {
            self.answers.pop_front();
        }
        self.answers.push_back(answer);
    }

    /// The violation with the answers before it, by how long before its completion they were asked for and
    /// answered.
    fn report(&self, violation: &str, last: &Answer) -> String {
        let mut text = violation.to_owned();
        for answer in self.answers.iter().chain([last]) {
            let Answer { path, node, status, code, .. } = answer;
            let started = last.completed.saturating_duration_since(answer.started);
            let completed = last.completed.saturating_duration_since(answer.completed);
            write!(text, "\n  {path} {node} {status} {code}, {started:?} to {completed:?} before")
                .expect("a text grows");
        }
        text
    }

    fn judge(&self, answer: &Answer) -> Result<(), String> {
        let &Answer { node, started, completed, status, .. } = answer;
        match (status, answer.code.as_str()) {
            (200..300, _) => {
                if let Some((at, by)) = self.ended {
                    let grace = if node == by { Duration::ZERO } else { UNTIL_READ_ELSEWHERE };
                    if started > at + grace {
                        let late = started - at;
                        return Err(format!("admitted {late:?} after its end ({by}, {node})"));
                    }
                }
                if self.unanswered == 0 && started > self.active_before + IDLE {
                    return Err(format!("admitted after {:?} idle", started - self.active_before));
                }
                Ok(())
            }
            (401, "session_expired_idle") => {
                let gap = completed - self.last_activity();
                if gap + EARLY < IDLE {
                    return Err(format!("expired after {gap:?} without activity"));
                }
                Ok(())
            }
            // Of a request, and of a refresh.
            (401, "session_revoked" | "invalid_refresh_token")
                if self.end_requested.is_some_and(|at| at < completed) =>
            {
                Ok(())
            }
            // The client refreshes it.
            (401, "token_expired") | (503, "store_unavailable") => Ok(()),
            (status, code) => Err(format!("{status} {code} for an active session")),
        }
    }
}
