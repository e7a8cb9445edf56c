//! Sign-in, refresh, revocation, lists and account policies, as the hub offers them.

use super::SlidingSessions;
use crate::{
    audit::{ActivityEntry, AuditQueue, AuditRecord},
    identity::{Scope, StoreKey},
    lifecycle::{
        AccountPolicy, ChangeAccountPolicy, ClaimsChanged, DirectoryEntry, IssueTicket, Refresh,
        Revoke, RevokeAll, Start,
    },
    maybe_ready::{LIFECYCLE_TIME_LIMIT, within},
    policy::TimeoutOverrides,
    rejection::Rejection,
    request_class::RequestHead,
    session::Session,
    store::{ActiveUser, Exempt, ListQuery, Page, SessionRecord},
    transport::SetCookie,
};
#[cfg(feature = "axum-router")]
use crate::{rules::Deadlines, time::Timestamp};

/// Sign-in and sign-out.
impl SlidingSessions {
    /// Starts a session for the user `subject`, who has just authenticated. Await it for the grant.
    ///
    /// # Errors
    /// An empty subject, an unknown profile, refused claims, a token that is too long, a key that cannot sign, a store that does
    /// not answer.
    pub fn start(&self, subject: impl Into<String>) -> Start<'_> {
        Start::new(&self.hub.lifecycle, subject.into())
    }

    /// Exchanges a refresh token for the next pair of tokens. Await it for the grant.
    ///
    /// # Errors
    /// `invalid_refresh_token`, `refresh_token_reused`, `session_expired_idle`,
    /// `session_expired_absolute`, `store_unavailable`.
    pub fn refresh<'a>(&'a self, refresh_token: &'a str) -> Refresh<'a> {
        Refresh::new(&self.hub.lifecycle, refresh_token)
    }

    /// Whether a refresh with these headers is activity.
    #[cfg(feature = "axum-router")]
    pub(crate) fn counts_refresh(&self, headers: &http::HeaderMap) -> bool {
        self.hub.lifecycle.activity.counts_refresh(headers)
    }

    /// Starts a session that replaces `session`, whose user has just authenticated again: step-up. It
    /// has a new `sid` and `auth_time`, and the subject, account, profile and claims of `session`,
    /// which is revoked as soon as the new session has started.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn reauthenticate<'a>(&'a self, session: &'a Session) -> Start<'a> {
        Start::instead_of(&self.hub.lifecycle, session)
    }

    /// Revokes the session `sid`, whether or not the store knows it: its tombstone is written before
    /// this returns.
    ///
    /// # Errors
    /// Once awaited: `store_unavailable`, a 503. The session is still active then.
    pub fn revoke<'a>(&'a self, sid: &'a str) -> Revoke<'a> {
        Revoke::new(&self.hub.lifecycle, sid)
    }

    /// Issues a ticket for one request of `session`, for a client that can set no header: `EventSource`,
    /// a download, `<video>`, a WebSocket. Name the path, and await it. The client appends the ticket to the
    /// URI as the query parameter `ticket`.
    ///
    /// A ticket is good for 30 s, at most until the access token expires, and for one request with its
    /// method and path over all nodes, after which it stands in logs and histories as something that works
    /// no more. The request is [`Background`](crate::RequestClass::Background), and its session is judged
    /// as that of any other: a ticket of a session that has ended is refused. A refused ticket is
    /// `invalid_token`, also where a cookie or header would authenticate the request.
    ///
    /// At most 32 tickets of a session are open: one more closes the oldest. Tickets that a store has
    /// forgotten, as the memory store does in a restart, are refused; a database that was restored from an
    /// earlier state accepts those of its last 30 s again.
    ///
    /// Handlers do not see the parameter, and the response is not stored by a cache. Layers outside see
    /// it, and so does axum's `OriginalUri` where the layer is inside of a `Router`.
    ///
    /// ```
    /// use tower_sliding_session::{JwtKeys, Policy, Session, SlidingSessions};
    /// use tower_sliding_session::lifecycle::{Ticket, TicketError};
    ///
    /// # fn build() -> Result<SlidingSessions, Box<dyn std::error::Error>> {
    /// let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::builder().build()?)
    ///     .tickets()
    ///     .build()?;
    /// # Ok(sessions) }
    /// async fn issue(sessions: &SlidingSessions, session: &Session) -> Result<Ticket, TicketError> {
    ///     sessions.ticket(session).path("/events").await
    /// }
    /// ```
    ///
    /// # Errors
    /// Once awaited: a [`TicketError`](crate::lifecycle::TicketError).
    pub fn ticket<'a>(&'a self, session: &'a Session) -> IssueTicket<'a> {
        IssueTicket::new(&self.hub.lifecycle, session, self.hub.authenticate.accepts_tickets())
    }

    /// Signs the session of a request out, for a sign-out handler. As [`Session::sign_out`], also for
    /// a session that no layer of this crate has checked.
    ///
    /// # Errors
    /// `store_unavailable`, a 503. The session is still active then.
    pub async fn sign_out(&self, session: &Session) -> Result<(), Rejection> {
        self.hub.lifecycle.enforcement.sign_out(session).await
    }

    /// Signs out the sessions whose tokens a request presents, for the handler of a sign-out route
    /// that is [`Public`](crate::RequestClass::Public). Returns what clears the session cookie, the
    /// mirror cookie and their former ones, as far as the request carries them: a form of another site
    /// carries none of them and signs nobody out.
    ///
    /// An authentic token may have expired. Without any token, and with cookies that are not
    /// authentic, there is nothing to sign out.
    ///
    /// ```
    /// # #[cfg(feature = "axum")]
    /// # mod with_axum {
    /// use axum::{extract::{Request, State}, http::StatusCode};
    /// use tower_sliding_session::{
    ///     Rejection, SlidingSessions, request_class::RequestHead, transport::SetCookie,
    /// };
    ///
    /// async fn sign_out(
    ///     State(sessions): State<SlidingSessions>,
    ///     request: Request,
    /// ) -> Result<(SetCookie, StatusCode), Rejection> {
    ///     let cleared = sessions.sign_out_request(RequestHead::new(&request)).await?;
    ///     Ok((cleared, StatusCode::NO_CONTENT))
    /// }
    /// # pub fn route() -> axum::Router<SlidingSessions> {
    /// #     axum::Router::new().route("/sign-out", axum::routing::post(sign_out))
    /// # }
    /// # }
    /// ```
    ///
    /// # Errors
    /// `invalid_token` if a header presents a token that does not verify; `store_unavailable`, a 503,
    /// also where the keys of an issuer could not be [fetched](crate::JwtKeys::on_unknown_kid).
    /// The response then clears no cookie, and the sessions may still be active.
    pub async fn sign_out_request(&self, head: RequestHead<'_>) -> Result<SetCookie, Rejection> {
        let presented = self.hub.authenticate.settings.authentic_tokens(head).await?;
        for token in presented.tokens {
            self.hub.lifecycle.enforcement.sign_out_by_token(&token).await?;
        }
        match presented.unavailable {
            Some(unavailable) => Err(unavailable),
            None => Ok(self.hub.delivery.clear_carried(head.headers())),
        }
    }

    /// Revokes all sessions of `scope` but `exempt`; returns how many were active, as far as the
    /// store can count them. Takes effect at once, whatever their number, and on other nodes within
    /// `sync_interval` of the store. Sessions that start later are not affected. Always one audit
    /// event.
    ///
    /// # Errors
    /// Once awaited: `store_unavailable`. Nothing was revoked then.
    pub fn revoke_all(&self, scope: Scope, exempt: Exempt) -> RevokeAll<'_> {
        RevokeAll::new(&self.hub.lifecycle, scope, exempt)
    }

    /// Makes the claims of all tokens of `scope` stale. Call it after the app has changed a role, or
    /// whatever else its [claims source](crate::token::ClaimsSource) returns.
    ///
    /// Once it has returned, no request of the scope reaches a handler of this node with the old claims;
    /// on other nodes none as soon as they have read the change, within `sync_interval` of the store. The
    /// next request of each session asks the source first, whatever its class, and its response carries
    /// the token with the new claims. Where the source denies the user, the request is rejected as
    /// `access_denied`, 403; where it fails, as `store_unavailable`. Always one audit event.
    ///
    /// # Errors
    /// Once awaited: no claims source is set, or the store did not answer.
    pub fn claims_changed(&self, scope: Scope) -> ClaimsChanged<'_> {
        ClaimsChanged::new(&self.hub.lifecycle, scope)
    }
}

