//! The session of a request: what handlers and later layers see.

mod attempt_writer;
mod attempts;
mod audit;
mod builder;
mod caller;
mod class;
mod end_watch;
mod ended;
mod ended_cookie;
mod enforcement;
mod guard;
mod kept_token;
mod live_claims;
mod on_store_failure;
mod records;
mod rejected;
mod shared_successor;
mod sign_out;
mod stale_claims;
mod store_answer;
mod touch;
mod unknown_sessions;
mod waiting_time;
mod watch;

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use self::live_claims::Answer;
pub use self::{
    builder::SessionBuilder,
    ended::SessionEnded,
    on_store_failure::OnStoreFailure,
    unknown_sessions::UnknownSessions,
    watch::{SessionEvent, SessionWatch},
};
pub(crate) use self::{
    ended_cookie::may_clear_cookie,
    enforcement::{Enforcement, SessionCheck},
    rejected::{Rejected, trace_rejection},
    shared_successor::SharedSuccessor,
    stale_claims::Question,
    store_answer::StoreAnswer,
    touch::StreamTouch,
    waiting_time::WaitingTime,
};
use crate::{
    clock::Clock,
    policy::{Policy, Profiles},
    rules::{Deadlines, SessionClaims, TokenTimes},
    store::Renewed,
    time::Timestamp,
    token::{AppClaims, ClaimsError, VerifiedToken},
    transport::TokenOrigin,
};

/// The session that a request belongs to, from the request's extensions.
///
/// `AuthenticateLayer` inserts it. A team that verifies tokens itself builds one with
/// [`Session::builder`] and keeps every later layer. A clone costs one reference count. `Debug`
/// shows times only.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    token: Arc<VerifiedToken>,
    origin: TokenOrigin,
    /// Whether the request passes without it, should it be refused.
    is_optional: bool,
    /// When the request arrived, in milliseconds; 0 until a layer has read its clock.
    now: AtomicU64,
    class: AtomicU8,
    /// In milliseconds; 0 until a layer has asked a store.
    last_activity: AtomicU64,
    /// How long the request has waited for stores.
    waiting_time: WaitingTime,
    authenticated_by: Option<Arc<Enforcement>>,
    checked_by: OnceLock<Arc<Enforcement>>,
    unrenewable: AtomicBool,
    /// Whether a handler has replaced the claims, so that other requests take no lock.
    has_replaced_claims: AtomicBool,
    replaced_claims: Mutex<Option<AppClaims>>,
    /// Where the presented token had other claims, which were stale.
    new_claims: Option<Arc<Answer>>,
    /// The token that was minted for the response.
    renewed: OnceLock<Box<Renewed>>,
}

impl Session {
    #[inline]
    pub(crate) fn new(
        token: Arc<VerifiedToken>,
        origin: TokenOrigin,
        authenticated_by: Option<Arc<Enforcement>>,
        is_optional: bool,
    ) -> Self {
        Self(Arc::new(Inner {
            token,
            origin,
            is_optional,
            now: AtomicU64::new(0),
            class: AtomicU8::new(class::UNKNOWN),
            last_activity: AtomicU64::new(0),
            waiting_time: WaitingTime::default(),
            authenticated_by,
            checked_by: OnceLock::new(),
            unrenewable: AtomicBool::new(false),
            has_replaced_claims: AtomicBool::new(false),
            replaced_claims: Mutex::new(None),
            new_claims: None,
            renewed: OnceLock::new(),
        }))
    }

    /// The same session with the current claims of its user, before the handler.
    pub(crate) fn with_claims(&self, token: VerifiedToken, answer: Arc<Answer>) -> Self {
        let Inner { origin, is_optional, now, class, last_activity, waiting_time, .. } = &*self.0;
        Self(Arc::new(Inner {
            token: Arc::new(token),
            origin: *origin,
            is_optional: *is_optional,
            now: AtomicU64::new(now.load(Ordering::Relaxed)),
            class: AtomicU8::new(class.load(Ordering::Relaxed)),
            last_activity: AtomicU64::new(last_activity.load(Ordering::Relaxed)),
            waiting_time: waiting_time.clone(),
            authenticated_by: self.0.authenticated_by.clone(),
            checked_by: self.0.checked_by.clone(),
            unrenewable: AtomicBool::new(!self.may_renew()),
            has_replaced_claims: AtomicBool::new(false),
            replaced_claims: Mutex::new(None),
            new_claims: Some(answer),
            renewed: OnceLock::new(),
        }))
    }

