//! An axum app behind nginx with `proxy_cache`: what a stranger gets from the cache.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use axum::{Router, extract::Path, response::Redirect, routing::get};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request, Response,
    header::{AUTHORIZATION, COOKIE, HOST},
    request,
};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tower_sliding_session::SessionCookie;

use crate::stack::{RENEWAL_DUE, stack};

type Headers = &'static [(&'static str, &'static str)];

const FUTURE: &str = "Thu, 01 Jan 2099 00:00:00 GMT";
const PAST: &str = "Thu, 19 Nov 1981 08:52:00 GMT";

/// What apps say to caches, and whether a token may go into such a response.
const RESPONSES: &[(Headers, bool)] = &[
    (&[], true),
    (&[("x-accel-expires", "60")], false),
    (&[("x-accel-expires", "@4000000000")], false),
    (&[("x-accel-expires", "0")], true),
    (&[("x-accel-expires", "60"), ("cache-control", "no-store")], false),
    (&[("cache-control", "no-store"), ("x-accel-expires", "60")], false),
    (&[("x-accel-expires", "60"), ("cache-control", "private")], false),
    (&[("x-accel-expires", "0"), ("x-accel-expires", "60")], false),
    (&[("cache-control", "public, max-age=60")], false),
    (&[("cache-control", "s-maxage=60")], false),
    (&[("cache-control", "max-age=60, must-revalidate")], false),
    (&[("cache-control", "max-age=60")], true),
    (&[("cache-control", "max-age=60, stale-while-revalidate=60")], true),
    (&[("cache-control", "private=\"set-cookie\", public, max-age=60")], false),
    (&[("cache-control", "private, max-age=60")], true),
    (&[("cache-control", "private, max-age=0, must-revalidate")], true),
    (&[("cache-control", "no-cache, no-store, max-age=0, must-revalidate")], true),
    (&[("cache-control", "no-cache")], true),
    (&[("cdn-cache-control", "max-age=60"), ("cache-control", "max-age=60")], false),
    (&[("expires", FUTURE)], true),
    (&[("expires", FUTURE), ("cache-control", "max-age=60")], true),
    (&[("expires", FUTURE), ("cache-control", "private")], true),
    (&[("expires", FUTURE), ("cache-control", "no-store")], true),
    (&[("cache-control", "no-store"), ("expires", FUTURE)], true),
    (&[("expires", PAST), ("cache-control", "no-store, no-cache, must-revalidate")], true),
    (&[("expires", "0"), ("pragma", "no-cache")], true),
    (&[("expires", FUTURE), ("pragma", "no-cache")], true),
    (&[("last-modified", PAST), ("expires", FUTURE), ("etag", "\"1\"")], true),
];

/// The responses that nginx stores in any case, by their number: the test would be void if it did not.
const STORED: [usize; 3] = [1, 2, 8];

/// The response to `/<location>/<number>/<transport>`.
async fn respond(Path((_, number, _)): Path<(String, usize, String)>) -> Response<String> {
    let mut response = Response::new("page".to_owned());
    for (name, value) in RESPONSES[number].0 {
        let value = HeaderValue::from_static(value);
        response.headers_mut().append(HeaderName::from_static(name), value);
    }
    response
}

#[tokio::test]
async fn p09_nginx_sends_no_stranger_a_token_or_a_deadline() {
    let stack = stack(|builder| {
        builder.bearer().session_cookie(SessionCookie::new()).optional().session_expires()
    });
    let app = Router::new().route("/{location}/{number}/{transport}", get(respond));
    let nginx = Nginx::start(app.layer(stack.sessions.layer()));

    // Two users for each page: when the tokens of the first are due, those of the second are not.
    let pages = || {
        let locations = ["stock", "cookies", "all"].into_iter();
        locations.flat_map(|location| {
            (0..RESPONSES.len()).flat_map(move |number| {
                ["header", "cookie"].map(|transport| Page { location, number, transport })
            })
        })
    };
    for is_due in [true, false] {
        let mut tokens = Vec::new();
        for page in pages() {
            tokens.push(stack.sign_in_as(&page.path(is_due)).await);
        }
        if is_due {
            stack.clock.advance(RENEWAL_DUE);
        }
        for (page, token) in pages().zip(tokens) {
            check(&nginx, page, &token, is_due).await;
        }
    }
}

