//! The successor of a token whose claims were stale: parallel responses carry the same one (P6).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    clock::Clock,
    rules::{SessionClaims, TokenTimes},
    time::Timestamp,
    token::{Seen, new_id},
};

/// What identifies the successor that was minted last after a change of claims. Each response mints it
/// anew from that: the token itself is not kept.
#[derive(Default)]
pub(crate) struct SharedSuccessor(Mutex<Option<Kept>>);

struct Kept {
    /// The `iat`, `exp` and generation of the token that was presented.
    predecessor: (Timestamp, Timestamp, u32),
    minted_at: Timestamp,
    successor: Successor,
}

/// What a successor does not have from its predecessor.
#[derive(Clone)]
pub(crate) struct Successor {
    /// The `jti`.
    pub(crate) id: Arc<str>,
    pub(crate) times: TokenTimes,
    pub(crate) seen: Seen,
}

impl SharedSuccessor {
    /// Returns the successor of the token with `claims`, and whether it is a new one: the one that
    /// another response carries, if it was minted less than `interval` ago, else one with `times` and
    /// `seen`. A successor whose mint was no activity is not shared with a response whose mint is.
    pub(crate) fn get_or_mint(
        &self,
        claims: &SessionClaims,
        (times, seen): (TokenTimes, Seen),
        interval: Duration,
        clock: &dyn Clock,
    ) -> (Successor, bool) {
        let predecessor = (claims.iat, claims.exp, claims.generation);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: of two responses the later one reads the later time.
        let now = clock.now();
        let is_shared = |kept: &&Kept| {
            kept.predecessor == predecessor
                && (kept.minted_at..kept.minted_at + interval).contains(&now)
                && (kept.successor.seen == Seen::AtMint || seen != Seen::AtMint)
        };
        if let Some(kept) = kept.as_ref().filter(is_shared) {
            return (kept.successor.clone(), false);
        }
        let successor = Successor { id: new_id().into(), times, seen };
        *kept = Some(Kept { predecessor, minted_at: now, successor: successor.clone() });
        (successor, true)
    }
}
