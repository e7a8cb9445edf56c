//! Tickets that were not used yet.

use std::collections::{HashMap, VecDeque};

use crate::{
    identity::StoreKey,
    maybe_ready::StoreError,
    store::{OpenTicket, TicketUse, open_ticket::MAX_PER_SESSION},
    time::Timestamp,
};

/// The most open tickets of one user, in all sessions: one more closes the oldest.
const MAX_PER_USER: usize = 1024;

/// The open tickets of each user, the oldest first.
pub(in crate::store::memory) struct Tickets {
    max_users: usize,
    by_user: HashMap<StoreKey, VecDeque<OpenTicket>>,
    /// The user of each ticket, in the order in which they were opened.
    order: VecDeque<(Timestamp, StoreKey)>,
}

impl Tickets {
    pub(super) fn new(max_users: usize) -> Self {
        Self { max_users, by_user: HashMap::new(), order: VecDeque::new() }
    }

    /// Opens a ticket. Removes expired ones, so that there are as many as are opened in the life of one.
    pub(in crate::store::memory) fn open(&mut self, ticket: OpenTicket) -> Result<(), StoreError> {
        self.remove_expired(ticket.at);
        if self.by_user.len() >= self.max_users && !self.by_user.contains_key(&ticket.user) {
            return Err(StoreError::new("there is no room for another ticket"));
        }
        let of_user = self.by_user.entry(ticket.user).or_default();
        let is_of_session = |open: &OpenTicket| open.session == ticket.session;
        if of_user.iter().filter(|open| is_of_session(open)).count() >= MAX_PER_SESSION as usize {
            let oldest = of_user.iter().position(is_of_session);
            oldest.and_then(|oldest| of_user.remove(oldest));
        } else if of_user.len() >= MAX_PER_USER {
            of_user.pop_front();
        }
        of_user.push_back(ticket);
        self.order.push_back((ticket.until, ticket.user));
        Ok(())
    }

    /// Closes a ticket that is used. Returns whether it was open.
    pub(in crate::store::memory) fn close(&mut self, used: TicketUse) -> bool {
        let Some(of_user) = self.by_user.get_mut(&used.user) else { return false };
        let position = of_user.iter().position(|open| open.ticket == used.ticket);
        let closed = position.and_then(|position| of_user.remove(position));
        if of_user.is_empty() {
            self.by_user.remove(&used.user);
        }
        closed.is_some_and(|closed| used.now < closed.until)
    }

    fn remove_expired(&mut self, now: Timestamp) {
        while let Some((until, user)) = self.order.front().copied()
            && until <= now
        {
            self.order.pop_front();
            if let Some(of_user) = self.by_user.get_mut(&user) {
                of_user.retain(|open| now < open.until);
                if of_user.is_empty() {
                    self.by_user.remove(&user);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const LIFE: Duration = Duration::from_secs(30);

    fn ticket(user: &str, session: u32, id: u32, at: Timestamp) -> OpenTicket {
        let key = |text: String| StoreKey::session(None, &text);
        let session = key(format!("{user}/{session}"));
        OpenTicket::new(
            key(id.to_string()),
            session,
            StoreKey::user(None, None, user),
            at,
            at + LIFE,
        )
    }

    fn used(ticket: OpenTicket, now: Timestamp) -> TicketUse {
        TicketUse::new(ticket.ticket, ticket.user, now)
    }

    #[test]
    fn p15_expired_tickets_take_no_room() {
        let mut tickets = Tickets::new(2);
        for second in 0..100 {
            let now = NOW + Duration::from_secs(second);
            let user = format!("{}", second / 40);
            let id = u32::try_from(second).expect("small");
            tickets.open(ticket(&user, id, id, now)).expect("there is room");
            assert!(tickets.order.len() <= 30, "{second}");
        }
        let open: usize = tickets.by_user.values().map(VecDeque::len).sum();
        assert_eq!((tickets.by_user.len(), open), (2, 30));
    }

    #[test]
    fn p31_a_user_with_many_sessions_closes_no_ticket_of_another() {
        let mut tickets = Tickets::new(2);
        let other = ticket("grace", 0, 0, NOW);
        tickets.open(other).expect("there is room");
        for id in 1..=2000 {
            tickets.open(ticket("ada", id, id, NOW)).expect("there is room");
        }
        assert_eq!(tickets.by_user[&StoreKey::user(None, None, "ada")].len(), MAX_PER_USER);
        tickets.open(ticket("eve", 0, 3000, NOW)).expect_err("there is no room");
        assert!(tickets.close(used(other, NOW)));
        tickets.open(ticket("eve", 0, 3000, NOW)).expect("there is room");
    }
}
