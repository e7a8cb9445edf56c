//! The subject and the actor of an audit record.

use std::{fmt, sync::Arc};

use crate::identity::{Scope, Scopes, StoreKey};

/// The session, user, subject and account that an audit record is about, by their digests. `Debug` shows
/// none of them.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditSubject {
    /// [`StoreKey::session`].
    pub session: Option<StoreKey>,
    /// [`StoreKey::user`].
    pub user: Option<StoreKey>,
    /// [`StoreKey::subject`].
    pub subject: Option<StoreKey>,
    /// [`StoreKey::account`].
    pub account: Option<StoreKey>,
    /// The plain `sub`; `None` unless the [queue](crate::audit::AuditQueue::plain_subjects) keeps
    /// it.
    pub sub: Option<Arc<str>>,
}

impl AuditSubject {
    /// Creates the subject for a session.
    #[must_use]
    pub const fn from_session(session: StoreKey, scopes: &Scopes) -> Self {
        Self {
            session: Some(session),
            user: Some(scopes.user),
            subject: Some(scopes.subject),
            account: scopes.account,
            sub: None,
        }
    }

    /// Creates the subject for a session of which only the key is known.
    #[must_use]
    pub const fn from_session_key(session: StoreKey) -> Self {
        Self { session: Some(session), user: None, subject: None, account: None, sub: None }
    }

    /// Creates the subject for a user, a subject or an account; for everything of an issuer it is
    /// empty.
    #[must_use]
    pub const fn from_scope(scope: Scope) -> Self {
        let (user, subject, account) = match scope {
            Scope::User(user) => (Some(user), None, None),
            Scope::Subject(subject) => (None, Some(subject), None),
            Scope::Account(account) => (None, None, Some(account)),
            Scope::Everything(_) => (None, None, None),
        };
        Self { session: None, user, subject, account, sub: None }
    }

    /// Sets the plain `sub`.
    #[must_use]
    pub fn with_sub(mut self, sub: Option<Arc<str>>) -> Self {
        self.sub = sub;
        self
    }
}

impl fmt::Debug for AuditSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditSubject(..)")
    }
}

/// The user who performed an act on another subject. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditActor {
    /// [`StoreKey::user`].
    pub user: StoreKey,
    /// The plain `sub`; `None` unless the [queue](crate::audit::AuditQueue::plain_subjects) keeps
    /// it.
    pub sub: Option<Arc<str>>,
}

impl AuditActor {
    /// Creates an actor from the digest of a user.
    #[must_use]
    pub const fn new(user: StoreKey) -> Self {
        Self { user, sub: None }
    }

    /// Sets the plain `sub`.
    #[must_use]
    pub fn with_sub(mut self, sub: Option<Arc<str>>) -> Self {
        self.sub = sub;
        self
    }
}

impl fmt::Debug for AuditActor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditActor(..)")
    }
}
