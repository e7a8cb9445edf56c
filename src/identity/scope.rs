//! Scopes: the user, the subject, the account and the issuer of a session.

use std::cell::RefCell;

use super::StoreKey;

/// An issuer and the key of everything of it.
type IssuerKey = (Option<Box<str>>, StoreKey);

thread_local! {
    /// The issuer whose key was computed last: most services have one issuer, and its key would be
    /// a third of the work of [`Scopes::new`].
    static LAST_ISSUER: RefCell<Option<IssuerKey>> = const { RefCell::new(None) };
}

fn everything(iss: Option<&str>) -> StoreKey {
    LAST_ISSUER.with_borrow_mut(|last| match last {
        Some((known, key)) if known.as_deref() == iss => *key,
        _ => last.insert((iss.map(Into::into), StoreKey::everything(iss))).1,
    })
}

/// The scopes that a session is in: its user, its subject, its account, and everything of its issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scopes {
    /// [`StoreKey::user`] of the session.
    pub user: StoreKey,
    /// [`StoreKey::subject`] of the session.
    pub subject: StoreKey,
    /// [`StoreKey::account`] of the session, if its token has a `tenant`.
    pub account: Option<StoreKey>,
    /// [`StoreKey::everything`] of the session's issuer.
    pub everything: StoreKey,
}

impl Scopes {
    /// Creates the scopes of a session with these claims.
    #[must_use]
    pub fn new(iss: Option<&str>, tenant: Option<&str>, sub: &str) -> Self {
        Self::of_user(StoreKey::user(iss, tenant, sub), iss, tenant, sub)
    }

    /// The scopes of a session whose user has this key.
    pub(crate) fn of_user(
        user: StoreKey,
        iss: Option<&str>,
        tenant: Option<&str>,
        sub: &str,
    ) -> Self {
        Self {
            user,
            subject: StoreKey::subject(iss, sub),
            account: tenant.map(|tenant| StoreKey::account(iss, tenant)),
            everything: everything(iss),
        }
    }

    /// Returns the keys of the scopes, the widest last.
    pub fn keys(&self) -> impl Iterator<Item = StoreKey> + use<> {
        self.cutoff_keys().map(|(_, key)| key)
    }

    /// Returns the keys of the scopes with the kind of each, the widest last.
    pub fn cutoff_keys(&self) -> impl Iterator<Item = (CutoffScope, StoreKey)> + use<> {
        let account = self.account.map(|account| (CutoffScope::Account, account));
        let user = Some((CutoffScope::User, self.user));
        let subject = Some((CutoffScope::Subject, self.subject));
        let everything = Some((CutoffScope::Issuer, self.everything));
        [user, subject, account, everything].into_iter().flatten()
    }
}

/// The kind of scope whose revocation cutoff has revoked a session, from narrow to wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CutoffScope {
    /// The session alone: its tombstone was folded with others of its user.
    Session,
    /// The sessions of one user: of a subject in one account, or without one.
    User,
    /// The sessions of one subject in all accounts.
    Subject,
    /// The sessions of one account.
    Account,
    /// All sessions of one issuer.
    Issuer,
}

/// A scope to list, or to revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The sessions of one user, who is a subject in one account, or without one:
    /// [`StoreKey::user`].
    User(StoreKey),
    /// The sessions of one subject in all accounts, and without one: [`StoreKey::subject`].
    Subject(StoreKey),
    /// The sessions of one account: [`StoreKey::account`].
    Account(StoreKey),
    /// All sessions of one issuer: [`StoreKey::everything`].
    Everything(StoreKey),
}

impl Scope {
    /// Returns the key of the scope.
    #[must_use]
    pub const fn key(self) -> StoreKey {
        let (Self::User(key) | Self::Subject(key) | Self::Account(key) | Self::Everything(key)) =
            self;
        key
    }

    /// Returns the kind of the scope.
    #[must_use]
    pub const fn kind(self) -> CutoffScope {
        match self {
            Self::User(_) => CutoffScope::User,
            Self::Subject(_) => CutoffScope::Subject,
            Self::Account(_) => CutoffScope::Account,
            Self::Everything(_) => CutoffScope::Issuer,
        }
    }

    /// Returns whether the scope contains a session of `scopes`.
    #[must_use]
    pub fn contains(self, scopes: &Scopes) -> bool {
        match self {
            Self::User(key) => scopes.user == key,
            Self::Subject(key) => scopes.subject == key,
            Self::Account(key) => scopes.account == Some(key),
            Self::Everything(key) => scopes.everything == key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p14_the_key_of_everything_is_that_of_the_issuer() {
        for iss in [None, Some(""), Some("a"), Some("a"), None, Some("b"), Some("a")] {
            assert_eq!(Scopes::new(iss, None, "ada").everything, StoreKey::everything(iss));
        }
    }
}
