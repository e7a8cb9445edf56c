//! Scopes: the user, the account and the issuer of a session.

use super::StoreKey;

/// The scopes that a session is in: its user, its account, and everything of its issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scopes {
    /// [`StoreKey::user`] of the session.
    pub user: StoreKey,
    /// [`StoreKey::account`] of the session, if its token has a `tenant`.
    pub account: Option<StoreKey>,
    /// [`StoreKey::everything`] of the session's issuer.
    pub everything: StoreKey,
}

impl Scopes {
    /// Creates the scopes of a session with these claims.
    #[must_use]
    pub fn new(iss: Option<&str>, tenant: Option<&str>, sub: &str) -> Self {
        Self {
            user: StoreKey::user(iss, tenant, sub),
            account: tenant.map(|tenant| StoreKey::account(iss, tenant)),
            everything: StoreKey::everything(iss),
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
        [user, account, Some((CutoffScope::Issuer, self.everything))].into_iter().flatten()
    }
}

/// The kind of scope whose revocation cutoff has revoked a session, from narrow to wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CutoffScope {
    /// The sessions of one user.
    User,
    /// The sessions of one account.
    Account,
    /// All sessions of one issuer.
    Issuer,
}

/// A scope to list, or to revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The sessions of one user: [`StoreKey::user`].
    User(StoreKey),
    /// The sessions of one account: [`StoreKey::account`].
    Account(StoreKey),
    /// All sessions of one issuer: [`StoreKey::everything`].
    Everything(StoreKey),
}

impl Scope {
    /// Returns the key of the scope.
    #[must_use]
    pub const fn key(self) -> StoreKey {
        let (Self::User(key) | Self::Account(key) | Self::Everything(key)) = self;
        key
    }

    /// Returns the kind of the scope.
    #[must_use]
    pub const fn kind(self) -> CutoffScope {
        match self {
            Self::User(_) => CutoffScope::User,
            Self::Account(_) => CutoffScope::Account,
            Self::Everything(_) => CutoffScope::Issuer,
        }
    }

    /// Returns whether the scope contains a session of `scopes`.
    #[must_use]
    pub fn contains(self, scopes: &Scopes) -> bool {
        match self {
            Self::User(key) => scopes.user == key,
            Self::Account(key) => scopes.account == Some(key),
            Self::Everything(key) => scopes.everything == key,
        }
    }
}
