//! What other modules name sessions by: the keys of stores, and the scopes of bulk revocations.

mod scope;
mod store_key;

pub use self::{
    scope::{CutoffScope, Scope, Scopes},
    store_key::StoreKey,
};
