//! Whom to connect to: a server or the nodes of a cluster, over TLS where the address says so.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, RedisResult, TlsCertificates,
    aio::MultiplexedConnection,
};

use super::{
    failure::Failure,
    server::Connected,
    server_info::{ServerInfo, ServerState},
    slot_map::Slots,
};
use crate::{maybe_ready::StoreError, store::breaker::PROBE_TIME_LIMIT};

/// Commands in flight on a connection, and waiting to be written.
const IN_FLIGHT: usize = 4096;
const WRITE_BUFFER: usize = 1024;

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
    /// The server, or some nodes of the cluster: those that were set.
    nodes: Vec<Client>,
    is_cluster: bool,
    is_kept: bool,
    pub(super) time_limit: Duration,
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
        let client = |address: String| match certificates.clone() {
            Some(certificates) => Client::build_with_tls(address, certificates),
            None => Client::open(address),
        };
        let nodes: RedisResult<Vec<_>> = addresses.into_iter().map(client).collect();
        let nodes = nodes.ok().filter(|nodes| !nodes.is_empty());
        let nodes = nodes.ok_or_else(|| StoreError::new(MALFORMED))?;
        Ok(Self { nodes, is_cluster, is_kept, time_limit })
    }

    pub(super) const fn is_cluster(&self) -> bool {
        self.is_cluster
    }

    /// Connects to the node of a cluster at `address`, or to the one server where that is empty, and asks
    /// it whether it can serve.
    pub(super) async fn connect(&self, address: &str) -> Result<Connected, StoreError> {
        let client = self.client_at(address).ok_or_else(Failure::unexpected_answer)?;
        let mut link = self.connect_to(&client).await.map_err(Failure::from)?;
        let info: RedisResult<String> = ServerInfo::command().query_async(&mut link).await;
        let info = info.map_err(Failure::from)?;
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
        Ok(Connected { link, time, state: ServerState::new(&info) })
    }

    /// Asks the nodes of a cluster at these addresses, and those that were set unless there are any, which
    /// primary serves which slots, on new connections.
    pub(super) async fn find_slots(&self, addresses: &[String]) -> Result<Slots, Failure> {
        let known = addresses.iter().filter_map(|address| self.client_at(address));
        let mut clients: Vec<_> = known.collect();
        if clients.is_empty() {
            clients.clone_from(&self.nodes);
        }
        let answers = clients.into_iter().map(|client| {
            let target = self.clone();
            async move {
                let host = host_of(&client);
                let link = target.connect_to(&client).await.map_err(Failure::from)?;
                Slots::ask(link, &host).await
            }
        });
        Slots::most_of(answers, self.time_limit).await
    }

    /// Connects to a node of a cluster, whatever it serves.
    pub(super) async fn connect_to_node(
        &self,
        address: &str,
    ) -> Result<MultiplexedConnection, Failure> {
        let client = self.client_at(address).ok_or_else(Failure::unexpected_answer)?;
        Ok(self.connect_to(&client).await?)
    }

    async fn connect_to(&self, client: &Client) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PROBE_TIME_LIMIT.max(self.time_limit)))
            .set_response_timeout(Some(self.time_limit))
            .set_concurrency_limit(IN_FLIGHT)
            .set_pipeline_buffer_size(WRITE_BUFFER);
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// The client of the node at `address`, reached as the first that was set is; that one itself where it is
    /// empty.
    fn client_at(&self, address: &str) -> Option<Client> {
        let first = self.nodes.first()?;
        if address.is_empty() {
            return Some(first.clone());
        }
        let (at_host, at_port) = address.rsplit_once(':')?;
        let info = first.get_connection_info().clone();
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
}

fn host_of(client: &Client) -> String {
    match client.get_connection_info().addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
        _ => String::new(),
    }
}

/// rustls panics unless the process has chosen its cryptography.
fn choose_crypto_provider() {
    use rustls::crypto::{CryptoProvider, ring};
    if CryptoProvider::get_default().is_none() {
        // It fails if another thread has just chosen.
        let _ = ring::default_provider().install_default();
    }
}
