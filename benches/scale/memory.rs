//! The memory of a stored session.

use std::{fs, sync::Arc, time::Duration};

use tower_sliding_session::{
    Timestamp,
    identity::{SessionKeys, StoreKey},
    store::{MemoryStore, SessionStore, Tombstone, Touch},
};

use crate::report::{line, ratio};

/// The idle timeout of the sessions that send no requests.
pub(crate) const SHORT_IDLE: Duration = Duration::from_secs(60);

/// Room for the sessions that start during a measurement.
const MORE: usize = 1 << 17;

/// A store of `sessions`, every tenth with a tombstone.
pub(crate) fn fill(sessions: usize, now: Timestamp) -> Arc<MemoryStore> {
    let before = resident();
    let store = Arc::new(MemoryStore::with_capacity(sessions + MORE));
    let touch = Touch::new(now, now, SHORT_IDLE);
    let user = StoreKey::user(None, None, "ada");
    for id in 0..sessions {
        let touched = store.touch(SessionKeys::new(key(id), user), touch).try_ready();
        touched.expect("a ready answer").expect("there is room");
    }
    report("resident bytes a session, ten million active", before, sessions);
    for id in (0..sessions).step_by(10) {
        let ended = store
            .write_tombstone(Tombstone::new(key(id), now, now + Duration::from_secs(12 * 3600)))
            .try_ready();
        ended.expect("a ready answer").expect("there is room");
    }
    report("resident bytes a session, every tenth revoked", before, sessions);
    assert_eq!(store.len(), sessions);
    store
}

fn key(id: usize) -> StoreKey {
    StoreKey::session(None, &id.to_string())
}

fn report(what: &str, before: u128, sessions: usize) {
    let bytes = ratio(resident() - before, sessions as u128);
    line(what, &format!("{bytes:.1}"), "<= 64");
}

/// The resident memory of this process, in bytes.
fn resident() -> u128 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    let kibibytes = resident.trim().trim_end_matches(" kB").parse::<u128>();
    kibibytes.expect("a number") * 1024
}
