//! The example `accounts`: owners, engineers, a SQLite file across restarts, over TCP.

#[path = "../../examples/accounts.rs"]
#[expect(dead_code, reason = "a test does not run `main`")]
mod example;

use std::{fs, net::SocketAddr, path::PathBuf};

use axum::body::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tower_sliding_session::Policy;

use self::example::{PAGE, app, secret, sessions};

/// A temporary folder that is removed when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("accounts-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).expect("a new folder");
        Self(path)
    }

    fn database(&self) -> String {
        self.0.join("sessions.db").to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that cannot be removed stays in the temporary directory.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server on a free port, and its client.
struct Server {
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Server {
    async fn start(folder: &Folder) -> Self {
        let database = folder.database();
        let secret = secret::kept_for(&database).expect("a secret");
        let policy = Policy::long_lived();
        let sessions = sessions(&database, &secret, policy).await.expect("a database");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            let server = axum::serve(listener, app(&sessions));
            let stopped = async { stopped.await.unwrap_or_default() };
            server.with_graceful_shutdown(stopped).await.expect("the server shuts down");
            sessions.audit_queue().expect("an audit queue").flush().await;
        });
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { address, client, stop, served }
    }

    async fn stop(self) {
        self.stop.send(()).expect("the server is running");
        self.served.await.expect("the server task succeeds");
    }

    async fn send(&self, line: &str, token: Option<&Value>, body: Value) -> (StatusCode, Value) {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let uri = format!("http://{}{path}", self.address);
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(token) = token {
            let token = token.as_str().expect("UTF-8");
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = if body.is_null() {
            Full::default()
        } else {
            request = request.header("content-type", "application/json");
            Full::from(body.to_string())
        };
        let request = request.body(body).expect("a request");
        let (head, body) = self.client.request(request).await.expect("a response").into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        (head.status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn get(&self, path: &str, grant: &Value) -> (StatusCode, Value) {
        self.send(&format!("GET {path}"), Some(&grant["access_token"]), Value::Null).await
    }

    async fn sign_in(&self, user: &str) -> Value {
        let (status, grant) = self.send("POST /login", None, json!({ "user": user })).await;
        assert_eq!(status, StatusCode::OK);
        grant
    }
}

#[tokio::test]
async fn a_session_is_listed_with_the_label_of_its_sign_in() {
    let folder = Folder::new();
    let server = Server::start(&folder).await;
    let label = json!({ "device": "Firefox on Linux" });
    let body = json!({ "user": "bob", "label": label });
    let (status, grant) = server.send("POST /login", None, body).await;
    assert_eq!(status, StatusCode::OK);
    let (_, list) = server.get("/auth/sessions", &grant).await;
    assert_eq!(list["sessions"][0]["label"], label);
    let body = json!({ "user": "bob", "label": { "device": "x".repeat(512) } });
    let (status, problem) = server.send("POST /login", None, body).await;
    assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("invalid_label")));
    server.stop().await;
}

#[tokio::test]
async fn a_sign_in_returns_a_grant_that_authenticates() {
    let folder = Folder::new();
    let server = Server::start(&folder).await;
    let grant = server.sign_in("ada").await;
    for member in ["refresh_token", "idle_expires_at", "absolute_expires_at"] {
        assert!(grant[member].is_string(), "{member}");
    }
    let (status, me) = server.get("/me", &grant).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(me["sid"], grant["session_id"]);
    assert_eq!(
        (&me["sub"], &me["tenant"], &me["role"]),
        (&json!("ada"), &json!("acme"), &json!("owner"))
    );
    assert!(me["idle_expires_at"].is_string() && me["absolute_expires_at"].is_string());
    let (status, problem) = server.send("POST /login", None, json!({ "user": "mallory" })).await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("unknown_user")));
    let access = Some(&grant["access_token"]);
    let (status, _) = server.send("POST /logout", access, Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (_, problem) = server.get("/me", &grant).await;
    assert_eq!(problem["code"], "session_revoked");
    server.stop().await;
}

