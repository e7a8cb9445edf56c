//! Tickets that were not used yet: `tss_tickets`.

use super::{Inner, Transaction, database::Tx, failure::Failure, pools::Purpose, value::Args};
use crate::{
    maybe_ready::StoreError,
    store::{OpenTicket, TicketUse, open_ticket::MAX_PER_SESSION},
};

/// Closes a ticket. A ticket that is older than the newest ones of its session is not open: concurrent
/// transactions that open one do not see each other, and leave more rows. Executed a second time, after
/// its answer was lost, it closes nothing, and the ticket is refused.
const CLOSE: &str = "DELETE FROM tss_tickets WHERE ticket = $1 AND until > $2 AND $3 >
    (SELECT COUNT(*) FROM tss_tickets AS newer
        WHERE newer.session = tss_tickets.session AND newer.id > tss_tickets.id)";

impl Inner {
    pub(super) async fn open_ticket(&self, ticket: OpenTicket) -> Result<(), StoreError> {
        let _in_flight = self.calls.acquire(ticket.user).await;
        self.commit(&ticket).await
    }

    pub(super) async fn use_ticket(&self, used: TicketUse) -> Result<bool, StoreError> {
        let args = Args::new().key(used.ticket).time(used.now).int(MAX_PER_SESSION.into());
        Ok(self.database.execute_for(Purpose::Request, CLOSE, args).await? > 0)
    }
}

impl Transaction for OpenTicket {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        let sql = "INSERT INTO tss_tickets (ticket, session, until) VALUES ($1, $2, $3)";
        let args = Args::new().key(self.ticket).key(self.session).time(self.until);
        tx.execute(sql, args).await?;
        let sql = "DELETE FROM tss_tickets WHERE session = $1 AND id <=
            (SELECT id FROM tss_tickets WHERE session = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)";
        let args = Args::new().key(self.session).int(MAX_PER_SESSION.into());
        tx.execute(sql, args).await.map(drop)
    }
}
