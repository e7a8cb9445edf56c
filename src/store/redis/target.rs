//! Whom to connect to: a server or a cluster, over TLS where the address says so.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, Pipeline, RedisResult, TlsCertificates,
    Value,
    aio::{ConnectionLike as _, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cluster_routing::{
        MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, Slot, SlotAddr,
    },
};

use super::{failure::Failure, primaries::SlotRange, server_info::ServerInfo};
use crate::{maybe_ready::StoreError, store::breaker::PROBE_TIME_LIMIT};

/// Commands in flight on a connection, and waiting to be written.
const IN_FLIGHT: usize = 4096;
const WRITE_BUFFER: usize = 1024;

/// How often the client of a cluster sends a command again: to a node that has the slot now.
const CLUSTER_RETRIES: u32 = 3;

const MALFORMED: &str = "the address is not of the form redis://user:password@host:port";

/// What to connect to, and how.
pub(super) struct TargetSettings {
    /// The server, or some nodes of the cluster.
    pub(super) addresses: Vec<String>,
    pub(super) is_cluster: bool,
    /// The certificate of whoever signs those of the servers, in PEM; that of the system if absent.
    pub(super) root_certificate: Option<Vec<u8>>,
    /// How long a server may take to accept a connection, and to answer a command.
    pub(super) time_limit: Duration,
    /// Whether what is written must outlast a restart.
    pub(super) is_kept: bool,
}

/// A server or a cluster.
#[derive(Clone)]
pub(super) struct Target {
    client: AnyClient,
    is_kept: bool,
    pub(super) time_limit: Duration,
}

#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one for each connection")]
enum AnyClient {
    Server(Client),
    /// And the client of one of its nodes.
    Cluster(ClusterClient, Client),
}

/// A connection to a server, or connections to the nodes of a cluster.
#[derive(Clone)]
pub(super) enum Link {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// What a new connection leads to.
pub(super) struct Connected {
    pub(super) link: Link,
    /// The time of the server's clock, or of one of the cluster, in milliseconds since 1970.
    pub(super) time: i64,
    /// Which primary of a cluster serves which slots.
    pub(super) slots: Option<Vec<SlotRange>>,
}

impl Target {
    pub(super) fn new(settings: TargetSettings) -> Result<Self, StoreError> {
        let TargetSettings { addresses, is_cluster, root_certificate, time_limit, is_kept } =
            settings;
        if addresses.iter().any(|address| address.starts_with("rediss:")) {
            choose_crypto_provider();
        }
        let certificates = root_certificate
            .map(|root_cert| TlsCertificates { client_tls: None, root_cert: Some(root_cert) });
        let address = addresses.first().cloned().unwrap_or_default();
        let server = match certificates.clone() {
            Some(certificates) => Client::build_with_tls(address, certificates),
            None => Client::open(address),
        };
        let client = if is_cluster {
            let mut builder = ClusterClient::builder(addresses)
                .retries(CLUSTER_RETRIES)
                .connection_timeout(time_limit)
                .response_timeout(time_limit)
                .overall_response_timeout(Some(time_limit))
                .connection_concurrency_limit(IN_FLIGHT);
            if let Some(certificates) = certificates {
                builder = builder.certs(certificates);
            }
            let cluster = builder.build();
            cluster.and_then(|cluster| Ok(AnyClient::Cluster(cluster, server?)))
        } else {
            server.map(AnyClient::Server)
        };
        let client = client.map_err(|_| StoreError::new(MALFORMED))?;
        Ok(Self { client, is_kept, time_limit })
    }

    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self.client, AnyClient::Cluster(..))
    }

    /// Whether the node of the cluster at `address` answers on a connection of its own. Not on those of
    /// the cluster's client: while it looks for a lost node, calls to others wait.
    pub(super) async fn answers(&self, address: &str) -> bool {
        let AnyClient::Cluster(_, any_node) = &self.client else { return true };
        let Some(client) = client_of(any_node, address) else { return false };
        match self.connect_to(&client).await {
            Ok(mut connection) => {
                redis::cmd("PING").query_async::<Value>(&mut connection).await.is_ok()
            }
            Err(_) => false,
        }
    }

    async fn connect_to(&self, client: &Client) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PROBE_TIME_LIMIT.max(self.time_limit)))
            .set_response_timeout(Some(self.time_limit))
            .set_concurrency_limit(IN_FLIGHT)
            .set_pipeline_buffer_size(WRITE_BUFFER);
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Connects, and asks the server, or one of the cluster, whether it can serve.
    pub(super) async fn connect(&self) -> Result<Connected, StoreError> {
        // The client of a cluster waits for every node that it knows, and one may be silent.
        let limit = PROBE_TIME_LIMIT.max(self.time_limit * 5);
        let connecting = tokio::time::timeout(limit, self.try_to_connect());
        connecting.await.map_err(|_| Failure::not_in_time())?
    }

    async fn try_to_connect(&self) -> Result<Connected, StoreError> {
        let info = ServerInfo::command();
        let (link, info, slots) = match &self.client {
            AnyClient::Server(client) => {
                let mut connection = self.connect_to(client).await.map_err(Failure::from)?;
                let info = info.query_async(&mut connection).await;
                (Link::Server(connection), info, None)
            }
            AnyClient::Cluster(client, _) => {
                let mut connection = client.get_async_connection().await.map_err(Failure::from)?;
                let one = || RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
                let info = connection.route_command(info, one()).await;
                let mut slots = redis::cmd("CLUSTER");
                slots.arg("SLOTS");
                let slots = connection.route_command(slots, one()).await.map_err(Failure::from)?;
                (
                    Link::Cluster(connection),
                    info.and_then(|info| Ok(redis::from_redis_value(info)?)),
                    Some(SlotRange::from_answer(&slots)?),
                )
            }
        };
        let info: String = info.map_err(Failure::from)?;
        let info = ServerInfo::new(&info);
        if let Some(reason) = info.unfit() {
            return Err(StoreError::new(reason));
        }
        if info.evicts() {
            tracing::warn!(
                "Redis evicts keys when its memory is full: set `maxmemory-policy noeviction`"
            );
        }
        if self.is_kept && !info.is_persistent() {
            tracing::warn!(
                "Redis forgets sessions and revocations at a restart: set `appendonly yes`"
            );
        }
        let time = info.time().ok_or_else(Failure::unexpected_answer)?;
        Ok(Connected { link, time, slots })
    }
}

