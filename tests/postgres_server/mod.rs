//! A real Postgres for the tests: the server at `TEST_POSTGRES_URL`, or one that is started here
//! and stops with this process.

#![allow(dead_code, reason = "each test crate uses its part")]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

/// The address of the server. Panics if there is none: no test is skipped.
pub(crate) fn url() -> &'static str {
    static SERVER: OnceLock<(String, Option<Child>)> = OnceLock::new();
    &SERVER
        .get_or_init(|| match std::env::var("TEST_POSTGRES_URL") {
            Ok(url) => (url, None),
            Err(_) => start(),
        })
        .0
}

fn start() -> (String, Option<Child>) {
    let serve = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres_server/serve");
    // The script stops when its input is closed: when this process exits, even by a signal.
    let mut server = Command::new(serve)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tests/postgres_server/serve starts");
    let mut said = BufReader::new(server.stdout.take().expect("its output is piped"));
    let mut url = String::new();
    said.read_line(&mut url).expect("its output is text");
    assert!(url.starts_with("postgres://"), "no Postgres: install Debian's `postgresql`");
    (url.trim_end().to_owned(), Some(server))
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
