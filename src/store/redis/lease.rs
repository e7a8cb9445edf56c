//! The lease of a subject: its sign-ins under a limit begin one after the other, on whatever node.

use std::time::Duration;

use super::{
    Inner,
    answer::{Args, maybe_bytes},
    script::Script,
};
use crate::{clock::Stopwatch, identity::StoreKey, jitter::jitter, maybe_ready::StoreError};

static RELEASE_LEASE: Script = Script::new(include_str!("scripts/release_lease.lua"));

/// How long the limited sign-ins of a subject wait for one of another node that does not end.
const LEASE: Duration = Duration::from_secs(5);

/// The pause between two attempts to get the lease, and how much longer it may be.
const LEASE_PAUSE: Duration = Duration::from_millis(2);
const LEASE_JITTER: Duration = Duration::from_millis(8);

/// The lease of a subject, under which its sign-ins are limited: on one node at a time.
pub(super) struct Lease {
    key: Vec<u8>,
    nonce: Vec<u8>,
    since: Stopwatch,
}

impl Inner {
    /// Waits until no other node signs in under a limit.
    pub(super) async fn lease(&self, subject: StoreKey) -> Result<Lease, StoreError> {
        let waiting = Stopwatch::start();
        let lease = |since| Lease {
            key: self.keys.lease(subject),
            nonce: uuid::Uuid::new_v4().as_bytes().to_vec(),
            since,
        };
        while waiting.elapsed() < LEASE {
            let lease = lease(Stopwatch::start());
            let mut command = redis::cmd("SET");
            command.arg(&lease.key).arg(&lease.nonce).arg("NX").arg("GET").arg("PX");
            command.arg(Args::new().life(LEASE).finish());
            // A client may send it twice.
            let holder = maybe_bytes(self.connection.query(&command).await?)?;
            if holder.is_none_or(|holder| holder == lease.nonce) {
                return Ok(lease);
            }
            tokio::time::sleep(LEASE_PAUSE + jitter(LEASE_JITTER)).await;
        }
        Err(StoreError::new("another sign-in of the subject takes too long"))
    }

    pub(super) async fn release(&self, lease: &Lease) {
        let args = [lease.nonce.clone()];
        // It ends by itself.
        drop(self.connection.run(&RELEASE_LEASE, std::slice::from_ref(&lease.key), &args).await);
    }
}

impl Lease {
    /// How long it holds at least.
    pub(super) fn left(&self) -> Duration {
        LEASE.saturating_sub(self.since.elapsed())
    }
}
