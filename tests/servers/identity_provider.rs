//! P35: an identity provider over TCP, whose keys the service fetches from its `jwks_uri`.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version, header::AUTHORIZATION};
use http_body_util::Full;
use hyper::body::Incoming;
use tower::{ServiceBuilder, service_fn};
use tower_sliding_session::{
    JwtKeys, MaybeReady, Session, SlidingSessions,
    store::StoreError,
    token::{Algorithm, SigningKey},
};

use crate::{
    client::Client,
    hyper_server,
    stack::{RENEWAL_DUE, stack},
    test_stack::{SECRET, TestStack, patient},
};

const IDP: &str = "https://idp.example";

/// The provider's key under `kid`.
fn key(kid: &str) -> SigningKey {
    let pem = include_str!("../keys_pem/es256.private.pem");
    SigningKey::from_pem(Algorithm::ES256, pem).expect("a key").kid(kid)
}

fn jwks(kid: &str) -> String {
    let members = include_str!("../keys_pem/es256.public.jwk").trim();
    format!(r#"{{"keys":[{{{members},"kid":"{kid}"}}]}}"#)
}

/// The `Authorization` of a user of the provider.
async fn bearer(kid: &str) -> String {
    let provider = TestStack::with_keys(JwtKeys::new(key(kid)), patient(), |it| it.issuer(IDP));
    provider.sign_in_bearer().await
}

#[tokio::test]
async fn p35_the_keys_of_a_provider_are_fetched_and_its_tokens_are_not_renewed() {
    let served = Arc::new(Mutex::new((StatusCode::OK, jwks("2026-10"))));
    let current = Arc::clone(&served);
    let jwks_uri = service_fn(move |_: Request<Incoming>| {
        let (status, json) = current.lock().expect("not poisoned").clone();
        let response = Response::builder().status(status).body(Full::<Bytes>::from(json));
        std::future::ready(Ok::<_, Infallible>(response.expect("a response")))
    });
    let version = Version::HTTP_11;
    let jwks_uri = Arc::new(Client::new(hyper_server::serve(jwks_uri, version).await, version));

    let keys = JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes");
    keys.on_unknown_kid(IDP, move || {
        let client = Arc::clone(&jwks_uri);
        MaybeReady::new(async move {
            let response = client.send(Request::get("/jwks.json")).await;
            if response.status() != StatusCode::OK {
                return Err(StoreError::new(response.status().to_string()));
            }
            String::from_utf8(response.into_body().into()).map_err(StoreError::new)
        })
    });
    let clock = stack(|builder| builder).clock;
    let sessions = SlidingSessions::builder(keys, patient()).clock(clock.clone()).build();
    let sessions = sessions.expect("a legal configuration");
    let service = ServiceBuilder::new().layer(sessions.layer()).service(service_fn(
        async |request: Request<Incoming>| {
            let session = request.extensions().get::<Session>().expect("authenticated");
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(session.subject().to_owned())))
        },
    ));
    let caller = Client::new(hyper_server::serve(service, version).await, version);
    let get = |bearer: &str| Request::get("/").header(AUTHORIZATION, bearer);

    let first = bearer("2026-10").await;
    assert_eq!(caller.send(get(&first)).await.body(), "ada");
    clock.advance(RENEWAL_DUE);
    let response = caller.send(get(&first)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!response.headers().contains_key("x-refreshed-token"));

    // The provider rotates; the old key is not valid any more once the new one was fetched.
    let second = bearer("2026-11").await;
    *served.lock().expect("not poisoned") = (StatusCode::BAD_GATEWAY, String::new());
    assert_eq!(caller.send(get(&second)).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    *served.lock().expect("not poisoned") = (StatusCode::OK, jwks("2026-11"));
    clock.advance(Duration::from_secs(5));
    assert_eq!(caller.send(get(&second)).await.body(), "ada");
    clock.advance(Duration::from_secs(5));
    assert_eq!(caller.send(get(&first)).await.status(), StatusCode::UNAUTHORIZED);
}
