//! The network between nodes and their store, which can fail.

#![allow(dead_code, reason = "each test crate uses its part")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

/// How many pieces of answers a connection carries before it is lost, while connections are lost.
const CARRIED: usize = 20;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Works,
    /// Connections stay open and nothing arrives: what was sent arrives later, and is executed.
    Paused,
    /// Each answer takes longer.
    Slow(Duration),
    /// Connections are lost again and again, after the server has executed what was sent, and before
    /// its answer arrives.
    Resets,
}

#[derive(Clone)]
pub(crate) struct Link {
    /// The address of the store over this link.
    pub(crate) url: String,
    state: watch::Sender<State>,
}

impl Link {
    /// A link to the server of an address, such as `postgres://user@host:port/database`.
    pub(crate) async fn to(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").expect("an address");
        let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(user, rest)| (user, rest));
        let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
        let at = if user.is_empty() { "" } else { "@" };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let here = listener.local_addr().expect("a bound socket");
        let state = watch::Sender::new(State::Works);
        let (server, states) = (server.to_owned(), state.subscribe());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                // Without a server the connection is closed at once.
                let Ok(far) = TcpStream::connect(&server).await else { continue };
                let ((near_in, near_out), (far_in, far_out)) =
                    (near.into_split(), far.into_split());
                let answers = Arc::new(AtomicUsize::new(0));
                let states = states.clone();
                tokio::spawn(async move {
                    let sent = carry(near_in, far_out, states.clone(), None);
                    let answered = carry(far_in, near_out, states, Some(answers));
                    // Both ways end together.
                    tokio::select! { () = sent => {}, () = answered => {} }
                });
            }
        });
        Self { url: format!("{scheme}://{user}{at}{here}/{path}"), state }
    }

    pub(crate) fn pause(&self) {
        self.state.send_replace(State::Paused);
    }

    pub(crate) fn slow_down(&self, by: Duration) {
        self.state.send_replace(State::Slow(by));
    }

    pub(crate) fn lose_connections(&self) {
        self.state.send_replace(State::Resets);
    }

    pub(crate) fn resume(&self) {
        self.state.send_replace(State::Works);
    }
}

/// Carries bytes. `answers` counts the pieces that the server has sent.
async fn carry(
    mut from: OwnedReadHalf,
    to: OwnedWriteHalf,
    mut states: watch::Receiver<State>,
    answers: Option<Arc<AtomicUsize>>,
) {
    let (sender, pieces) = mpsc::unbounded_channel();
    let written = tokio::spawn(write(to, pieces, states.clone()));
    let mut bytes = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let state = *states.borrow_and_update();
        let delay = match (state, &answers) {
            (State::Slow(by), Some(_)) => by,
            (State::Resets, Some(answers)) if answers.fetch_add(1, Relaxed) >= CARRIED => break,
            _ => Duration::ZERO,
        };
        if sender.send((Instant::now() + delay, bytes[..read].to_vec())).is_err() {
            break;
        }
    }
    drop(sender);
    drop(written.await);
}

/// Writes each piece when it is due, and not while nothing arrives.
async fn write(
    mut to: OwnedWriteHalf,
    mut pieces: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>,
    mut states: watch::Receiver<State>,
) {
    while let Some((due, piece)) = pieces.recv().await {
        sleep_until(due).await;
        if states.wait_for(|state| *state != State::Paused).await.is_err()
            || to.write_all(&piece).await.is_err()
        {
            return;
        }
    }
}
