//! Used refresh tokens in memory.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use foldhash::fast::RandomState;

use crate::{
    identity::StoreKey,
    store::{SuccessorPayloads, TokenState},
    time::Timestamp,
};

/// How many used tokens are kept for each session that there is room for, on average.
const TOKENS_PER_SESSION: usize = 8;

/// How many expired tokens a use removes at most. More than one, or expired tokens would
/// accumulate.
const REMOVED_PER_USE: usize = 16;

/// At most [`TOKENS_PER_SESSION`] used tokens per session that there is room for, of all sessions
/// together. A token is never removed before it expires.
pub(in crate::store::memory) struct Tokens {
    capacity: usize,
    used: HashMap<StoreKey, Used, RandomState>,
    /// Unused successors, and the tokens that were exchanged for them.
    predecessors: HashMap<StoreKey, StoreKey, RandomState>,
    /// Until when each used token is kept.
    by_time: BTreeSet<(Timestamp, [u8; 16])>,
}

struct Used {
    at: Timestamp,
    /// Dropped once it is used itself, because it is most of the memory of a token.
    successor: Option<Box<SuccessorPayloads>>,
    had_successor: bool,
}

/// The number of used tokens is at its limit, and none has expired.
#[derive(Debug)]
pub(in crate::store::memory) struct NoRoom;

impl Tokens {
    pub(super) fn new(max_sessions: usize) -> Self {
        Self {
            capacity: max_sessions.saturating_mul(TOKENS_PER_SESSION),
            used: HashMap::default(),
            predecessors: HashMap::default(),
            by_time: BTreeSet::new(),
        }
    }

    pub(in crate::store::memory) fn state(&self, token: &StoreKey) -> TokenState {
        let Some(used) = self.used.get(token) else { return TokenState::Unused };
        let unused = |successor: &&SuccessorPayloads| !self.used.contains_key(&successor.token);
        TokenState::Used {
            at: used.at,
            successor: used.successor.as_deref().filter(unused).cloned(),
            had_successor: used.had_successor,
        }
    }

    /// Makes room for one more token.
    pub(in crate::store::memory) fn make_room(&mut self, now: Timestamp) -> Result<(), NoRoom> {
        for _ in 0..REMOVED_PER_USE {
            let Some(&(until, token)) = self.by_time.first() else { break };
            if now < until {
                break;
            }
            self.by_time.pop_first();
            let removed = self.used.remove(&StoreKey::from_bytes(token));
            if let Some(successor) = removed.and_then(|used| used.successor) {
                self.predecessors.remove(&successor.token);
            }
        }
        if self.used.len() < self.capacity { Ok(()) } else { Err(NoRoom) }
    }

    /// Records `token` as used. The caller has made room.
    pub(in crate::store::memory) fn consume(
        &mut self,
        token: StoreKey,
        at: Timestamp,
        until: Timestamp,
        successor: Option<SuccessorPayloads>,
    ) {
        if let Some(predecessor) = self.predecessors.remove(&token)
            && let Some(used) = self.used.get_mut(&predecessor)
        {
            used.successor = None;
        }
        if let Some(successor) = &successor {
            self.predecessors.insert(successor.token, token);
        }
        self.by_time.insert((until, *token.as_bytes()));
        let had_successor = successor.is_some();
        let used = Used { at, successor: successor.map(Box::new), had_successor };
        self.used.insert(token, used);
    }
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the memory store is full of used refresh tokens")
    }
}

impl std::error::Error for NoRoom {}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: u64) -> StoreKey {
        StoreKey::token(None, &id.to_string())
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// Exchanges the token `id` for the next one.
    fn exchange(tokens: &mut Tokens, id: u64, now: u64, until: u64) -> Result<(), NoRoom> {
        tokens.make_room(at(now))?;
        let next = SuccessorPayloads {
            access: "{}".to_owned(),
            refresh: "{}".to_owned(),
            token: token(id + 1),
        };
        tokens.consume(token(id), at(now), at(until), Some(next));
        Ok(())
    }

    #[test]
    fn p15_a_used_token_is_kept_until_it_expires() {
        let mut tokens = Tokens::new(1);
        for id in 0..8 {
            exchange(&mut tokens, 10 * id, 1, 1000).expect("there is room");
        }
        assert!(exchange(&mut tokens, 90, 999, 2000).is_err());
        assert!((0..8).all(|id| tokens.state(&token(10 * id)) != TokenState::Unused));
        assert_eq!(tokens.state(&token(90)), TokenState::Unused);
        assert!(exchange(&mut tokens, 90, 1000, 2000).is_ok());
    }

    #[test]
    fn p15_a_chain_of_tokens_keeps_one_successor_and_removes_expired_tokens() {
        let mut tokens = Tokens::new(100);
        for id in 0..5_000 {
            exchange(&mut tokens, id, id, id + 50).expect("there is room");
            assert_eq!(tokens.predecessors.len(), 1);
            assert!(tokens.used.len() <= 51 && tokens.by_time.len() == tokens.used.len());
        }
        let holding = tokens.used.values().filter(|used| used.successor.is_some()).count();
        assert_eq!(holding, 1);
    }

    #[test]
    fn an_expired_token_is_removed_with_its_successor() {
        let mut tokens = Tokens::new(100);
        exchange(&mut tokens, 1, 1, 10).expect("there is room");
        tokens.make_room(at(10)).expect("there is room");
        assert!(tokens.used.is_empty() && tokens.predecessors.is_empty());
        assert!(tokens.by_time.is_empty());
    }
}
