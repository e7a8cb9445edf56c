//! The user directory: names and mail addresses of users.

use std::{fmt, sync::Arc};

use crate::maybe_ready::MaybeReady;

/// Returns names and mail addresses of users, which this crate does not store.
pub trait UserDirectory: Send + Sync + 'static {
    /// Returns the entries of the users `subjects` of the account `tenant`, without those that the
    /// directory does not know.
    fn entries(&self, tenant: &str, subjects: &[&str]) -> MaybeReady<Vec<DirectoryEntry>>;
}

#[deny(clippy::missing_trait_methods, reason = "an Arc forwards every method")]
impl<T> UserDirectory for Arc<T>
where
    T: UserDirectory + ?Sized,
{
    fn entries(&self, tenant: &str, subjects: &[&str]) -> MaybeReady<Vec<DirectoryEntry>> {
        (**self).entries(tenant, subjects)
    }
}

/// A user's entry in a directory. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// `sub`.
    pub subject: String,
    /// The user's name.
    pub name: String,
    /// The user's mail address.
    pub email: String,
}

impl fmt::Debug for DirectoryEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectoryEntry(..)")
    }
}