/// Who signed in requests the page, then a stranger.
async fn check(nginx: &Nginx, page: Page, token: &str, is_due: bool) {
    let path = page.path(is_due);
    let (headers, may_have_token) = RESPONSES[page.number];
    let request = Request::get(&path);
    let request = match page.transport {
        "header" => request.header(AUTHORIZATION, format!("Bearer {token}")),
        _ => request.header(COOKIE, format!("__Host-session={token}")),
    };
    let response = nginx.send(request).await;
    assert_eq!(has_token(&response), is_due && may_have_token, "{path} {headers:?}");

    let strangers = nginx.send(Request::get(&path)).await;
    assert_eq!(strangers.body(), "page");
    assert!(!has_token(&strangers), "{path} {headers:?}");
    // Where nginx is told to store what says nothing about caches, it stores every page of a user.
    let says_nothing = page.location == "all" && headers.is_empty();
    let has_deadline = strangers.headers().contains_key("session-expires");
    assert!(!has_deadline || says_nothing, "{path} {headers:?}");
    let is_stored = strangers.headers()["x-cache"] == "HIT";
    assert!(is_stored || !STORED.contains(&page.number), "{path} {headers:?}");
}

#[derive(Clone, Copy)]
struct Page {
    location: &'static str,
    number: usize,
    transport: &'static str,
}

impl Page {
    fn path(self, is_due: bool) -> String {
        let Self { location, number, transport } = self;
        format!("/{location}/{number}/{transport}-{is_due}")
    }
}

#[tokio::test]
async fn p09_nginx_stores_no_sign_in() {
    let stack = stack(|builder| {
        builder.bearer().session_cookie(SessionCookie::new()).optional().session_expires()
    });
    let [body, cookie] = [(); 2].map(|()| stack.sessions.clone());
    let app =
        Router::new().route("/{location}/body", get(async move || body.start("ada").await)).route(
            "/{location}/cookie",
            get(async move || {
                let grant = cookie.start("ada").await.expect("the session starts");
                (grant.set_cookie(&SessionCookie::new()), Redirect::to("/"))
            }),
        );
    let nginx = Nginx::start(app.layer(stack.sessions.layer()));
    for location in ["stock", "cookies", "all"] {
        for way in ["body", "cookie"] {
            let path = format!("/{location}/{way}");
            let [first, second] =
                [nginx.send(Request::get(&path)).await, nginx.send(Request::get(&path)).await];
            let token = |response: &Response<Bytes>| {
                (response.headers().get("set-cookie").cloned(), response.body().clone())
            };
            assert_ne!(token(&first), token(&second), "{path}");
            assert_eq!(second.headers()["x-cache"], "MISS", "{path}");
        }
    }
}

fn has_token(response: &Response<Bytes>) -> bool {
    let headers = response.headers();
    headers.contains_key("x-refreshed-token") || headers.contains_key("set-cookie")
}

/// An nginx in front of an app; it stops when this is dropped.
struct Nginx {
    folder: PathBuf,
    process: Child,
}

impl Nginx {
    fn start(app: Router) -> Self {
        let folder = std::env::temp_dir().join(format!("nginx-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).expect("a new folder");
        let listener = UnixListener::bind(folder.join("app")).expect("a new socket");
        tokio::spawn(axum::serve(listener, app).into_future());
        let serve = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/nginx_server/serve");
        let mut process = Command::new(serve)
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/nginx_server/serve starts");
        let mut said = String::new();
        let output = process.stdout.take().expect("its output is piped");
        BufReader::new(output).read_line(&mut said).expect("its output is text");
        assert_eq!(said, "ready\n", "no nginx: install Debian's `nginx`");
        Self { folder, process }
    }

    async fn send(&self, request: request::Builder) -> Response<Bytes> {
        let socket = UnixStream::connect(self.folder.join("nginx")).await.expect("nginx listens");
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(socket)).await.expect("a connection");
        tokio::spawn(connection);
        let request = request.header(HOST, "localhost").body(Empty::<Bytes>::new());
        let response = sender.send_request(request.expect("a request")).await;
        let (parts, body) = response.expect("a response").into_parts();
        Response::from_parts(parts, body.collect().await.expect("a whole body").to_bytes())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The script stops when its input is closed.
        drop(self.process.stdin.take());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
