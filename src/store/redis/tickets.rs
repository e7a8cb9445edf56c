//! Tickets that were not used yet.

use super::{
    Inner,
    answer::{Args, int, strings},
    bytes::Writer,
    script::Script,
};
use crate::{
    maybe_ready::StoreError,
    store::{OpenTicket, TicketUse, node::GRACE, open_ticket::MAX_PER_SESSION},
};

static OPEN: Script = Script::new(include_str!("scripts/open_ticket.lua"));
static USE: Script = Script::new(include_str!("scripts/use_ticket.lua"));

impl Inner {
    pub(super) async fn open(&self, ticket: OpenTicket) -> Result<(), StoreError> {
        let OpenTicket { ticket, session, user, at, until } = ticket;
        let _in_flight = self.calls.acquire(user).await;
        let life = until.since(at) + GRACE;
        let list = [self.keys.tickets(user, session)];
        let args = Args::new().key(ticket).number(MAX_PER_SESSION.into()).life(life).finish();
        let surplus = strings(self.connection.run(&OPEN, &list, &args).await?)?;
        if !surplus.is_empty() {
            let mut command = redis::cmd("DEL");
            for ticket in surplus {
                let ticket = super::bytes::Reader::new(&ticket).key()?;
                command.arg(self.keys.ticket(user, ticket));
            }
            self.connection.query(&command).await?;
            let mut command = redis::cmd("LTRIM");
            command.arg(&list[0]).arg(-i64::from(MAX_PER_SESSION)).arg(-1);
            self.connection.query(&command).await?;
        }
        let mut command = redis::cmd("SET");
        command.arg(self.keys.ticket(user, ticket)).arg(Writer::new().time(until).finish());
        command.arg("PX").arg(Args::new().life(life).finish());
        self.connection.query(&command).await?;
        Ok(())
    }

    /// Whether the ticket was open. A server that comes to it after the caller gave up leaves it open.
    pub(super) async fn close(&self, used: TicketUse) -> Result<bool, StoreError> {
        let keys = [self.keys.ticket(used.user, used.ticket)];
        let nonce = uuid::Uuid::new_v4().as_bytes().to_vec();
        let args = Args::new().time(used.now).bytes(nonce).finish();
        Ok(int(&self.connection.run_in_time(&USE, &keys, args).await?)? == 1)
    }
}
