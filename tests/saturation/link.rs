//! The network between the nodes and their database, which can stop carrying bytes.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// While it is paused, connections stay open and nothing arrives: what was sent arrives later, and is
/// executed.
#[derive(Clone)]
pub(crate) struct Link {
    /// The address of the database over this link.
    pub(crate) url: String,
    is_paused: watch::Sender<bool>,
}

impl Link {
    pub(crate) async fn to(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").expect("an address");
        let (user, rest) = rest.split_once('@').expect("an address with a user");
        let (server, database) = rest.split_once('/').expect("an address with a database");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let here = listener.local_addr().expect("a bound socket");
        let is_paused = watch::Sender::new(false);
        let (server, paused) = (server.to_owned(), is_paused.subscribe());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(&server).await else { continue };
                let ((near_in, near_out), (far_in, far_out)) =
                    (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, paused.clone()));
                tokio::spawn(carry(far_in, near_out, paused.clone()));
            }
        });
        Self { url: format!("{scheme}://{user}@{here}/{database}"), is_paused }
    }

    pub(crate) fn pause(&self) {
        self.is_paused.send_replace(true);
    }

    pub(crate) fn resume(&self) {
        self.is_paused.send_replace(false);
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut paused: watch::Receiver<bool>) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if paused.wait_for(|is_paused| !is_paused).await.is_err()
            || to.write_all(&bytes[..read]).await.is_err()
        {
            return;
        }
    }
}
