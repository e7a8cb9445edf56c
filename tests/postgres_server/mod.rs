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

/// The address of a `PgBouncer` in transaction mode in front of the server. Panics if it is not
/// installed.
pub(crate) fn pooler_url() -> &'static str {
    static POOLER: OnceLock<Server> = OnceLock::new();
    &POOLER.get_or_init(|| Server::start_script(Command::new(script("pgbouncer")).arg(url()))).url
}

/// The path of a script beside this file.
fn script(name: &str) -> String {
    format!("{}/tests/postgres_server/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A server that stops when this is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    output: BufReader<ChildStdout>,
    process: Child,
}

impl Server {
    /// A Postgres of one test alone.
    pub(crate) fn start() -> Self {
        Self::start_script(&mut Command::new(script("serve")))
    }

    /// A standby of the server at `url`, which replicates what that writes.
    pub(crate) fn start_standby(url: &str) -> Self {
        Self::start_script(Command::new(script("serve")).arg(url))
    }

    /// Runs a script, which stops when its input is closed: when this process exits, even by a
    /// signal.
    fn start_script(script: &mut Command) -> Self {
        let script = script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = script.spawn().expect("the script starts");
        let output = BufReader::new(process.stdout.take().expect("its output is piped"));
        let mut server = Self { url: String::new(), output, process };
        server.wait_until_ready();
        server
    }

    /// Restarts it as a standby: in recovery, and read-only.
    pub(crate) fn demote(&mut self) {
        self.command("demote");
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&mut self) {
        self.command("promote");
    }

    /// Stops its processes, as a machine that hangs; connections stay open.
    pub(crate) fn pause(&mut self) {
        self.command("pause");
    }

    pub(crate) fn resume(&mut self) {
        self.command("resume");
    }

    /// Kills its processes.
    pub(crate) fn kill(&mut self) {
        self.command("kill");
    }

    /// Starts it again after it was killed, at the same address.
    pub(crate) fn start_again(&mut self) {
        self.command("start");
    }

    /// Runs a statement.
    pub(crate) fn run(&self, sql: &str) {
        run(&self.url, sql);
    }

    fn command(&mut self, command: &str) {
        let input = self.process.stdin.as_mut().expect("its input is piped");
        input.write_all(format!("{command}\n").as_bytes()).expect("the script reads its input");
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let mut said = String::new();
        self.output.read_line(&mut said).expect("its output is text");
        let is_address = said.starts_with("postgres://");
        assert!(is_address, "install Debian's `postgresql` and `pgbouncer`, or run tests/run");
        self.url = said.trim_end().to_owned();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        drop(self.process.wait());
    }
}

/// Creates a schema, and returns its name.
pub(crate) fn new_schema() -> String {
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    run(url(), &format!("CREATE SCHEMA {name}"));
    name
}

fn run(url: &str, sql: &str) {
    let mut psql = Command::new("psql");
    let psql = psql.args([url, "--quiet", "--command", sql]).stdout(Stdio::null());
    assert!(psql.status().expect("psql comes with Postgres").success(), "{sql}");
}

/// The address of a new, empty schema.
pub(crate) fn schema() -> String {
    named_schema().0
}

/// The address of a new, empty schema, and its name.
pub(crate) fn named_schema() -> (String, String) {
    let (mark, name) = (if url().contains('?') { '&' } else { '?' }, new_schema());
    (format!("{}{mark}options[search_path]={name}", url()), name)
}
