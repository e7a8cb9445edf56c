//! Who the users are.

use std::{fmt, sync::Arc};

use crate::maybe_ready::MaybeReady;

/// Tells names and addresses of users: this crate knows neither.
pub trait UserDirectory: Send + Sync + 'static {
    /// The entries of the users `subjects` of the account `tenant`; those who are not known are
    /// left out.
    fn entries(&self, tenant: &str, subjects: &[&str]) -> MaybeReady<Vec<DirectoryEntry>>;
}

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
    /// How the user is called.
    pub name: String,
    /// Where mail reaches the user.
    pub email: String,
}

impl fmt::Debug for DirectoryEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectoryEntry(..)")
    }
}
