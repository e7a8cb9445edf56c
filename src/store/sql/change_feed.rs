//! The change feed: what one node publishes for the others.
//!
//! A SQLite file has one writer at a time: its transactions number their changes, in the order of
//! their commits. On Postgres no transaction waits for another to publish: a change has the id of its
//! transaction, and a node's position is a snapshot of the server, which tells which transactions it
//! has read. So it applies every change as soon as it is committed, in whatever order that is.

use super::{
    change::{self, COLUMN_COUNT, COLUMNS},
    database::Tx,
    failure::Failure,
    feed_order::FeedOrder,
    value::{Args, placeholders},
};
use crate::{maybe_ready::StoreError, store::node::Change};

/// The most changes that one statement writes.
const PIECE: usize = 500;

/// The change feed in a transaction that publishes; with its sequence number, if there are any.
pub(super) struct ChangeFeed(Option<i64>);

impl ChangeFeed {
    pub(super) async fn open(tx: &mut Tx) -> Result<Self, Failure> {
        if tx.feed_order() == FeedOrder::Transactions {
            return Ok(Self(None));
        }
        let sql = "UPDATE tss_change_seq SET seq = seq + 1 WHERE one = 1 RETURNING seq";
        let row = tx.first(sql, Args::new()).await?;
        Ok(Self(Some(row.ok_or_else(no_head)?.int(0)?)))
    }

    /// Publishes changes in this order. Once per transaction.
    pub(super) async fn publish(self, tx: &mut Tx, changes: &[Change]) -> Result<(), Failure> {
        let (seq, columns) = match self.0 {
            Some(_) => ("seq, ", COLUMN_COUNT + 1),
            None => ("", COLUMN_COUNT),
        };
        let mut item = 0;
        for piece in changes.chunks(PIECE) {
            let mut args = Args::new();
            for change in piece {
                item += 1;
                if let Some(seq) = self.0 {
                    args = args.int(seq);
                }
                args = change::add_to(args, *change, item, tx.begun);
            }
            let rows = placeholders(piece.len(), columns);
            let sql = format!("INSERT INTO tss_changes ({seq}{COLUMNS}) VALUES {rows}");
            tx.execute(sql, args).await?;
        }
        Ok(())
    }
}

pub(super) fn no_head() -> StoreError {
    StoreError::new("the table tss_change_seq has no row")
}
