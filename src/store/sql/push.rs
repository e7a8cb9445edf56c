//! Push: a node tells the others that it has published changes, and they read the feed at once.
//!
//! A notification is a hint. It is sent after the commit, since a transaction that notifies holds a lock
//! of the whole server while it commits; and whoever misses it reads the feed in the next sync interval.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{sleep, timeout_at},
};

use super::{
    Inner,
    failure::Failure,
    value::{Args, Row, Sql, malformed},
};
use crate::{jitter::jitter, store::monotonic::after};

/// A node sends one notification in this time, however many changes it publishes.
const SEND_INTERVAL: Duration = Duration::from_millis(10);

/// How long a node waits for a notification of its own, and for the connection that listens.
const ANSWER_TIME_LIMIT: Duration = Duration::from_secs(1);

/// How often a node notifies itself: a silent connection is noticed after this interval and the time
/// limit, and replaced.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// How long a node waits before it connects again, and before it tries again where it hears nothing.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
const UNHEARD_PAUSE: Duration = Duration::from_secs(60);

/// Whether changes of other nodes are pushed to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PushState {
    /// The first connection is not made and tested yet.
    Starting,
    Pushed,
    /// They are read once per sync interval only.
    Polled,
}

/// The push of a node.
pub(super) struct Push {
    changed: Arc<Notify>,
    state: watch::Sender<PushState>,
    tasks: [AbortHandle; 2],
}

impl Push {
    /// Starts to listen, at an address of its own if there is one.
    pub(super) fn start(store: &Arc<Inner>, options: PgConnectOptions) -> Self {
        let (changed, (state, _)) = (Arc::new(Notify::new()), watch::channel(PushState::Starting));
        let node: Arc<str> = uuid::Uuid::new_v4().simple().to_string().into();
        let sender = send(Arc::downgrade(store), Arc::clone(&changed), Arc::clone(&node));
        let listener = Listener {
            store: Arc::downgrade(store),
            options,
            node,
            state: state.clone(),
            has_warned: false,
        };
        let tasks = [tokio::spawn(sender), tokio::spawn(listener.run())];
        Self { changed, state, tasks: tasks.map(|task| task.abort_handle()) }
    }

    /// This node has committed changes.
    pub(super) fn announce(&self) {
        self.changed.notify_one();
    }

    pub(super) fn state(&self) -> PushState {
        *self.state.borrow()
    }

    /// Completes when the first connection is tested.
    pub(super) async fn started(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as this.
        let _ = state.wait_for(|state| *state != PushState::Starting).await;
    }
}

impl Drop for Push {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Notifies the other nodes after each commit, one notification for those of [`SEND_INTERVAL`].
async fn send(store: Weak<Inner>, changed: Arc<Notify>, node: Arc<str>) {
    loop {
        changed.notified().await;
        let Some(store) = store.upgrade() else { return };
        // A failure is no harm: the others read the feed.
        let _ = notify(&store, &node).await;
        drop(store);
        sleep(SEND_INTERVAL).await;
    }
}

/// The channel of these tables: apps that share a database do not hear each other.
const CHANNEL: &str = "'tower-sliding-session:' || CAST(hashtextextended(
    COALESCE($1, current_schema()) || '.' || $2, 0) AS TEXT)";

/// Sends a notification on a connection of the pool: what is sent on the connection that listens would
/// be heard there even behind a pooler that delivers nothing else.
async fn notify(store: &Inner, payload: &str) -> Result<(), Failure> {
    let Some((pools, names)) = store.database.postgres() else { return Ok(()) };
    let sql = Sql::Composed(format!("SELECT pg_notify({CHANNEL}, $3)"));
    let args = names.identify(Args::new()).text(payload);
    pools.fetch_written(&sql, &args).await.map(drop)
}

