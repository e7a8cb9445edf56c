//! The names of keys in Redis.

use base64_simd::URL_SAFE_NO_PAD;

use crate::identity::StoreKey;

/// Names the keys of one namespace.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    namespace: Box<str>,
}

impl Keys {
    pub(super) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.into() }
    }

    /// The grant that blocks renewals of a session.
    pub(super) fn session_grant(&self, user: StoreKey, session: StoreKey) -> String {
        format!("{}:g{}", self.user(user), text(session))
    }

    /// The grant that blocks renewals of a user.
    pub(super) fn user_grant(&self, user: StoreKey) -> String {
        format!("{}:r", self.user(user))
    }

    /// What all keys of a user begin with: the hash tag puts them into one slot of a cluster.
    fn user(&self, user: StoreKey) -> String {
        format!("{}:{{{}}}", self.namespace, text(user))
    }
}

/// As text: a raw digest may begin with `}`, and an empty hash tag is none.
fn text(key: StoreKey) -> String {
    URL_SAFE_NO_PAD.encode_to_string(key.as_bytes())
}
