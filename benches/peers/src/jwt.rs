//! The bare service alone, and jsonwebtoken alone with the same token.

use std::hint::black_box;

use http::Request;
use tower::service_fn;
use tower_sliding_session::SystemClock;

use crate::{
    handwritten::Jwt,
    peer::Peer,
    scenario::{self, Case, Scenario, sender},
};

pub(crate) const DECODE: &str = "jsonwebtoken::decode";

pub(crate) fn peers() -> Vec<Peer> {
    let Scenario { token, request, .. } = Scenario::on(SystemClock, Case::User, false);
    let jwt = Jwt::new();
    let claims = jwt.decode(&token).expect("a valid token");
    let decode = move |request| {
        unsent(request);
        drop(black_box(jwt.decode(&token).expect("a valid token")));
    };
    let jwt = Jwt::new();
    let encode = move |request| {
        unsent(request);
        drop(black_box(jwt.encode(&claims).expect("a good key")));
    };
    let bare = sender(service_fn(scenario::bare));
    let requests = || Scenario::on(SystemClock, Case::User, false).request;
    vec![
        Peer::new("bare service, over no service", bare, Box::new(unsent), request),
        Peer::new(DECODE, Box::new(decode), Box::new(unsent), requests()),
        Peer::new("jsonwebtoken::encode", Box::new(encode), Box::new(unsent), requests()),
    ]
}

fn unsent(request: Request<()>) {
    drop(black_box(request));
}