async fn channel(store: &Inner) -> Result<String, Failure> {
    let Some((pools, names)) = store.database.postgres() else { return Err(malformed()) };
    let sql = Sql::Composed(format!("SELECT {CHANNEL}"));
    let rows = pools.fetch_written(&sql, &names.identify(Args::new())).await?;
    rows.into_iter().next().map(Row::Postgres).ok_or_else(malformed)?.text(0)
}

/// Why a node does not listen any more.
enum Silence {
    /// The connection failed, or hears nothing any more.
    Lost,
    /// It has heard nothing at all.
    Unheard,
    /// The store is dropped.
    Closed,
}

struct Listener {
    store: Weak<Inner>,
    options: PgConnectOptions,
    /// Begins each notification of this node.
    node: Arc<str>,
    state: watch::Sender<PushState>,
    has_warned: bool,
}

impl Listener {
    async fn run(mut self) {
        loop {
            let pause = match self.listen().await {
                Silence::Closed => return,
                Silence::Lost => RECONNECT_PAUSE,
                Silence::Unheard => {
                    self.warn();
                    UNHEARD_PAUSE
                }
            };
            self.state.send_replace(PushState::Polled);
            // Nodes that lost the server at the same time do not come back at the same time.
            sleep(pause + jitter(pause)).await;
        }
    }

    /// Listens until the connection is lost.
    async fn listen(&self) -> Silence {
        let mut listener = match self.connect().await {
            Ok(listener) => listener,
            Err(silence) => return silence,
        };
        let (mut awaited, mut has_heard) = (None::<String>, false);
        let mut wake_at = after(Duration::ZERO);
        loop {
            match timeout_at(wake_at, listener.try_recv()).await {
                Ok(Ok(Some(notification))) => {
                    let Some(store) = self.store.upgrade() else { return Silence::Closed };
                    if awaited.as_deref() == Some(notification.payload()) {
                        (awaited, wake_at) =
                            (None, after(PROBE_INTERVAL + jitter(ANSWER_TIME_LIMIT)));
                        if !std::mem::replace(&mut has_heard, true) {
                            self.state.send_replace(PushState::Pushed);
                            // What was published before is not heard.
                            store.sync_soon();
                        }
                    } else if self.is_change_of_another(notification.payload()) {
                        store.sync_soon();
                    }
                }
                Ok(Ok(None) | Err(_)) => return Silence::Lost,
                Err(_) if awaited.is_none() => {
                    let probe = format!("{} {}", self.node, uuid::Uuid::new_v4().simple());
                    wake_at = after(ANSWER_TIME_LIMIT);
                    let (store, payload) = (Weak::clone(&self.store), probe.clone());
                    tokio::spawn(async move {
                        if let Some(store) = store.upgrade() {
                            // If it fails, nothing is heard.
                            let _ = notify(&store, &payload).await;
                        }
                    });
                    awaited = Some(probe);
                }
                Err(_) if has_heard => return Silence::Lost,
                Err(_) => return Silence::Unheard,
            }
        }
    }

    /// A pool of one connection, which is made anew for each attempt.
    async fn connect(&self) -> Result<PgListener, Silence> {
        let Some(store) = self.store.upgrade() else { return Err(Silence::Closed) };
        let channel = channel(&store).await.map_err(|_| Silence::Lost)?;
        drop(store);
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ANSWER_TIME_LIMIT);
        let pool = pool.connect_lazy_with(self.options.clone());
        let connected = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen(&channel).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        let connected = timeout_at(after(2 * ANSWER_TIME_LIMIT), connected).await;
        connected.ok().and_then(Result::ok).ok_or(Silence::Lost)
    }

    /// Of other nodes it has the name alone; a probe has a number, too.
    fn is_change_of_another(&self, payload: &str) -> bool {
        payload != &*self.node && !payload.contains(' ')
    }

    fn warn(&mut self) {
        if !std::mem::replace(&mut self.has_warned, true) {
            tracing::warn!(
                "Postgres delivers no notifications, as behind a transaction pooler: changes of other \
                 nodes are read once per sync interval; set `listen_address` to an address that leads \
                 to the server"
            );
        }
    }
}
