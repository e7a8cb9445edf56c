//! The row of a change in the change feed.

use super::{
    failure::Failure,
    value::{Args, Row},
};
use crate::{
    policy::TimeoutOverrides,
    store::{FoldedTombstones, RevocationCutoff, node::Change},
    time::Timestamp,
};

/// The columns of `tss_changes` that a change has values for; its place in the feed is beside them.
pub(super) const COLUMNS: &str =
    "item, recorded_at, kind, key, at, until, idle, absolute, user_key";
pub(super) const COLUMN_COUNT: usize = 9;

/// Kinds of changes.
pub(super) const REVOKED: i64 = 0;
pub(super) const TOMBSTONE_FOLDED: i64 = 5;

/// Adds the values of [`COLUMNS`].
pub(super) fn add_to(args: Args, change: Change, item: i64, recorded_at: Timestamp) -> Args {
    let args = args.int(item).time(recorded_at);
    let (args, user) = match change {
        Change::Revoked { session, user, until } => {
            let args = args.int(REVOKED).key(session).maybe_time(None).time(until);
            (args.int(0).int(0), user)
        }
        Change::Exempt { session, at, until } => {
            (args.int(1).key(session).time(at).time(until).int(0).int(0), None)
        }
        Change::Cutoff { scope, cutoff: RevocationCutoff { at, until } } => {
            (args.int(2).key(scope).time(at).time(until).int(0).int(0), None)
        }
        Change::TimeoutOverrides { account, overrides, version } => {
            let args = args.int(3).key(account).count(version).maybe_time(None);
            (args.maybe_span(overrides.idle).maybe_span(overrides.absolute), None)
        }
        // The columns of two durations have two instants.
        Change::Folded { user, folded: FoldedTombstones { first, last, at, until } } => {
            (args.int(4).key(user).time(at).time(until).time(first).time(last), None)
        }
        Change::TombstoneFolded { session } => {
            let args = args.int(TOMBSTONE_FOLDED).key(session).maybe_time(None).maybe_time(None);
            (args.int(0).int(0), None)
        }
        Change::Claims { scope, number, until } => {
            (args.int(6).key(scope).time(number).time(until).int(0).int(0), None)
        }
    };
    args.maybe_key(user)
}

/// The values of [`COLUMNS`] for the revocations in a result, from its columns.
pub(super) fn revoked(recorded_at: &str, session: &str, until: &str, user: &str) -> String {
    format!(
        "ROW_NUMBER() OVER (), {recorded_at}, {REVOKED}, {session}, CAST(NULL AS BIGINT), {until}, 0, 0, {user}"
    )
}

/// Returns `None` for a kind that a later version of this crate has written.
///
/// `at` is the position of the first of [`COLUMNS`].
pub(super) fn read(row: &Row, at: usize) -> Result<Option<Change>, Failure> {
    let [kind, key, instant, until, idle, absolute, user] = std::array::from_fn(|n| at + 2 + n);
    let key = row.key(key)?;
    Ok(Some(match row.int(kind)? {
        REVOKED => {
            let user = row.maybe_key(user)?;
            Change::Revoked { session: key, user, until: row.time(until)? }
        }
        1 => Change::Exempt { session: key, at: row.time(instant)?, until: row.time(until)? },
        2 => {
            let cutoff = RevocationCutoff { at: row.time(instant)?, until: row.time(until)? };
            Change::Cutoff { scope: key, cutoff }
        }
        3 => {
            let overrides = TimeoutOverrides {
                idle: row.maybe_span(idle)?,
                absolute: row.maybe_span(absolute)?,
            };
            Change::TimeoutOverrides { account: key, overrides, version: row.count(instant)? }
        }
        4 => {
            let (first, last) = (row.time(idle)?, row.time(absolute)?);
            let folded = FoldedTombstones::new(first, last, row.time(instant)?, row.time(until)?);
            Change::Folded { user: key, folded }
        }
        TOMBSTONE_FOLDED => Change::TombstoneFolded { session: key },
        6 => Change::Claims { scope: key, number: row.time(instant)?, until: row.time(until)? },
        _ => return Ok(None),
    }))
}
