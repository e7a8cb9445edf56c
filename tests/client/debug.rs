//! What Debug output and errors of a client show.

use std::error::Error;

use bytes::Bytes;
use http::Version;
use http_body_util::Full;
use tower::Layer;
use tower_sliding_session::{
    RejectionKind,
    client::{
        ClientBody, InvalidAccessToken, MemoryTokenStore, RefreshError, RefreshRoute,
        SessionClient, TokenChange, TokenStore, Tokens,
    },
};

use crate::app::{Http, http};

#[test]
fn p10_neither_debug_nor_an_error_shows_a_token() {
    let tokens =
        Tokens::new("secret-access").expect("a token").with_refresh_token("secret-refresh");
    let store = MemoryTokenStore::new();
    store.update(&mut |_| TokenChange::Set(tokens.clone()));
    let route: RefreshRoute<Http<Full<Bytes>>, Full<Bytes>> = RefreshRoute::new(
        http(Version::HTTP_11),
        "http://api.example/refresh".parse().expect("an address"),
    );
    let builder = SessionClient::builder();
    let session = SessionClient::builder().build();
    session.sign_in(tokens.clone());
    let service = session.layer().layer(http::<ClientBody<Full<Bytes>>>(Version::HTTP_11));
    let change = TokenChange::Set(tokens.clone());
    let failed = RefreshError::unavailable(InvalidAccessToken);
    for shown in [
        format!("{tokens:?}"),
        format!("{store:?}"),
        format!("{change:?}"),
        format!("{route:?}"),
        format!("{builder:?} {session:?} {service:?} {:?}", session.layer()),
        format!("{:?}", Tokens::new("secret token")),
        format!("{failed:?} {failed}"),
    ] {
        assert!(!shown.contains("secret"), "{shown}");
    }
    assert!(format!("{:?}", tokens_header(&tokens)).contains("Sensitive"));
    assert!(failed.source().is_some_and(<dyn Error>::is::<InvalidAccessToken>));
    let refused = RefreshError::Refused(RejectionKind::SessionExpiredIdle);
    assert_eq!(refused.to_string(), "the refresh was refused: session_expired_idle");
}

/// The header that a request is sent with.
fn tokens_header(tokens: &Tokens) -> http::HeaderValue {
    use tower::{Service, service_fn};

    let session = SessionClient::builder().build();
    session.sign_in(tokens.clone());
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut service = session.layer().layer(service_fn(
        move |request: http::Request<ClientBody<Full<Bytes>>>| {
            let sent = sender.send(request.headers()["authorization"].clone());
            std::future::ready(sent.map(|()| http::Response::new(Full::<Bytes>::default())))
        },
    ));
    drop(service.call(http::Request::new(Full::default())));
    receiver.recv().expect("a header")
}

#[test]
fn a_token_has_the_characters_of_rfc_6750() {
    for refused in ["", "a b", "a\r\nb", "a,b", "\u{e9}", "\0"] {
        assert_eq!(Tokens::new(refused).err(), Some(InvalidAccessToken), "{refused:?}");
    }
    for accepted in ["a", "a.b-c_d~e+f/g=="] {
        let tokens = Tokens::new(accepted).expect("a token");
        assert_eq!((tokens.access_token(), tokens.refresh_token()), (accepted, None));
    }
}
