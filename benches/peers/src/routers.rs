//! A `Router` of axum, and middleware on it. The bare service of these rows uses axum's body types
//! without a `Router`.

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    middleware::{Next, from_fn},
    response::Response,
    routing::post,
};
use bytes::Bytes;
use http::Request;
use tower::{Service, ServiceExt, service_fn};
use tower_sliding_session::SystemClock;

use crate::{
    handwritten::{Extent, protect},
    peer::Peer,
    scenario::{self, Case, Scenario, Send, sender},
};

pub(crate) fn peers() -> Vec<Peer> {
    let stacked = |case| router().layer(scenario::sessions(SystemClock, case).layer());
    let no_op = from_fn(async |request, next: Next| next.run(request).await);
    [
        ("axum Router", router()),
        ("Router + a from_fn that does nothing", router().layer(no_op)),
        ("Router + by hand: decode", protect(router(), Extent::Decode)),
        ("Router + by hand: + idle map", protect(router(), Extent::IdleTimeout)),
        ("Router + by hand: + re-mint", protect(router(), Extent::RenewalDue)),
        ("Router + this crate, User", stacked(Case::User)),
        ("Router + this crate, Renewal", stacked(Case::Renewal)),
    ]
    .map(|(name, router)| {
        let stacked = with_axums_bodies(router);
        Peer::new(name, stacked, with_axums_bodies(bare_service()), requests())
    })
    .into()
}

fn router() -> Router {
    Router::new().route("/documents/{id}", post(async || Bytes::from_static(b"ok")))
}

/// The requests of a user.
pub(crate) fn requests() -> Box<dyn Fn() -> Request<()>> {
    Scenario::on(SystemClock, Case::User, false).request
}

pub(crate) fn bare_service()
-> impl Service<Request<Body>, Response = Response, Error = Infallible> + Clone {
    service_fn(async |request: Request<Body>| {
        let (head, _) = request.into_parts();
        let response = scenario::bare(Request::from_parts(head, ())).await?;
        Ok(response.map(Body::new))
    })
}

pub(crate) fn with_axums_bodies<S>(service: S) -> Send
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + 'static,
{
    sender(service.map_request(|request: Request<()>| request.map(|()| Body::empty())))
}
