//! The changes of the feed as bytes, and what the store keeps of them: the latest of each key.

use super::{
    bytes::{Reader, Writer},
    failure::Failure,
};
use crate::{
    identity::StoreKey,
    policy::TimeoutOverrides,
    store::{FoldedTombstones, RevocationCutoff, node::Change},
    time::Timestamp,
};

const REVOKED: u8 = 0;
const EXEMPT: u8 = 1;
const CUTOFF: u8 = 2;
const OVERRIDES: u8 = 3;
const FOLDED: u8 = 4;
const TOMBSTONE_FOLDED: u8 = 5;
const CLAIMS: u8 = 6;
/// A session of a user who is not known has a tombstone.
const REVOKED_UNPLACED: u8 = 7;
const LOST: u8 = 8;
const WRITES_BACK: u8 = 9;
const SUSPECTED: u8 = 10;

/// A change of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FeedChange {
    Known(Change),
    /// A session has a tombstone that is kept in the feed's slot alone: its user is not known.
    RevokedUnplaced {
        session: StoreKey,
        until: Timestamp,
        /// Who has ended it: the beginning of the actor's key.
        caller: u32,
        /// Of the command that has written it, which a client may send twice.
        nonce: u32,
    },
    /// The store of this id has lost data, as a node has found at `at`.
    Lost {
        id: StoreKey,
        at: Timestamp,
    },
    /// The store of this id may have lost data until `at` that no node holds.
    Suspected {
        id: StoreKey,
        at: Timestamp,
    },
    /// A node writes back what it holds, at most until an instant of the server's clock; or has done so, if
    /// that is zero.
    WritesBack {
        node: StoreKey,
        until: Timestamp,
    },
}

impl From<Change> for FeedChange {
    fn from(change: Change) -> Self {
        Self::Known(change)
    }
}

impl FeedChange {
    /// A session whose user is not known, which nobody ends at the moment.
    pub(super) const fn revoked_unplaced(session: StoreKey, until: Timestamp) -> Self {
        Self::RevokedUnplaced { session, until, caller: 0, nonce: 0 }
    }

    /// The name of the field that keeps the latest change of this kind and key.
    pub(super) fn field(&self) -> Vec<u8> {
        let (kind, key, ..) = self.parts();
        field(kind, key)
    }

    pub(super) fn pack(&self) -> Vec<u8> {
        let (kind, key, [one, two, three, four]) = self.parts();
        let writer = Writer::new().byte(kind).key(key).bytes(&one).bytes(&two);
        writer.bytes(&three).bytes(&four).finish()
    }

    fn parts(&self) -> (u8, StoreKey, [[u8; 8]; 4]) {
        let none = [0; 8];
        let time = |at: Timestamp| at.as_millis().to_be_bytes();
        match *self {
            Self::Lost { id, at } => (LOST, id, [time(at), none, none, none]),
            Self::Suspected { id, at } => (SUSPECTED, id, [time(at), none, none, none]),
            Self::WritesBack { node, until } => {
                (WRITES_BACK, node, [time(until), none, none, none])
            }
            Self::RevokedUnplaced { session, until, caller, nonce } => {
                let by = (u64::from(caller) << 32 | u64::from(nonce)).to_be_bytes();
                (REVOKED_UNPLACED, session, [time(until), by, none, none])
            }
            Self::Known(change) => match change {
                Change::Revoked { session, user, until } => {
                    let (first, last) = user.map_or((none, none), halves);
                    (REVOKED, session, [time(until), first, last, none])
                }
                Change::Exempt { session, at, until } => {
                    (EXEMPT, session, [time(at), time(until), none, none])
                }
                Change::Cutoff { scope, cutoff: RevocationCutoff { at, until } } => {
                    (CUTOFF, scope, [time(at), time(until), none, none])
                }
                Change::TimeoutOverrides { account, overrides, version } => {
                    let span = |span: Option<std::time::Duration>| {
                        let span = span.map_or(u64::MAX, super::bytes::exact_span);
                        span.to_be_bytes()
                    };
                    let version = version.to_be_bytes();
                    let spans = [span(overrides.idle), span(overrides.absolute), version, none];
                    (OVERRIDES, account, spans)
                }
                Change::Folded { user, folded: FoldedTombstones { first, last, at, until } } => {
                    (FOLDED, user, [time(first), time(last), time(at), time(until)])
                }
                Change::TombstoneFolded { session } => (TOMBSTONE_FOLDED, session, [none; 4]),
                Change::Claims { scope, number, until } => {
                    (CLAIMS, scope, [time(number), time(until), none, none])
                }
            },
        }
    }

    /// Reads changes; leaves out kinds that a later version of this crate has written.
    pub(super) fn unpack(bytes: &[u8]) -> Result<Vec<Self>, Failure> {
        let mut reader = Reader::new(bytes);
        let mut changes = Vec::new();
        while !reader.is_empty() {
            let (kind, key) = (reader.byte()?, reader.key()?);
            let mut numbers = [0; 4];
            for number in &mut numbers {
                let bytes = reader.bytes(8)?.try_into().map_err(|_| Failure::malformed())?;
                *number = u64::from_be_bytes(bytes);
            }
            changes.extend(Self::read(kind, key, numbers));
        }
        Ok(changes)
    }

