//! The open sessions of this node: those whose end something waits for, such as a response that is
//! still sent.

use std::{
    borrow::Borrow,
    hash::{Hash, Hasher},
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU32, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
            fence,
        },
    },
    task::Waker,
};

use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;

use super::Revocations;
use crate::{
    identity::{Scopes, SessionKeys, StoreKey},
    metrics,
    time::Timestamp,
};

/// The open sessions of this node. One entry serves every stream of a session.
#[derive(Default)]
pub(super) struct OpenSessions {
    sessions: DashMap<ByKey, (), RandomState>,
    /// The number of open streams. While it is zero, no change looks any further.
    streams: AtomicUsize,
}

/// A session that streams are open of.
///
/// It says that something has changed, not what: each stream asks the store again.
pub(crate) struct OpenSession {
    key: StoreKey,
    scopes: Scopes,
    /// Whether a stream has the slot of `Waiting::first`.
    is_first_taken: AtomicBool,
    epoch: Timestamp,
    /// The number of streams. It is raised under the lock of the entry, so that the entry is removed
    /// only while it is zero.
    streams: AtomicU32,
    /// Raised by each change.
    version: AtomicU32,
    waiting: Mutex<Waiting>,
}

/// The wakers of the streams. Most sessions have one stream.
#[derive(Default)]
struct Waiting {
    first: Option<Waker>,
    more: Option<Box<More>>,
}

#[derive(Default)]
struct More {
    last_slot: u32,
    wakers: Vec<(u32, Waker)>,
    /// How many streams want the payload of a new token.
    followers: u32,
    renewed: Option<Renewed>,
}

/// The token that was minted last on this node while its session was open.
#[derive(Clone)]
pub(crate) struct Renewed {
    pub(crate) iat: Timestamp,
    pub(crate) exp: Timestamp,
    /// The last activity that it proves.
    pub(crate) activity: Timestamp,
    /// Kept only while somebody wants it: it is as large as the claims of the app.
    pub(crate) payload: Option<Arc<str>>,
}

/// The slot of `Waiting::first`.
const FIRST: u32 = 0;

/// An open stream. [`close`](Self::close) it before it is dropped.
pub(crate) struct OpenStream {
    session: Arc<OpenSession>,
    slot: u32,
    seen: u32,
}

/// An open session in a set: found by its key.
struct ByKey(Arc<OpenSession>);

impl Borrow<StoreKey> for ByKey {
    fn borrow(&self) -> &StoreKey {
        &self.0.key
    }
}

