//! A server that can be stopped and started again at its port.

use std::{net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, runtime::Runtime};
use tower_sliding_session::{Policy, sessions::SlidingSessionsBuilder};

use super::{app, recorder::Recorder};

type Configure = fn(SlidingSessionsBuilder) -> SlidingSessionsBuilder;

/// What a server is made of.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(super) policy: Policy,
    pub(super) configure: Configure,
}

impl Setup {
    /// In seconds. Tokens are renewed in the second half of their life.
    pub(crate) fn new(token_lifetime: u64, idle: u64, absolute: u64) -> Self {
        let policy = Policy::builder()
            .token_lifetime(Duration::from_secs(token_lifetime))
            .idle_timeout(Duration::from_secs(idle))
            .absolute_timeout(Duration::from_secs(absolute))
            .renew_min_interval(Duration::ZERO)
            .build()
            .expect("a legal policy");
        Self { policy, configure: |builder| builder }
    }

    /// Tokens, idle and absolute timeout that no test outlives.
    pub(crate) fn patient() -> Self {
        Self::new(3600, 7200, 43200)
    }

    pub(crate) fn without_renewal(mut self) -> Self {
        self.policy = self.policy.to_builder().renew(false).build().expect("a legal policy");
        self
    }

    pub(crate) fn with_each_renewal(mut self) -> Self {
        self.policy = self.policy.to_builder().renew_always().build().expect("a legal policy");
        self
    }

    pub(crate) fn with(mut self, configure: Configure) -> Self {
        self.configure = configure;
        self
    }

    pub(crate) fn with_refresh_tokens(self) -> Self {
        self.with(SlidingSessionsBuilder::refresh_tokens)
    }
}

pub(crate) struct Server {
    address: SocketAddr,
    setup: Setup,
    recorder: Recorder,
    /// Of the server alone: ending it closes every connection.
    runtime: Option<Runtime>,
}

impl Server {
    pub(crate) fn start(setup: Setup) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { address, setup, recorder: Recorder::new(), runtime: None };
        server.restart();
        server
    }

    /// Starts it again at the same port, with the same keys and nothing in memory.
    pub(crate) fn restart(&mut self) {
        let runtime = Runtime::new().expect("a runtime");
        let app = app::app(&self.setup, &self.recorder);
        let (bound, is_bound) = std::sync::mpsc::channel();
        let address = self.address;
        runtime.spawn(async move {
            let listener = TcpListener::bind(address).await.expect("a free port");
            bound.send(listener.local_addr().expect("it is bound")).expect("it is awaited");
            axum::serve(listener, app).await.expect("it serves");
        });
        self.address = is_bound.recv().expect("it is bound");
        self.runtime = Some(runtime);
    }

    pub(crate) fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// An address of this server, by the name `localhost`.
    pub(crate) fn url(&self, path: &str) -> String {
        self.url_at("localhost", path)
    }

    pub(crate) fn url_at(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.address.port())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
