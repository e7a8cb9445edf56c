//! Layers that most services have: tower-http and `tower_governor`.

use std::net::{Ipv4Addr, SocketAddr};

use axum::extract::ConnectInfo;
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, HeaderName, ORIGIN},
};
use tower::{Layer, ServiceBuilder, service_fn};
use tower_governor::{GovernorLayer, governor::GovernorConfigBuilder};
use tower_http::{cors::CorsLayer, set_header::SetResponseHeaderLayer};

use crate::{
    peer::Peer,
    routers::{self, requests, with_axums_bodies},
    scenario::{self, sender},
};

const ORIGIN_OF_THE_PAGE: HeaderValue = HeaderValue::from_static("https://app.example.org");

pub(crate) fn peers() -> Vec<Peer> {
    vec![tower_http(), tower_governor()]
}

fn tower_http() -> Peer {
    let service = ServiceBuilder::new()
        .layer(
            CorsLayer::new()
                .allow_origin(ORIGIN_OF_THE_PAGE)
                .allow_credentials(true)
                .expose_headers([HeaderName::from_static("x-refreshed-token")]),
        )
        .layer(SetResponseHeaderLayer::overriding(
            CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        .service(service_fn(scenario::bare));
    let request = requests();
    Peer::new(
        "tower-http Cors + SetResponseHeader",
        sender(service),
        sender(service_fn(scenario::bare)),
        move || {
            let mut request = request();
            request.headers_mut().insert(ORIGIN, ORIGIN_OF_THE_PAGE);
            request
        },
    )
}

/// Limits by peer address, its default; no request reaches the limit.
fn tower_governor() -> Peer {
    let config = GovernorConfigBuilder::default().per_nanosecond(1).burst_size(u32::MAX).finish();
    let layer = GovernorLayer::new(config.expect("a period and a burst"));
    let address = ConnectInfo(SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)));
    let request = requests();
    Peer::new(
        "tower_governor",
        with_axums_bodies(layer.layer(routers::bare_service())),
        with_axums_bodies(routers::bare_service()),
        move || {
            let mut request = request();
            request.extensions_mut().insert(address);
            request
        },
    )
}
