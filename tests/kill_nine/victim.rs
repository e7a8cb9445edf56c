//! The process that is killed.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use tower_sliding_session::store::{Exempt, SqlStore};

use crate::service::sessions;

const MARK: &str = "be-killed";

/// What the process does, and before which statement it is killed.
pub(crate) struct Order {
    address: String,
    step: String,
    /// The refresh token, or the account.
    subject: String,
    statement: u64,
}

impl Order {
    pub(crate) fn arguments(
        address: &str,
        step: &str,
        subject: &str,
        statement: u64,
    ) -> [String; 5] {
        [MARK, address, step, subject, &statement.to_string()].map(str::to_owned)
    }

    pub(crate) fn received() -> Option<Self> {
        let mut arguments = std::env::args().skip(1);
        if arguments.next()? != MARK {
            return None;
        }
        Some(Self {
            address: arguments.next()?,
            step: arguments.next()?,
            subject: arguments.next()?,
            statement: arguments.next()?.parse().ok()?,
        })
    }

    pub(crate) async fn carry_out(self) {
        let last = Arc::new(AtomicU64::new(u64::MAX));
        let dies_at = Arc::clone(&last);
        let store = SqlStore::at(&self.address)
            .before_statement(move |number| {
                if number >= dies_at.load(SeqCst) {
                    die();
                }
            })
            .connect()
            .await
            .expect("the database is reachable");
        store.migrate().await.expect("the tables exist");
        let sessions = sessions(store.clone());
        last.store(store.statements() + self.statement, SeqCst);
        if self.step == "refresh" {
            sessions.refresh(&self.subject).await.expect("a valid token");
        } else {
            let scope = sessions.account_scope(&self.subject);
            assert_eq!(sessions.revoke_all(scope, Exempt::None).await, Ok(2));
        }
    }
}

/// Kills this process by SIGKILL: nothing is flushed, dropped or rolled back.
fn die() -> ! {
    let pid = std::process::id().to_string();
    drop(Command::new("kill").args(["-9", &pid]).status());
    loop {
        thread::park();
    }
}
