//! Sessions in the memory of the server: tower-sessions, and axum-login on top of it. The handlers
//! read the user.

use std::sync::Arc;

use http::{HeaderValue, Request, header::COOKIE};
use tower::{Layer, service_fn};
use tower_sessions::{Expiry, MemoryStore, Session, SessionManagerLayer, cookie::time::Duration};

use crate::{
    login::{USER, axum_login},
    peer::Peer,
    routers::requests,
    scenario::{self, Send, drive, sender},
};

pub(crate) const ALWAYS_SAVED: &str = "tower-sessions, always_save";

const IDLE_TIMEOUT: Duration = Duration::minutes(20);

pub(crate) fn peers() -> Vec<Peer> {
    [
        ("tower-sessions, loaded", tower_sessions(false)),
        (ALWAYS_SAVED, tower_sessions(true)),
        ("axum-login, loaded", axum_login(false)),
        ("axum-login, always_save", axum_login(true)),
    ]
    .map(|(name, (stacked, cookie))| {
        let request = requests();
        Peer::new(name, stacked, sender(service_fn(scenario::bare)), move || {
            let mut request = request();
            request.headers_mut().insert(COOKIE, cookie.clone());
            request
        })
    })
    .into()
}

/// A service behind tower-sessions, and the cookie of a session.
fn tower_sessions(always_save: bool) -> (Send, HeaderValue) {
    let store = MemoryStore::default();
    let expiry = Expiry::OnInactivity(IDLE_TIMEOUT);
    let session = Session::new(None, Arc::new(store.clone()), Some(expiry));
    drive(session.insert("user", USER)).expect("a name is JSON");
    drive(session.save()).expect("there is room");
    let handler = service_fn(async |request: Request<()>| {
        let session = request.extensions().get::<Session>().expect("inserted by the layer");
        let user: Option<String> = session.get("user").await.expect("there is room");
        assert_eq!(user.as_deref(), Some(USER));
        scenario::bare(request).await
    });
    let layer = SessionManagerLayer::new(store).with_always_save(always_save).with_expiry(expiry);
    let cookie = format!("id={}", session.id().expect("a saved session"));
    (sender(layer.layer(handler)), HeaderValue::try_from(cookie).expect("an id is in ASCII"))
}