impl Hash for ByKey {
    fn hash<H>(&self, state: &mut H)
    where
        H: Hasher,
    {
        self.0.key.hash(state);
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for ByKey {}

impl Revocations {
    /// Tells the open streams of `session` that it may have ended. A store calls it once the tombstone
    /// is written: on the node that wrote it, and on others as they read of it.
    pub fn recheck_session(&self, session: &StoreKey) {
        if let Some(session) = self.open_session(session) {
            session.announce();
        }
    }

    /// Tells the open streams of the sessions of an account that its timeouts may have changed.
    pub fn recheck_account(&self, account: &StoreKey) {
        self.recheck_if(|session| session.scopes.account == Some(*account));
    }

    /// Tells every open stream that its session may have ended: the store may have missed changes of
    /// other nodes.
    pub fn recheck_all(&self) {
        self.recheck_if(|_| true);
    }

    /// Returns how many streams are open on this node: responses that wait, and sockets and tasks
    /// that wait for the end of their session.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.open_sessions.streams.load(Relaxed)
    }

    /// Tells the open streams of the sessions that a cutoff at `at` may have revoked.
    pub(in crate::store) fn recheck_scope(&self, scope: &StoreKey, at: Timestamp) {
        self.recheck_if(|session| {
            let mut scopes = session.scopes.keys().chain([StoreKey::EVERY_SESSION]);
            session.epoch <= at && scopes.any(|key| key == *scope)
        });
    }

    /// Tells the open streams of a session of its new token.
    pub(crate) fn announce_renewal(&self, session: &StoreKey, mut renewed: Renewed, payload: &str) {
        let Some(session) = self.open_session(session) else { return };
        let mut waiting = session.waiting();
        let more = waiting.more.get_or_insert_default();
        renewed.payload = (more.followers > 0).then(|| payload.into());
        more.renewed = Some(renewed);
        drop(waiting);
        session.announce();
    }

    /// Opens a stream of a session. What changes from then on, it is told; the caller asks the store
    /// after this.
    pub(crate) fn open_stream(
        &self,
        key: StoreKey,
        scopes: Scopes,
        epoch: Timestamp,
    ) -> OpenStream {
        let OpenSessions { sessions, streams } = &self.open_sessions;
        streams.fetch_add(1, Relaxed);
        metrics::add_open_stream();
        let known = sessions.get(&key).map(|entry| entry.key().0.add_stream());
        let session = known.unwrap_or_else(|| {
            let new = OpenSession::new(key, scopes, epoch);
            match sessions.entry(ByKey(Arc::new(new))) {
                Entry::Occupied(entry) => entry.key().0.add_stream(),
                Entry::Vacant(entry) => entry.insert(()).key().0.add_stream(),
            }
        });
        // Between this and the reading of the store, as between the writing of a change and the
        // reading of `streams`: one of both sees the other.
        fence(SeqCst);
        OpenStream::new(session)
    }

    fn open_session(&self, session: &StoreKey) -> Option<Arc<OpenSession>> {
        fence(SeqCst);
        if self.open_streams() == 0 {
            return None;
        }
        let entry = self.open_sessions.sessions.get(session)?;
        Some(Arc::clone(&entry.key().0))
    }

    fn recheck_if(&self, is_concerned: impl Fn(&OpenSession) -> bool) {
        fence(SeqCst);
        if self.open_streams() == 0 {
            return;
        }
        let sessions = self.open_sessions.sessions.iter();
        let concerned: Vec<_> = sessions
            .filter(|entry| is_concerned(&entry.key().0))
            .map(|entry| Arc::clone(&entry.key().0))
            .collect();
        // Outside the locks of the entries: a waker may drop a stream.
        for session in concerned {
            session.announce();
        }
    }
}

impl OpenSessions {
    /// Removes a session of which no stream is open. Another may have been opened since the last one
    /// closed: its number is looked at under the lock of the entry.
    fn remove_unused(&self, session: &StoreKey) {
        self.sessions.remove_if(session, |entry, ()| entry.0.streams.load(Acquire) == 0);
    }
}

impl OpenSession {
    pub(crate) fn new(key: StoreKey, scopes: Scopes, epoch: Timestamp) -> Self {
        Self {
            key,
            scopes,
            is_first_taken: AtomicBool::new(false),
            epoch,
            streams: AtomicU32::new(0),
            version: AtomicU32::new(0),
            waiting: Mutex::default(),
        }
    }

    fn add_stream(self: &Arc<Self>) -> Arc<Self> {
        self.streams.fetch_add(1, AcqRel);
        Arc::clone(self)
    }

