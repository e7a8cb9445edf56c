//! The cost of this crate and of its alternatives, measured in one run in interleaved rounds.
//!
//! `cargo run --release --locked --manifest-path benches/peers/Cargo.toml`
//!
//! Building requests is not measured, and the time of the bare service for the same request is
//! subtracted. A noop waker polls everything: the locks of the in-memory stores are always free, so
//! that no future is pending and no runtime is needed. All clocks are the system clock.
//!
//! jwt-authorizer 0.15 is missing: its responses have the body type of axum 0.7, which axum 0.8
//! does not accept.

mod handwritten;
mod jwt;
mod login;
mod other_layers;
mod peer;
mod routers;
#[path = "../../scenario/mod.rs"]
mod scenario;
mod server_sessions;
#[path = "../../side_by_side/mod.rs"]
mod side_by_side;
mod this_crate;

use self::{peer::Peer, side_by_side::ROUNDS};

fn main() {
    let mut peers: Vec<Peer> = [
        jwt::peers(),
        this_crate::peers(),
        server_sessions::peers(),
        other_layers::peers(),
        routers::peers(),
    ]
    .into_iter()
    .flatten()
    .collect();
    for _ in 0..ROUNDS {
        for peer in &mut peers {
            peer.pair.round();
        }
    }

    let ns: Vec<f64> = peers.iter_mut().map(|peer| peer.pair.ns_over()).collect();
    let of = |name| {
        let row = peers.iter().position(|peer| peer.name == name);
        ns[row.expect("it has a line")]
    };
    let (decode, saved) = (of(jwt::DECODE), of(server_sessions::ALWAYS_SAVED));
    println!(
        "{:<40} {:>8} {:>7} {:>10} {:>15}",
        "over the bare service", "ns", "allocs", "of decode", "of always_save"
    );
    for (peer, ns) in peers.iter_mut().zip(&ns) {
        println!(
            "{:<40} {ns:>8.0} {:>7} {:>10.3} {:>15.3}",
            peer.name,
            peer.pair.allocations_over(),
            ns / decode,
            ns / saved
        );
    }
}
