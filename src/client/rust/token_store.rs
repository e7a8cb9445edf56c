//! Where a client keeps its tokens.

use std::{
    fmt,
    sync::{PoisonError, RwLock},
};

use super::tokens::Tokens;

/// Where a client keeps its tokens: in memory, a file, or a keychain.
///
/// The methods are called within requests: they must not wait for a network. What cannot be written
/// is kept in memory.
pub trait TokenStore: Send + Sync + 'static {
    /// Returns the tokens; `None` while nobody is signed in.
    fn get(&self) -> Option<Tokens>;

    /// Applies `change` to the tokens in one atomic step: no other change comes between. A store that
    /// other processes write calls it again with what they have written.
    fn update(&self, change: &mut dyn FnMut(Option<&Tokens>) -> TokenChange);
}

/// What becomes of the tokens in a store.
#[derive(Clone, Debug)]
pub enum TokenChange {
    /// They stay as they are.
    Keep,
    /// These replace them.
    Set(Tokens),
    /// They are deleted.
    Clear,
}

/// Tokens in memory: the process signs in after each start. The default.
#[derive(Default)]
pub struct MemoryTokenStore(RwLock<Option<Tokens>>);

impl MemoryTokenStore {
    /// An empty store.
    #[must_use]
    pub const fn new() -> Self {
        Self(RwLock::new(None))
    }
}

impl TokenStore for MemoryTokenStore {
    fn get(&self) -> Option<Tokens> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn update(&self, change: &mut dyn FnMut(Option<&Tokens>) -> TokenChange) {
        let mut tokens = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match change(tokens.as_ref()) {
            TokenChange::Keep => {}
            TokenChange::Set(new) => *tokens = Some(new),
            TokenChange::Clear => *tokens = None,
        }
    }
}

impl fmt::Debug for MemoryTokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryTokenStore(..)")
    }
}