#[tokio::test]
async fn a_few_addresses_are_public() {
    let folder = Folder::new();
    let server = Server::start(&folder).await;
    let page = PAGE.map(|file| file.path);
    for path in page.into_iter().chain(["/health", "/auth/config"]) {
        let (status, _) = server.send(&format!("GET {path}"), None, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{path}");
    }
    let (_, problem) = server.send("POST /auth/refresh", None, json!({})).await;
    assert_eq!(problem["code"], "invalid_refresh_token");
    for path in ["/me", "/auth/sessions", "/auth/security", "/auth/activity"] {
        let (_, problem) = server.send(&format!("GET {path}"), None, Value::Null).await;
        assert_eq!(problem["code"], "missing_token", "{path}");
    }
    server.stop().await;
}

#[test]
fn the_page_works_below_any_path() {
    for file in PAGE {
        // An address that begins with a slash or a scheme leaves the prefix or the server.
        for address in ["src=\"/", "href=\"/", "'/", "`/", "https://", "url(/"] {
            assert!(!file.content.contains(address), "{} has the address {address}", file.path);
        }
    }
}

#[tokio::test]
async fn a_user_signs_out_the_own_other_sessions() {
    let folder = Folder::new();
    let server = Server::start(&folder).await;
    let (here, there) = (server.sign_in("ada").await, server.sign_in("ada").await);
    let bob = server.sign_in("bob").await;
    let (_, list) = server.get("/auth/sessions", &here).await;
    let current: Vec<_> = list["sessions"]
        .as_array()
        .expect("sessions")
        .iter()
        .filter(|session| session["current"] == true)
        .map(|session| &session["session_id"])
        .collect();
    assert_eq!(current, [&here["session_id"]]);
    let body = json!({ "scope": "my_others" });
    let (_, revoked) =
        server.send("POST /auth/revoke-sessions", Some(&here["access_token"]), body).await;
    assert_eq!(revoked, json!({ "revoked_count": 1 }));
    assert_eq!(server.get("/me", &there).await.1["code"], "session_revoked");
    assert_eq!(server.get("/me", &here).await.0, StatusCode::OK);
    assert_eq!(server.get("/me", &bob).await.0, StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn an_owner_changes_the_timeouts_of_one_account_only() {
    let folder = Folder::new();
    let server = Server::start(&folder).await;
    let (ada, bob, eve) =
        (server.sign_in("ada").await, server.sign_in("bob").await, server.sign_in("eve").await);
    let standard = json!({ "idle_timeout_minutes": 1440, "absolute_timeout_minutes": 10_080 });
    let change = async |grant: &Value| {
        server.send("PATCH /auth/security", Some(&grant["access_token"]), standard.clone()).await
    };
    assert_eq!(change(&bob).await.0, StatusCode::FORBIDDEN);
    let (status, settings) = change(&ada).await;
    assert_eq!((status, &settings["effective"]), (StatusCode::OK, &standard));
    let users = settings["active_users"].as_array().expect("users");
    let mut names: Vec<_> = users.iter().filter_map(|user| user["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Ada Lovelace", "Bob Hopper"]);
    let (_, theirs) = server.get("/auth/security", &eve).await;
    assert_eq!(theirs["idle_timeout_minutes"], Value::Null);

    let others = json!({ "scope": "others" });
    let line = "POST /auth/revoke-sessions";
    let (_, revoked) = server.send(line, Some(&ada["access_token"]), others).await;
    assert_eq!(revoked, json!({ "revoked_count": 1 }));
    assert_eq!(server.get("/me", &bob).await.1["code"], "session_revoked");
    assert_eq!(server.get("/me", &ada).await.0, StatusCode::OK);
    assert_eq!(server.get("/me", &eve).await.0, StatusCode::OK);
    server.stop().await;
}

#[tokio::test]
async fn p22_a_restart_keeps_sessions_settings_and_revocations() {
    let folder = Folder::new();
    let server = Server::start(&folder).await;
    let (ada, bob) = (server.sign_in("ada").await, server.sign_in("bob").await);
    let access = Some(&bob["access_token"]);
    server.send("POST /logout", access, Value::Null).await;
    let hour = json!({ "idle_timeout_minutes": 60 });
    server.send("PATCH /auth/security", Some(&ada["access_token"]), hour).await;
    server.stop().await;

    let server = Server::start(&folder).await;
    assert_eq!(server.get("/me", &bob).await.1["code"], "session_revoked");
    let (status, settings) = server.get("/auth/security", &ada).await;
    assert_eq!((status, &settings["idle_timeout_minutes"]), (StatusCode::OK, &json!(60)));
    let body = json!({ "refresh_token": ada["refresh_token"] });
    let (status, next) = server.send("POST /auth/refresh", None, body).await;
    assert_eq!((status, &next["session_id"]), (StatusCode::OK, &ada["session_id"]));
    let (_, log) = server.get("/auth/activity", &next).await;
    let routes = log["rows"].as_array().expect("rows").iter();
    assert!(routes.into_iter().any(|row| row["detail"]["method"] == "PATCH"), "{log}");
    server.stop().await;
}

#[test]
fn the_secret_is_created_once_and_readable_by_its_owner_only() {
    let folder = Folder::new();
    let database = folder.database();
    let made = secret::kept_for(&database).expect("the secret is created");
    assert!(made.len() >= 32);
    for address in [database.clone(), format!("sqlite://{database}"), format!("sqlite:{database}")]
    {
        assert_eq!(secret::kept_for(&address).expect("the secret is read"), made);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let file = folder.0.join("sessions.secret");
        assert_eq!(
            fs::metadata(file).expect("the file exists").permissions().mode() & 0o777,
            0o600
        );
    }
}
