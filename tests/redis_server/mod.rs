//! A Redis server of one test.

#![allow(dead_code, unused_imports, reason = "each test crate uses its part")]

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

mod cluster;
mod proxy;
mod temporary_directory;

pub(crate) use self::{
    cluster::RedisCluster, proxy::Proxy, temporary_directory::TemporaryDirectory,
};

/// A server on a port of its own, without persistence; killed when it is dropped.
pub(crate) struct RedisServer {
    port: u16,
    tls_port: Option<u16>,
    settings: Vec<String>,
    process: Child,
    /// Where it writes what it sends to a replica.
    directory: TemporaryDirectory,
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further settings, such as `--maxmemory 1mb`.
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        let settings: Vec<_> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let directory = TemporaryDirectory::new();
        // A port is free until something else takes it, and then the server does not start.
        let mut ports = std::iter::repeat_with(free_port).take(ATTEMPTS);
        let started = ports.find_map(|port| Some((port, spawn(port, &settings, &directory)?)));
        let (port, process) = started.expect("Redis starts");
        Self { port, tls_port: None, settings, process, directory }
    }

    /// Starts a server that speaks TLS on a port of its own, too.
    pub(crate) fn start_with_tls(certificate: &str, key: &str, settings: &[&str]) -> Self {
        let directory = TemporaryDirectory::new();
        let certificate_file = directory.write("certificate.pem", certificate);
        let key_file = directory.write("key.pem", key);
        let tls_port = free_port();
        let tls = [
            "--tls-port",
            &tls_port.to_string(),
            "--tls-cert-file",
            &certificate_file,
            "--tls-key-file",
            &key_file,
            "--tls-ca-cert-file",
            &certificate_file,
            "--tls-auth-clients",
            "no",
        ];
        let mut server = Self::start_with(&[&tls, settings].concat());
        server.tls_port = Some(tls_port);
        server
    }

    /// The address of the port that speaks TLS.
    pub(crate) fn tls_url(&self) -> String {
        format!("rediss://localhost:{}", self.tls_port())
    }

    fn tls_port(&self) -> u16 {
        self.tls_port.expect("a server with TLS")
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills the process: what it knew is lost.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it was killed");
    }

    /// Makes the server a replica of another one, and waits until it has all of its data.
    pub(crate) fn replicate(&self, primary: &Self) {
        self.command(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
        while !self.command(&["ROLE"]).contains("connected") {
            std::thread::yield_now();
        }
    }

    /// Starts a killed server again, on the same port: with what it has saved (`SAVE`), or empty.
    pub(crate) fn restart(&mut self) {
        let started = spawn(self.port, &self.settings, &self.directory);
        self.process = started.expect("Redis starts");
    }

    /// Stops the process where it is; the kernel still accepts connections for it.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status();
        assert!(status.expect("kill is installed").success());
    }

    /// Sends a command on a connection of its own, and returns the answer as text.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(words).output();
        let output = output.expect("redis-cli is installed");
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).expect("the answer is text").trim().to_owned()
    }
}

/// The address of a server that the tests of this process share; it stops with the process.
pub(crate) fn shared_url() -> &'static str {
    static SERVER: OnceLock<(String, Child)> = OnceLock::new();
    let serve = format!("{}/tests/redis_server/serve", env!("CARGO_MANIFEST_DIR"));
    let start = || {
        let mut ports = std::iter::repeat_with(free_port).take(ATTEMPTS);
        let started = ports.find_map(|port| {
            let port = port.to_string();
            // Its input is closed when this process exits, even by a signal.
            let process = ready(Command::new(&serve).arg(&port).stdin(Stdio::piped()))?;
            Some((format!("redis://127.0.0.1:{port}"), process))
        });
        started.expect("Redis starts")
    };
    &SERVER.get_or_init(start).0
}

/// On how many ports a server is started until one stays free.
const ATTEMPTS: usize = 10;

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// The server under test, such as `valkey-server`.
fn server_program() -> String {
    std::env::var("TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

/// Starts a server.
fn spawn(port: u16, settings: &[String], directory: &TemporaryDirectory) -> Option<Child> {
    let mut server = Command::new(server_program());
    server.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    server.args(["--save", "", "--appendonly", "no", "--dir", directory.path()]);
    ready(server.args(settings))
}

/// Waits until a server accepts connections. `None` if it stops before. What it writes to its log
/// afterwards is read as well: it stops where nobody does.
fn ready(server: &mut Command) -> Option<Child> {
    let mut process = server
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server is installed: Debian's `redis-server`, or run tests/run");
    let mut log = BufReader::new(process.stdout.take().expect("it is piped"));
    let mut line = String::new();
    while !line.contains("Ready to accept connections") {
        line.clear();
        if log.read_line(&mut line).expect("the log is text") == 0 {
            process.wait().expect("it has stopped");
            return None;
        }
    }
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    Some(process)
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
