//! axum-login with a backend that does nothing.

use std::convert::Infallible;

use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, UserId};
use http::{HeaderValue, Request, header::SET_COOKIE};
use tower::{Layer, Service, service_fn};
use tower_sessions_0_14::{Expiry, MemoryStore, SessionManagerLayer, cookie::time::Duration};

use crate::scenario::{self, Send, drive, sender};

/// The user of every session.
pub(crate) const USER: &str = "lovelace";

const IDLE_TIMEOUT: Duration = Duration::minutes(20);

/// The only user.
#[derive(Clone, Debug)]
struct User;

impl AuthUser for User {
    type Id = String;

    fn id(&self) -> String {
        USER.to_owned()
    }

    fn session_auth_hash(&self) -> &[u8] {
        &[7; 32]
    }
}

/// A backend that returns the only user.
#[derive(Clone)]
struct Backend;

impl AuthnBackend for Backend {
    type User = User;
    type Credentials = ();
    type Error = Infallible;

    async fn authenticate(&self, (): ()) -> Result<Option<User>, Infallible> {
        Ok(Some(User))
    }

    async fn get_user(&self, _: &UserId<Self>) -> Result<Option<User>, Infallible> {
        Ok(Some(User))
    }
}

type Login = AuthSession<Backend>;

/// A service behind axum-login, and the cookie of the signed-in user.
pub(crate) fn axum_login(always_save: bool) -> (Send, HeaderValue) {
    let sessions = SessionManagerLayer::new(MemoryStore::default())
        .with_always_save(always_save)
        .with_expiry(Expiry::OnInactivity(IDLE_TIMEOUT));
    let layer = AuthManagerLayerBuilder::new(Backend, sessions).build();
    let handler = service_fn(async |request: Request<()>| {
        let login = request.extensions().get::<Login>().expect("inserted by the layer");
        assert!(login.user.is_some(), "signed in");
        scenario::bare(request).await
    });
    let sign_in = service_fn(async |mut request: Request<()>| {
        let login = request.extensions_mut().get_mut::<Login>().expect("inserted by the layer");
        login.login(&User).await.expect("there is room");
        scenario::bare(request).await
    });
    let Ok(response) = drive(layer.layer(sign_in).call(Request::new(())));
    let cookie = response.headers()[SET_COOKIE].to_str().expect("an id is in ASCII");
    let cookie = cookie.split(';').next().expect("a name and a value");
    (sender(layer.layer(handler)), HeaderValue::try_from(cookie).expect("a header value"))
}
