//! A server of the end-to-end bench, benches/http/run: prints its address and a token, and serves
//! until it is killed. Its argument is `bare`, `stack`, `renew` or `handwritten`.

#[path = "../handwritten.rs"]
mod handwritten;
#[path = "../../../scenario/mod.rs"]
mod scenario;

use std::{env, io, net::Ipv4Addr};

use axum::{Router, routing::post};
use bytes::Bytes;
use tokio::{net::TcpListener, runtime};
use tower_sliding_session::SystemClock;

use self::{
    handwritten::{Extent, protect},
    scenario::Case,
};

fn main() -> io::Result<()> {
    let mode = env::args().nth(1).unwrap_or_default();
    let app = app(&mode).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "expected: bare, stack, renew or handwritten")
    })?;
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let token = scenario::token(&scenario::sessions(SystemClock, Case::User));
        println!("http://{} {token}", listener.local_addr()?);
        axum::serve(listener, app).await
    })
}

fn app(mode: &str) -> Option<Router> {
    let router = Router::new()
        .route("/documents/{id}", post(async |_: Bytes| Bytes::from_static(b"{\"saved\":true}")));
    let stacked = |case| scenario::sessions(SystemClock, case).layer();
    Some(match mode {
        "bare" => router,
        "stack" => router.layer(stacked(Case::User)),
        "renew" => router.layer(stacked(Case::Renewal)),
        "handwritten" => protect(router, Extent::RenewalDue),
        _ => return None,
    })
}
