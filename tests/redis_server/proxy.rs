//! An address whose connections a test can cut, or lead to another server.

use std::sync::{Arc, Mutex};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::RedisServer;

/// The address of a primary, as a name or a load balancer gives it.
pub(crate) struct Proxy {
    port: u16,
    /// The port of the server; `None` while the network is cut.
    server: Arc<Mutex<Option<u16>>>,
    cut: watch::Sender<()>,
}

impl Proxy {
    pub(crate) async fn new(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let server = Arc::new(Mutex::new(Some(server.port)));
        let current = Arc::clone(&server);
        let (cut, _) = watch::channel(());
        let cuts = cut.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut is_cut = cuts.subscribe();
                let Some(server) = *current.lock().expect("it is not poisoned") else { continue };
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else {
                        return;
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        _ = is_cut.changed() => {}
                    }
                });
            }
        });
        Self { port, server, cut }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Closes the open connections, and every new one.
    pub(crate) fn cut(&self) {
        *self.server.lock().expect("it is not poisoned") = None;
        self.cut.send_replace(());
    }

    /// Forwards to `server` from now on; closes the open connections.
    pub(crate) fn lead_to(&self, server: &RedisServer) {
        *self.server.lock().expect("it is not poisoned") = Some(server.port);
        self.cut.send_replace(());
    }
}