    /// Builds the session of a token that the app has verified. Insert it into the extensions of the
    /// request.
    ///
    /// ```
    /// use tower_sliding_session::{Session, Timestamp};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let session = Session::builder("ada")
    ///     .sid("0190-5c")
    ///     .auth_time(Timestamp::from_secs(1_800_000_000))
    ///     .claims_json(r#"{"sub":"ada","sid":"0190-5c","auth_time":1800000000,
    ///                      "iat":1800000000,"exp":1800003600,"role":"engineer"}"#)
    ///     .build()?;
    /// assert_eq!(session.subject(), "ada");
    /// # Ok(()) }
    /// ```
    pub fn builder(sub: impl Into<String>) -> SessionBuilder {
        SessionBuilder { sub: sub.into(), sid: None, auth_time: None, json: None }
    }

    /// The user: `sub`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.session_claims().sub
    }

    /// The session: `sid`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.session_claims().sid
    }

    /// The claims of the session.
    #[must_use]
    pub fn session_claims(&self) -> &SessionClaims {
        self.0.token.claims()
    }

    /// Deserializes all claims of the token into the app's own type, which may borrow from the
    /// session.
    ///
    /// # Errors
    /// If the claims do not fit the type.
    pub fn claims<'a, T>(&'a self) -> Result<T, ClaimsError>
    where
        T: Deserialize<'a>,
    {
        serde_json::from_str(self.0.token.payload()).map_err(|_| ClaimsError::other_type())
    }

    /// When the request arrived; `None` before the first layer of this crate.
    #[must_use]
    pub fn arrived_at(&self) -> Option<Timestamp> {
        Some(self.0.now.load(Ordering::Relaxed)).filter(|now| *now > 0).map(Timestamp::from_millis)
    }

    /// The last activity of the session: this request, if it counts as activity.
    #[must_use]
    pub fn last_activity(&self) -> Timestamp {
        match self.0.last_activity.load(Ordering::Relaxed) {
            0 => self.session_claims().proven_activity(Timestamp::MAX),
            millis => Timestamp::from_millis(millis),
        }
    }

    /// The three deadlines if no further activity happens; `None` before the first layer with a
    /// policy.
    #[must_use]
    pub fn deadlines(&self) -> Option<Deadlines> {
        let policy = self.enforcement()?.policy(&self.0.token);
        Some(Deadlines::new(self.session_claims(), Some(self.last_activity()), &policy))
    }

    /// Replaces the app's claims. The response carries a successor with the new claims at once:
    /// neither the renewal threshold nor the rate limit applies.
    ///
    /// # Errors
    /// If `claims` do not serialize to a JSON object, or contain a registered claim or a claim of the
    /// session.
    pub fn replace_claims<T>(&self, claims: &T) -> Result<(), ClaimsError>
    where
        T: Serialize + ?Sized,
    {
        let claims = AppClaims::new(claims)?;
        *self.0.replaced_claims.lock().unwrap_or_else(PoisonError::into_inner) = Some(claims);
        self.0.has_replaced_claims.store(true, Ordering::Release);
        Ok(())
    }

    pub(crate) fn token(&self) -> &Arc<VerifiedToken> {
        &self.0.token
    }

    pub(crate) fn origin(&self) -> TokenOrigin {
        self.0.origin
    }

    /// When the request arrived: the first layer reads its clock, the others use that reading.
    #[inline]
    pub(crate) fn now(&self, clock: &dyn Clock) -> Timestamp {
        self.arrived_at().unwrap_or_else(|| {
            let now = clock.now();
            self.set_now(now);
            now
        })
    }

    #[inline]
    pub(crate) fn set_now(&self, now: Timestamp) {
        self.0.now.store(now.as_millis(), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn set_last_activity(&self, at: Timestamp) {
        self.0.last_activity.store(at.as_millis(), Ordering::Relaxed);
    }

    /// Keeps the enforcement that checked the session against a store; the first one stays.
    #[inline]
    pub(crate) fn checked_by(&self, enforcement: &Arc<Enforcement>) {
        let known = self.enforcement().is_some_and(|known| known.shares_store_with(enforcement));
        if !known {
            self.0.checked_by.get_or_init(|| Arc::clone(enforcement));
        }
    }

    /// Whether a layer with the same policies and store as `enforcement` has authenticated it.
    #[inline]
    pub(crate) fn was_authenticated_by(&self, enforcement: &Enforcement) -> bool {
        let known = self.0.authenticated_by.as_ref();
        known.is_some_and(|known| {
            // The store knows the overrides of accounts.
            Arc::ptr_eq(&known.profiles, &enforcement.profiles)
                && known.shares_store_with(enforcement)
        })
    }

    #[inline]
    pub(crate) fn enforcement(&self) -> Option<&Enforcement> {
        self.shared_enforcement().map(|enforcement| &**enforcement)
    }

    #[inline]
    fn shared_enforcement(&self) -> Option<&Arc<Enforcement>> {
        self.0.checked_by.get().or(self.0.authenticated_by.as_ref())
    }

    /// The policy of the session: of `profiles`, with the overrides of its account.
    #[inline(always)]
    pub(crate) fn policy<'a>(&self, profiles: &'a Profiles) -> Cow<'a, Policy> {
        let overrides = self
            .enforcement()
            .and_then(|enforcement| enforcement.overrides(|| self.0.token.scopes().account));
        profiles.effective(self.session_claims().session_profile.as_deref(), overrides)
    }

    /// Keeps the times of the token that was minted for the response.
    pub(crate) fn keep_renewal(&self, times: TokenTimes, activity: Timestamp) {
        let TokenTimes { iat, exp } = times;
        let renewed = Renewed { iat, exp, activity, payload: None };
        self.0.renewed.get_or_init(|| Box::new(renewed));
    }

    /// Tells the open streams of the session of the token that was minted for a response.
    pub(crate) fn announce_renewal(&self, times: TokenTimes, activity: Timestamp, payload: &str) {
        if let Some(enforcement) = self.enforcement() {
            enforcement.announce_renewal(self.token().session_key(), times, activity, payload);
        }
    }

    /// From now on no token is minted for the response.
    pub(crate) fn forbid_renewal(&self) {
        self.0.unrenewable.store(true, Ordering::Release);
    }

    #[inline]
    pub(crate) fn may_renew(&self) -> bool {
        !self.0.unrenewable.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn has_replaced_claims(&self) -> bool {
        self.0.has_replaced_claims.load(Ordering::Acquire)
    }

    /// Whether the claims of the presented token were stale: the response carries a successor, whatever
    /// the threshold, the class and the limiter say.
    #[inline]
    pub(crate) fn has_new_claims(&self) -> bool {
        self.0.new_claims.is_some()
    }

    /// The successor of the presented token, if its claims were stale.
    pub(crate) fn shared_successor(&self) -> Option<&SharedSuccessor> {
        self.0.new_claims.as_ref().map(|answer| &answer.successor)
    }

    #[inline]
    pub(crate) fn take_replaced_claims(&self) -> Option<AppClaims> {
        if !self.has_replaced_claims() {
            return None;
        }
        self.0.replaced_claims.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Session").field(self.session_claims()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p10_debug_names_nobody() {
        let session = Session::builder("ada")
            .sid("secret-sid")
            .auth_time(Timestamp::from_secs(1))
            .claims_json(r#"{"iat":1,"exp":2,"role":"secret-role"}"#)
            .build()
            .expect("complete");
        let shown = format!("{session:?}");
        assert!(!shown.contains("ada") && !shown.contains("secret"), "{shown}");
    }
}