    fn announce(&self) {
        self.version.fetch_add(1, AcqRel);
        let (first, more) = {
            let mut waiting = self.waiting();
            let more = waiting.more.as_mut().map(|more| mem::take(&mut more.wakers));
            (waiting.first.take(), more.unwrap_or_default())
        };
        first.into_iter().chain(more.into_iter().map(|(_, waker)| waker)).for_each(Waker::wake);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenStream {
    /// A stream of a session, which is in no set unless the caller has put it there.
    pub(crate) fn new(session: Arc<OpenSession>) -> Self {
        let slot = if session.is_first_taken.swap(true, Acquire) {
            let mut waiting = session.waiting();
            let more = waiting.more.get_or_insert_default();
            more.last_slot += 1;
            more.last_slot
        } else {
            FIRST
        };
        let seen = session.version.load(Acquire);
        Self { session, slot, seen }
    }

    pub(crate) fn keys(&self) -> SessionKeys {
        SessionKeys::new(self.session.key, self.session.scopes.user)
    }

    pub(crate) fn scopes(&self) -> Scopes {
        self.session.scopes
    }

    pub(crate) fn epoch(&self) -> Timestamp {
        self.session.epoch
    }

    /// Whether the session has changed since [`take_change`](Self::take_change) said so.
    #[inline]
    pub(crate) fn is_changed(&self) -> bool {
        self.session.version.load(Acquire) != self.seen
    }

    /// Whether the session has changed since the last call.
    pub(crate) fn take_change(&mut self) -> bool {
        mem::replace(&mut self.seen, self.session.version.load(Acquire)) != self.seen
    }

    /// Returns the newest token of the session, if one was minted on this node while a stream was open.
    pub(crate) fn renewed(&self) -> Option<Renewed> {
        self.session.waiting().more.as_ref()?.renewed.clone()
    }

    /// Wants the payload of a new token; `false` for no longer.
    pub(crate) fn follow(&self, follows: bool) {
        let mut waiting = self.session.waiting();
        let more = waiting.more.get_or_insert_default();
        more.followers = if follows { more.followers + 1 } else { more.followers - 1 };
        if more.followers == 0
            && let Some(renewed) = &mut more.renewed
        {
            renewed.payload = None;
        }
    }

    /// Wakes `waker` at the next change. Call it before [`take_change`](Self::take_change).
    pub(crate) fn register(&self, waker: &Waker) {
        let mut waiting = self.session.waiting();
        let Waiting { first, more } = &mut *waiting;
        let mut replaced = None;
        if self.slot == FIRST {
            if !first.as_ref().is_some_and(|known| known.will_wake(waker)) {
                replaced = first.replace(waker.clone());
            }
        } else if let Some(more) = more {
            match more.wakers.iter_mut().find(|(slot, _)| *slot == self.slot) {
                Some((_, known)) if known.will_wake(waker) => {}
                Some((_, known)) => replaced = Some(mem::replace(known, waker.clone())),
                None => more.wakers.push((self.slot, waker.clone())),
            }
        }
        drop(waiting);
        // Outside the lock: it may be the last of a task that has streams.
        drop(replaced);
    }

    /// Removes the stream, and the session from `revocations` if it was the last one.
    pub(crate) fn close(&self, revocations: Option<&Revocations>) {
        let removed = {
            let mut waiting = self.session.waiting();
            if self.slot == FIRST {
                self.session.is_first_taken.store(false, Release);
                waiting.first.take()
            } else {
                let wakers = waiting.more.as_mut().map(|more| &mut more.wakers);
                wakers.and_then(|wakers| {
                    let at = wakers.iter().position(|(slot, _)| *slot == self.slot)?;
                    Some(wakers.swap_remove(at).1)
                })
            }
        };
        drop(removed);
        let Some(revocations) = revocations else { return };
        let open_sessions = &revocations.open_sessions;
        if self.session.streams.fetch_sub(1, AcqRel) == 1 {
            open_sessions.remove_unused(&self.session.key);
        }
        open_sessions.streams.fetch_sub(1, Relaxed);
        metrics::remove_open_stream();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RevocationCutoff;

    #[test]
    fn p18_a_cutoff_of_every_session_tells_each_open_stream_that_began_before_it() {
        let revocations = Revocations::default();
        let at = Timestamp::from_millis;
        for (epoch, is_told) in [(999, true), (1000, true), (1001, false)] {
            let (key, ada) = (StoreKey::session(None, "s"), Scopes::new(None, None, "ada"));
            let mut stream = revocations.open_stream(key, ada, at(epoch));
            let cutoff = RevocationCutoff::new(at(1000), at(9000));
            revocations.add_cutoff(StoreKey::EVERY_SESSION, cutoff);
            assert_eq!(stream.take_change(), is_told, "{epoch}");
            stream.close(Some(&revocations));
        }
    }

    /// The last stream has closed, and another was opened before its entry is removed.
    #[test]
    fn p18_an_entry_stays_while_a_stream_is_open() {
        let revocations = Revocations::default();
        let key = StoreKey::session(None, "s");
        let open =
            || revocations.open_stream(key, Scopes::new(None, None, "ada"), Timestamp::EPOCH);
        let mut stream = open();
        revocations.open_sessions.remove_unused(&key);
        revocations.recheck_session(&key);
        assert!(stream.take_change());
        let second = open();
        stream.close(Some(&revocations));
        revocations.open_sessions.remove_unused(&key);
        revocations.recheck_session(&key);
        assert!(second.is_changed());
        second.close(Some(&revocations));
        assert!(revocations.open_sessions.sessions.is_empty());
    }
}
