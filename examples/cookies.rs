//! A session cookie, for pages that the server renders. A browser whose session has ended is redirected
//! to the sign-in page; a script gets the 401. Browsers send cookies with requests from other sites,
//! too, so a `CsrfLayer` is the outermost layer.
//!
//! `EXAMPLE_ADDR` sets the address, 127.0.0.1:3000 by default; port 0 takes a free one.

use axum::{
    Form, Router,
    body::Bytes,
    extract::{Request, State},
    http::{StatusCode, header::LOCATION},
    response::{Html, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower::BoxError;
use tower_http::csrf::CsrfLayer;
use tower_sliding_session::{
    Clock, JwtKeys, PathRules, Policy, Rejection, Session, SessionCookie, SlidingSessions,
    SystemClock, request_class::RequestHead, transport::SetCookie,
};
use uuid::Uuid;

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(
    State((sessions, cookie)): State<(SlidingSessions, SessionCookie)>,
    Form(login): Form<Login>,
) -> axum::response::Result<(SetCookie, Redirect)> {
    // Check a password or a passkey here.
    if login.user != "ada" {
        return Err(StatusCode::UNAUTHORIZED.into());
    }
    let grant = sessions.start(login.user).await?;
    Ok((grant.set_cookie(&cookie), Redirect::to("/me")))
}

async fn sign_in_page() -> Html<&'static str> {
    Html("<form method=post>User: <input name=user value=ada> <button>Sign in</button></form>")
}

/// Redirects a browser that navigates, and keeps the problem details for scripts.
fn to_sign_in_page(_: &Rejection, head: RequestHead<'_>) -> Option<axum::http::Response<Bytes>> {
    head.headers().get("sec-fetch-mode").filter(|mode| *mode == "navigate")?;
    let redirect = axum::http::Response::builder().status(StatusCode::SEE_OTHER);
    redirect.header(LOCATION, "/login").body(Bytes::new()).ok()
}

async fn logout(
    State((sessions, _)): State<(SlidingSessions, SessionCookie)>,
    request: Request,
) -> Result<(SetCookie, StatusCode), Rejection> {
    let cleared = sessions.sign_out_request(RequestHead::new(&request)).await?;
    Ok((cleared, StatusCode::NO_CONTENT))
}

/// Returns the service, with `clock` as its time source.
pub(crate) fn app(clock: impl Clock) -> Result<Router, BoxError> {
    let cookie = SessionCookie::new();
    // A random key: a restart invalidates every token. Load yours from your secret store.
    let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    let sessions = SlidingSessions::builder(JwtKeys::hs256(secret)?, Policy::builder().build()?)
        // A stale cookie must not keep a user from signing out.
        .path_rules(PathRules::new().public("/login").public("/logout"))
        .session_cookie(cookie.clone())
        .rejections(to_sign_in_page)
        .clock(clock)
        .build()?;

    Ok(Router::new()
        .route("/login", get(sign_in_page).post(login))
        .route("/logout", post(logout))
        .route("/me", get(|session: Session| async move { session.subject().to_owned() }))
        .layer(sessions.layer())
        // Outermost: a request from another site is rejected before its cookie is read.
        .layer(CsrfLayer::new())
        .with_state((sessions, cookie)))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let address = std::env::var("EXAMPLE_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!(
        "listening on {url}

# a browser is redirected to the sign-in page, a script is not
curl -si {url}/me -H 'sec-fetch-mode: navigate'
curl -si {url}/me
# sign in; curl keeps the cookie in a file
curl -si -c jar {url}/login -d user=ada
curl -si -b jar -c jar {url}/me
# from another site: 403
curl -si -b jar {url}/logout -X POST -H 'sec-fetch-site: cross-site'
# sign out: the session is revoked and the cookie cleared
curl -si -b jar -c jar {url}/logout -X POST
curl -si -b jar {url}/me"
    );
    axum::serve(listener, app(SystemClock)?).await?;
    Ok(())
}
