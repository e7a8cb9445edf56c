//! The description of the store, for an operator.

use super::Inner;
#[cfg(feature = "postgres")]
use super::push::{Push, PushState};

impl Inner {
    /// Describes the database and how changes of other nodes are read.
    pub(super) fn describe(&self) -> String {
        let interval = self.sync_interval;
        let read = format!("changes of other nodes are read every {interval:?}");
        #[cfg(feature = "postgres")]
        match self.push.get().map(Push::state) {
            Some(PushState::Pushed) => {
                return format!("{:?}; {read}, and pushed", self.database);
            }
            Some(_) => {
                return format!(
                    "{:?}; {read}, and not pushed: no notification of Postgres is heard",
                    self.database
                );
            }
            None => {}
        }
        format!("{:?}; {read}", self.database)
    }
}
