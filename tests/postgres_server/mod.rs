//! A real Postgres for the tests: the server at `TEST_POSTGRES_URL`, or one that is started here
//! and stops with this process.

#![allow(dead_code, reason = "each test crate uses its part")]

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Command, Stdio},
    sync::OnceLock,
};

/// The address of the server. Panics if there is none: no test is skipped.
pub(crate) fn url() -> &'static str {
    static SERVER: OnceLock<(String, Option<Server>)> = OnceLock::new();
    &SERVER
        .get_or_init(|| {
            if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
                return (url, None);
            }
            let server = Server::start();
            (server.url.clone(), Some(server))
        })
        .0
}

/// A server of one test alone; it stops when this is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    output: BufReader<ChildStdout>,
    process: Child,
}

impl Server {
    pub(crate) fn start() -> Self {
        let serve = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres_server/serve");
        // The script stops when its input is closed: when this process exits, even by a signal.
        let mut process = Command::new(serve)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/postgres_server/serve starts");
        let output = BufReader::new(process.stdout.take().expect("its output is piped"));
        let mut server = Self { url: String::new(), output, process };
        server.wait_until_ready();
        server
    }

    /// Restarts it as a standby: in recovery, and read-only.
    pub(crate) fn demote(&mut self) {
        let input = self.process.stdin.as_mut().expect("its input is piped");
        input.write_all(b"demote\n").expect("the script reads its input");
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let mut said = String::new();
        self.output.read_line(&mut said).expect("its output is text");
        assert!(said.starts_with("postgres://"), "no Postgres: install Debian's `postgresql`");
        self.url = said.trim_end().to_owned();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        drop(self.process.wait());
    }
}

/// The address of a new, empty schema.
pub(crate) fn schema() -> String {
    let (url, name) = (url(), format!("test_{}", uuid::Uuid::new_v4().simple()));
    let created = Command::new("psql")
        .args([url, "--quiet", "--command", &format!("CREATE SCHEMA {name}")])
        .status()
        .expect("psql comes with Postgres");
    assert!(created.success(), "the schema is created");
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}options[search_path]={name}")
}