impl Link {
    /// Sends a command to the server, or to every primary of the cluster.
    pub(super) async fn send_to_all(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => {
                let primaries = (MultipleNodeRoutingInfo::AllMasters, None);
                let all = RoutingInfo::MultiNode(primaries);
                connection.route_command(command.clone(), all).await
            }
        }
    }

    pub(super) async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// Sends commands one after the other, in one piece, to the server, or to the primary of a slot.
    pub(super) async fn send_in_order(
        &mut self,
        slot: Slot,
        commands: Pipeline,
    ) -> RedisResult<Vec<Value>> {
        let count = commands.len();
        let answers = match self {
            Self::Server(connection) => connection.req_packed_commands(&commands, 0, count).await?,
            Self::Cluster(connection) => {
                let primary = Route::with_slot(slot, SlotAddr::Master);
                let primary = SingleNodeRoutingInfo::SpecificNode(primary);
                connection.route_pipeline(commands, 0, count, primary).await?
            }
        };
        answers.into_iter().map(Value::extract_error).collect()
    }
}

/// The client of the node at `address`, reached as `any_node` is.
fn client_of(any_node: &Client, address: &str) -> Option<Client> {
    let (at_host, at_port) = address.rsplit_once(':')?;
    let info = any_node.get_connection_info().clone();
    let mut addr = info.addr().clone();
    match &mut addr {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            at_host.clone_into(host);
            *port = at_port.parse().ok()?;
        }
        _ => return None,
    }
    Client::open(info.set_addr(addr)).ok()
}

/// rustls panics unless the process has chosen its cryptography.
fn choose_crypto_provider() {
    use rustls::crypto::{CryptoProvider, ring};
    if CryptoProvider::get_default().is_none() {
        // It fails if another thread has just chosen.
        let _ = ring::default_provider().install_default();
    }
}
