//! An address whose connections a test can lead elsewhere or silence.

use std::sync::{Arc, Mutex};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// The address of a primary, as a name or a load balancer gives it: a new connection leads to the
/// current server, an open one stays where it is.
pub(super) struct PrimaryAddress {
    port: u16,
    server: Arc<Mutex<String>>,
    silence: watch::Sender<()>,
}

impl PrimaryAddress {
    /// Forwards to the server of `url`.
    pub(super) async fn new(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let server = Arc::new(Mutex::new(authority(url).to_owned()));
        let current = Arc::clone(&server);
        let (silence, _) = watch::channel(());
        let silenced = silence.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let server = current.lock().expect("it is not poisoned").clone();
                let mut silenced = silenced.subscribe();
                tokio::spawn(async move {
                    let server = TcpStream::connect(server).await;
                    let mut server = server.expect("the server accepts connections");
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        // Both ends stay open.
                        _ = silenced.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { port, server, silence }
    }

    /// Forwards nothing more on the open connections, as a network that fails.
    pub(super) fn silence(&self) {
        self.silence.send_replace(());
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub(super) fn lead_to(&self, url: &str) {
        authority(url).clone_into(&mut self.server.lock().expect("it is not poisoned"));
    }
}

/// The host and port of `postgres://user@host:port/database`.
fn authority(url: &str) -> &str {
    let (_, rest) = url.split_once('@').expect("a user");
    rest.split('/').next().expect("an authority")
}