/// Scopes and keys by name.
impl SlidingSessions {
    /// The sessions of one user: of `subject` in the account `tenant`, or without one.
    #[must_use]
    pub fn user_scope(&self, tenant: Option<&str>, subject: &str) -> Scope {
        Scope::User(StoreKey::user(self.iss(), tenant, subject))
    }

    /// The sessions of `subject` in all accounts, and without one: what a password reset revokes.
    #[must_use]
    pub fn subject_scope(&self, subject: &str) -> Scope {
        Scope::Subject(StoreKey::subject(self.iss(), subject))
    }

    /// The sessions of one account.
    #[must_use]
    pub fn account_scope(&self, tenant: &str) -> Scope {
        Scope::Account(StoreKey::account(self.iss(), tenant))
    }

    /// All sessions.
    #[must_use]
    pub fn everything(&self) -> Scope {
        Scope::Everything(StoreKey::everything(self.iss()))
    }

    /// The key of the session `sid`, for [`Exempt::Sessions`].
    #[must_use]
    pub fn session_key(&self, sid: &str) -> StoreKey {
        StoreKey::session(self.iss(), sid)
    }

    fn iss(&self) -> Option<&str> {
        self.hub.lifecycle.verifier.iss()
    }
}

/// Lists, logs and account policies. They need a lifecycle store; without one the error is
/// `store_unavailable`.
impl SlidingSessions {
    /// Returns a page of the active sessions of `scope`, the latest sign-in first.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
    ) -> Result<Page<SessionRecord>, Rejection> {
        self.hub.lifecycle.sessions(scope, query).await
    }

    /// Returns the record of the active session `sid`.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn session(&self, sid: &str) -> Result<Option<SessionRecord>, Rejection> {
        self.hub.lifecycle.session(sid).await
    }

    /// Returns the users of the account `tenant` with an active session, each once, the latest sign-in
    /// first.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn active_users(
        &self,
        tenant: &str,
        limit: u32,
    ) -> Result<Vec<ActiveUser>, Rejection> {
        self.hub.lifecycle.active_users(self.account_scope(tenant), limit).await
    }

    /// Returns what the [directory](crate::sessions::SlidingSessionsBuilder::user_directory) knows of
    /// `subjects`; nothing if it fails, because a list without names is still useful.
    pub async fn directory_entries(&self, tenant: &str, subjects: &[&str]) -> Vec<DirectoryEntry> {
        let Some(directory) = self.hub.directory.as_ref().filter(|_| !subjects.is_empty()) else {
            return Vec::new();
        };
        let clock = &*self.hub.lifecycle.enforcement.clock;
        let entries = directory.entries(tenant, subjects);
        within(entries, clock, LIFECYCLE_TIME_LIMIT).await.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "the user directory failed");
            Vec::new()
        })
    }

    /// The deadlines of the session of a request, and when the request arrived.
    #[cfg(feature = "axum-router")]
    pub(crate) fn deadlines(&self, session: &Session) -> (Deadlines, Timestamp) {
        let enforcement = &self.hub.lifecycle.enforcement;
        let deadlines = session.deadlines().unwrap_or_else(|| {
            // The app has built the session, and no layer has checked it.
            let policy = enforcement.policy(session.token());
            Deadlines::new(session.session_claims(), Some(session.last_activity()), &policy)
        });
        (deadlines, session.now(&*enforcement.clock))
    }

    /// The instants at which the session of `record` expires: without further activity, and in any
    /// case.
    #[cfg(feature = "axum-router")]
    pub(crate) fn deadlines_of(&self, record: &SessionRecord) -> (Timestamp, Timestamp) {
        self.hub.lifecycle.deadlines_of(record)
    }

    /// Returns a page of the audit log of `scope`, the latest record first.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn audit_log(
        &self,
        scope: Scope,
        query: ListQuery,
    ) -> Result<Page<AuditRecord>, Rejection> {
        self.hub.lifecycle.audit_log(scope, query).await
    }

    /// Returns a page of the [activity log](crate::sessions::SlidingSessionsBuilder::activity_log)
    /// of `scope`, the latest entry first.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn activity_log(
        &self,
        scope: Scope,
        query: ListQuery,
    ) -> Result<Page<ActivityEntry>, Rejection> {
        self.hub.lifecycle.activity_log(scope, query).await
    }

    /// Completes once the store has written every activity of this node, and every audit sink has
    /// received what is queued; for a shutdown.
    ///
    /// # Errors
    /// `store_unavailable`: activities are not written. The sessions may expire earlier by at most
    /// the touch interval.
    pub async fn flush(&self) -> Result<(), Rejection> {
        self.hub.lifecycle.flush().await
    }

    /// Returns the queue of audit records: it counts dropped records, and flushes.
    #[must_use]
    pub fn audit_queue(&self) -> Option<&AuditQueue> {
        self.hub.lifecycle.audit_queue()
    }

    /// Returns the policy of the account `tenant`.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn account_policy(&self, tenant: &str) -> Result<AccountPolicy, Rejection> {
        self.hub.lifecycle.account_policy(tenant).await
    }

    /// Changes the overrides of the account `tenant` to what `change` returns for the present ones.
    /// `change` may be called again if another change came first. Sessions that start from now on
    /// have the new timeouts; active sessions where these are shorter.
    ///
    /// `change` is called again if another change was made at the same time.
    ///
    /// # Errors
    /// Once awaited: the overrides that are out of bounds, each with its field, value and bound;
    /// `store_unavailable`. Nothing is changed then.
    pub fn change_account_policy<'a, F>(
        &'a self,
        tenant: &'a str,
        change: F,
    ) -> ChangeAccountPolicy<'a, F>
    where
        F: Fn(TimeoutOverrides) -> TimeoutOverrides,
    {
        ChangeAccountPolicy::new(&self.hub.lifecycle, tenant, change)
    }
}