    fn read(kind: u8, key: StoreKey, numbers: [u64; 4]) -> Option<Self> {
        let [one, two, three, four] = numbers.map(Timestamp::from_millis);
        let change = match kind {
            REVOKED => {
                let user = whole([numbers[1], numbers[2]]);
                Change::Revoked { session: key, user, until: one }
            }
            EXEMPT => Change::Exempt { session: key, at: one, until: two },
            CUTOFF => Change::Cutoff { scope: key, cutoff: RevocationCutoff::new(one, two) },
            OVERRIDES => {
                let span = |millis: u64| {
                    (millis != u64::MAX).then(|| std::time::Duration::from_millis(millis))
                };
                let overrides =
                    TimeoutOverrides { idle: span(numbers[0]), absolute: span(numbers[1]) };
                Change::TimeoutOverrides { account: key, overrides, version: numbers[2] }
            }
            FOLDED => {
                let folded = FoldedTombstones::new(one, two, three, four);
                Change::Folded { user: key, folded }
            }
            TOMBSTONE_FOLDED => Change::TombstoneFolded { session: key },
            CLAIMS => Change::Claims { scope: key, number: one, until: two },
            LOST => return Some(Self::Lost { id: key, at: one }),
            SUSPECTED => return Some(Self::Suspected { id: key, at: one }),
            WRITES_BACK => return Some(Self::WritesBack { node: key, until: one }),
            REVOKED_UNPLACED => {
                let half =
                    |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default();
                let (caller, nonce) = (half(numbers[1] >> 32), half(numbers[1]));
                return Some(Self::RevokedUnplaced { session: key, until: one, caller, nonce });
            }
            _ => return None,
        };
        Some(Self::Known(change))
    }

    /// The change with what is kept of an earlier one: the later instants count.
    pub(super) fn merge(self, before: &[u8]) -> Result<Self, Failure> {
        let before = Self::unpack(before)?.into_iter().next();
        let (own, before) = match (self, before) {
            (Self::Known(own), Some(Self::Known(before))) => (own, before),
            (own, Some(before)) if own.until() <= before.until() => return Ok(before),
            (own, _) => return Ok(own),
        };
        Ok(Self::Known(match (own, before) {
            (Change::Exempt { session, at, until }, Change::Exempt { at: a, until: u, .. }) => {
                Change::Exempt { session, at: at.max(a), until: until.max(u) }
            }
            (Change::Cutoff { scope, cutoff }, Change::Cutoff { cutoff: before, .. }) => {
                let (at, until) = (cutoff.at.max(before.at), cutoff.until.max(before.until));
                Change::Cutoff { scope, cutoff: RevocationCutoff::new(at, until) }
            }
            (
                Change::Claims { scope, number, until },
                Change::Claims { number: n, until: u, .. },
            ) => Change::Claims { scope, number: number.max(n), until: until.max(u) },
            (
                Change::TimeoutOverrides { version, .. },
                Change::TimeoutOverrides { version: before_version, .. },
            ) if version <= before_version => before,
            (Change::Folded { user, folded }, Change::Folded { folded: before, .. }) => {
                Change::Folded { user, folded: folded.merge(before) }
            }
            _ => own,
        }))
    }

    /// When what is kept of it can be removed; `None` for never.
    pub(super) const fn until(&self) -> Option<Timestamp> {
        match *self {
            Self::RevokedUnplaced { until, .. }
            | Self::WritesBack { until, .. }
            | Self::Known(
                Change::Revoked { until, .. }
                | Change::Exempt { until, .. }
                | Change::Cutoff { cutoff: RevocationCutoff { until, .. }, .. }
                | Change::Folded { folded: FoldedTombstones { until, .. }, .. }
                | Change::Claims { until, .. },
            ) => Some(until),
            Self::Lost { .. }
            | Self::Suspected { .. }
            | Self::Known(Change::TimeoutOverrides { .. } | Change::TombstoneFolded { .. }) => None,
        }
    }

    /// Whether it is applied after all others that a node reads at once: what it may revoke is exempt by
    /// another.
    pub(super) const fn is_applied_last(&self) -> bool {
        matches!(self, Self::Known(Change::Cutoff { .. } | Change::Folded { .. }))
    }
}

/// A key as two numbers; none is zero.
fn halves(key: StoreKey) -> ([u8; 8], [u8; 8]) {
    let mut halves = key.as_bytes().chunks_exact(8).map(|half| half.try_into().unwrap_or_default());
    (halves.next().unwrap_or_default(), halves.next().unwrap_or_default())
}

/// The key of two numbers, unless both are zero.
fn whole(halves: [u64; 2]) -> Option<StoreKey> {
    let [first, last] = halves.map(u128::from);
    let key = (first << 64) | last;
    (key != 0).then(|| StoreKey::from_bytes(key.to_be_bytes()))
}

/// The field of the latest claims number of all scopes.
pub(super) const LATEST_CLAIMS: &[u8] = b"n";

/// The field of the exemption of a session.
pub(super) fn exemption(session: StoreKey) -> Vec<u8> {
    field(EXEMPT, session)
}

/// The field of what is folded of a user.
pub(super) fn folded(user: StoreKey) -> Vec<u8> {
    field(FOLDED, user)
}

/// The field of the latest loss of data of the store of this id.
pub(super) fn loss(id: StoreKey) -> Vec<u8> {
    field(LOST, id)
}

/// The field of the overrides of an account.
pub(super) fn overrides(account: StoreKey) -> Vec<u8> {
    field(OVERRIDES, account)
}

/// The field of the claims number of a scope.
pub(super) fn claims(scope: StoreKey) -> Vec<u8> {
    field(CLAIMS, scope)
}

fn field(kind: u8, key: StoreKey) -> Vec<u8> {
    Writer::new().byte(kind).key(key).finish()
}
