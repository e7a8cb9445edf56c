//! The names of keys in Redis.

use base64_simd::URL_SAFE_NO_PAD;

use crate::identity::{Scope, SessionKeys, StoreKey};

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
        format!("{}:g{}", self.slot_prefix(user), text(session))
    }

    /// The grant that blocks renewals of a user.
    pub(super) fn user_grant(&self, user: StoreKey) -> String {
        format!("{}:r", self.slot_prefix(user))
    }

    /// What is known of a session: the records of its user, the tombstones of its user, and its
    /// activity if it has no record.
    pub(super) fn session(&self, keys: SessionKeys) -> [Vec<u8>; 3] {
        let SessionKeys { user, session } = keys;
        [self.records(user), self.tombstones(user), self.key_of_two(user, ":s", session)]
    }

    /// The records of a user.
    pub(super) fn records(&self, user: StoreKey) -> Vec<u8> {
        self.slot_prefix(user).into_bytes()
    }

    /// The tombstones of a user.
    pub(super) fn tombstones(&self, user: StoreKey) -> Vec<u8> {
        format!("{}:e", self.slot_prefix(user)).into_bytes()
    }

    /// The tickets of a session.
    pub(super) fn tickets(&self, user: StoreKey, session: StoreKey) -> Vec<u8> {
        self.key_of_two(user, ":t", session)
    }

    /// A ticket.
    pub(super) fn ticket(&self, user: StoreKey, ticket: StoreKey) -> Vec<u8> {
        self.key_of_two(user, ":k", ticket)
    }

    /// The sessions of a scope, and the longest life of one of them.
    pub(super) fn list(&self, scope: Scope) -> [Vec<u8>; 2] {
        let prefix = self.slot_prefix(scope.key());
        [format!("{prefix}:l").into_bytes(), format!("{prefix}:m").into_bytes()]
    }

    /// The lease of the sign-in of a subject that is limited.
    pub(super) fn lease(&self, subject: StoreKey) -> Vec<u8> {
        format!("{}:x", self.slot_prefix(subject)).into_bytes()
    }

    /// The bucket that says which user a session is of.
    pub(super) fn users_by_session(&self, session: StoreKey) -> Vec<u8> {
        self.bucket('d', session)
    }

    /// The bucket that says which users a subject is.
    pub(super) fn users_by_subject(&self, subject: StoreKey) -> Vec<u8> {
        self.bucket('b', subject)
    }

    /// One of 4,096 hashes, by the first 12 bits of a key.
    fn bucket(&self, kind: char, key: StoreKey) -> Vec<u8> {
        let [first, second, ..] = *key.as_bytes();
        format!("{}:{kind}:{first:02x}{:x}", self.namespace, second >> 4).into_bytes()
    }

    /// A log, of whoever's key it is.
    pub(super) fn log(&self, log: char, owner: StoreKey) -> Vec<u8> {
        format!("{}:{log}", self.slot_prefix(owner)).into_bytes()
    }

    /// All rows of a log.
    pub(super) fn whole_log(&self, log: char) -> Vec<u8> {
        format!("{}:{{{log}}}:{log}", self.namespace).into_bytes()
    }

    /// What is kept of the changes of the feed; the feed; its sequence number; the marker.
    pub(super) fn kept(&self) -> Vec<u8> {
        self.global('c')
    }

    pub(super) fn feed(&self) -> Vec<u8> {
        self.global('f')
    }

    pub(super) fn sequence(&self) -> Vec<u8> {
        self.global('q')
    }

    pub(super) fn marker(&self) -> Vec<u8> {
        self.global('m')
    }

    /// What is written last where replicas are waited for: in the slot of a user, and in that of the feed.
    pub(super) fn last_write_of(&self, user: StoreKey) -> Vec<u8> {
        format!("{}:p", self.slot_prefix(user)).into_bytes()
    }

    pub(super) fn last_write_of_feed(&self) -> Vec<u8> {
        self.global('p')
    }

    fn global(&self, name: char) -> Vec<u8> {
        format!("{}:{{g}}:{name}", self.namespace).into_bytes()
    }

    /// What all keys of a user, or another scope, begin with: the hash tag puts them into one slot of
    /// a cluster.
    fn slot_prefix(&self, key: StoreKey) -> String {
        format!("{}:{{{}}}", self.namespace, text(key))
    }

    fn key_of_two(&self, user: StoreKey, kind: &str, key: StoreKey) -> Vec<u8> {
        let mut name = self.slot_prefix(user).into_bytes();
        name.extend(kind.as_bytes());
        name.extend(key.as_bytes());
        name
    }
}

/// As text: a raw digest may begin with `}`, and an empty hash tag is none.
fn text(key: StoreKey) -> String {
    URL_SAFE_NO_PAD.encode_to_string(key.as_bytes())
}
