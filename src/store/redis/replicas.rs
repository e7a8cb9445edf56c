//! The replicas of a primary: it answers before they have what it has written, and a failover may lose
//! that. An ending may wait for them.

use std::{convert::Infallible, sync::Arc, time::Duration};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use futures_util::future::join_all;

use super::{
    Inner,
    answer::{Args, int},
    connection::Connection,
    failure::Failure,
    rounds::Rounds,
};
use crate::{
    clock::Stopwatch,
    identity::StoreKey,
    maybe_ready::{LIFECYCLE_TIME_LIMIT, StoreError},
};

/// How long an ending waits for replicas. It may have to wait for another one that has begun to wait
/// before it was written, and for as long.
const TIME_LIMIT: Duration =
    LIFECYCLE_TIME_LIMIT.checked_div(5).expect("not zero").saturating_mul(2);

/// The longest that one command holds its connection.
const LONGEST_BLOCK: Duration = Duration::from_millis(250);

/// The life of what is written last.
const LIFE: Duration = Duration::from_secs(1);

/// How many replicas must have an ending, and who has been asked.
pub(super) struct Replicas {
    count: u32,
    /// Of its own: whoever waits holds up every other command. `None` where nobody waits.
    connection: Option<Connection>,
    /// By the address of the primary.
    primaries: DashMap<String, Arc<Rounds<u32>>, RandomState>,
}

impl Replicas {
    /// Endings wait for `count` replicas of each server that `connection` leads to.
    pub(super) async fn new(count: u32, connection: &Connection) -> Result<Self, StoreError> {
        let connection = match count {
            0 => None,
            _ => Some(connection.open_another().await?),
        };
        Ok(Self { count, connection, primaries: DashMap::default() })
    }

    pub(super) const fn are_waited_for(&self) -> bool {
        self.connection.is_some()
    }

    /// Waits until as many replicas as are set have what was written before the call at the primary of
    /// `key`, which is written last. Returns how many have.
    async fn confirm(&self, connection: &Connection, key: &[u8]) -> u32 {
        let address = connection.address_at(key);
        let primary = Arc::clone(&self.primaries.entry(address).or_default());
        let Ok::<_, Infallible>(replicas) =
            primary.ask(async { Ok(self.ask(connection, key).await) }).await;
        replicas
    }

    async fn ask(&self, connection: &Connection, key: &[u8]) -> u32 {
        let waited = Stopwatch::start();
        loop {
            match self.ask_once(connection, key).await {
                Ok(replicas) if replicas < self.count && waited.elapsed() < TIME_LIMIT => {}
                Ok(replicas) => return replicas,
                Err(failure) => {
                    let error = StoreError::from(failure);
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, "the replicas of Redis cannot be asked");
                    return 0;
                }
            }
        }
    }

    async fn ask_once(&self, connection: &Connection, key: &[u8]) -> Result<u32, Failure> {
        let block = connection.longest_block().min(LONGEST_BLOCK).as_millis().max(1);
        let mut commands = redis::pipe();
        // The replicas are asked for what this connection has written, and have all before it, too.
        commands.cmd("SET").arg(key).arg("").arg("PX").arg(Args::new().life(LIFE).finish());
        commands.cmd("WAIT").arg(self.count).arg(u64::try_from(block).unwrap_or(1));
        let answers = connection.send_in_order(key, &commands).await?;
        let replicas = int(answers.last().ok_or_else(Failure::unexpected_answer)?)?;
        u32::try_from(replicas).map_err(|_| Failure::unexpected_answer())
    }
}

impl Inner {
    /// Waits until the replicas have what ends sessions, if that is set: what was written before the call
    /// in the slot of the feed, and in those of users.
    ///
    /// # Errors
    /// If too few of them have it in time. It is written all the same.
    pub(super) async fn wait_for_replicas(&self, users: &[StoreKey]) -> Result<(), StoreError> {
        let replicas = &self.replicas;
        let Some(connection) = &replicas.connection else { return Ok(()) };
        let of_users = users.iter().map(|user| self.keys.last_write_of(*user));
        // One key of each primary.
        let mut keys: Vec<_> = of_users.chain([self.keys.last_write_of_feed()]).collect();
        keys.sort_by_cached_key(|key| connection.address_at(key));
        keys.dedup_by_key(|key| connection.address_at(key));
        let confirmed = keys.iter().map(|key| replicas.confirm(connection, key));
        let fewest = join_all(confirmed).await.into_iter().min().unwrap_or_default();
        if fewest >= replicas.count {
            return Ok(());
        }
        Err(StoreError::new(format!(
            "the ending is written, but {fewest} of {} replicas have confirmed it; it may be repeated",
            replicas.count
        )))
    }
}
