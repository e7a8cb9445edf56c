//! Store keys, and the scopes of bulk revocation and lists.

mod scope;
mod store_key;

pub use self::{
    scope::{CutoffScope, Scope, Scopes},
    store_key::StoreKey,
};
