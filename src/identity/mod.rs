//! Store keys, and the scopes of bulk revocation and lists.

mod scope;
mod session_keys;
mod store_key;

pub use self::{
    scope::{CutoffScope, Scope, Scopes},
    session_keys::SessionKeys,
    store_key::StoreKey,
};
