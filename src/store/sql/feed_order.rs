//! How the changes of a feed are numbered: that differs between the databases.

/// How the changes of a feed are numbered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FeedOrder {
    /// By `tss_change_seq`, in the order of the commits.
    Commits,
    /// By the id of the transaction. `tss_changes` does it by default.
    Transactions,
}
