//! Servers whose data is replaced by an older copy while nodes use them, by the tools of each.

use std::{
    fmt,
    process::{Command, Stdio},
};

use crate::{
    postgres_server,
    redis_server::{RedisServer, TemporaryDirectory},
};

/// A server of one test.
pub(crate) enum LossyServer {
    Redis(RedisServer),
    /// A copy is restored into the file, or takes its place.
    Sqlite {
        file: String,
        copies: TemporaryDirectory,
        is_replaced: bool,
    },
    Postgres {
        address: String,
        schema: String,
        copies: TemporaryDirectory,
    },
}

impl LossyServer {
    /// One of each kind, empty.
    pub(crate) fn all() -> Vec<Self> {
        let (address, schema) = postgres_server::named_schema();
        vec![
            Self::Redis(RedisServer::start()),
            Self::sqlite(false),
            Self::sqlite(true),
            Self::Postgres { address, schema, copies: TemporaryDirectory::new() },
        ]
    }

    /// A file.
    pub(crate) fn sqlite(is_replaced: bool) -> Self {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let file = format!("{}/{name}.db", env!("CARGO_TARGET_TMPDIR"));
        Self::Sqlite { file, copies: TemporaryDirectory::new(), is_replaced }
    }

    /// Makes a copy of what it has. A Redis has room for one.
    pub(crate) fn copy(&self, name: &str) {
        match self {
            Self::Redis(server) => {
                server.command(&["SAVE"]);
            }
            Self::Sqlite { file, copies, .. } => {
                run("sqlite3", &[file, &format!(".backup {}", copies.file(name))]);
            }
            Self::Postgres { schema, copies, .. } => {
                let (only, to) = (format!("--schema={schema}"), copies.file(name));
                let file = format!("--file={to}");
                run("pg_dump", &[postgres_server::url(), "--format=custom", &only, &file]);
            }
        }
    }

    /// Puts a copy in the place of what it has.
    pub(crate) fn restore(&mut self, name: &str) {
        match self {
            Self::Redis(server) => {
                server.kill();
                server.restart();
            }
            Self::Sqlite { file, copies, is_replaced: true } => {
                let beside = ["-wal", "-shm"].map(|ending| format!("{file}{ending}"));
                run("rm", &[file, &beside[0], &beside[1]]);
                run("cp", &[&copies.file(name), file]);
            }
            Self::Sqlite { file, copies, is_replaced: false } => {
                let restore = format!(".restore {}", copies.file(name));
                run("sqlite3", &[file, ".timeout 10000", &restore]);
            }
            Self::Postgres { copies, .. } => {
                let to = format!("--dbname={}", postgres_server::url());
                let clean = ["--clean", "--if-exists", "--single-transaction"];
                run("pg_restore", &[&clean[..], &[&to, &copies.file(name)]].concat());
            }
        }
    }

    /// Puts a copy in the place of the file of SQLite, and leaves the files beside it.
    pub(crate) fn replace_file_alone(&self, name: &str) {
        let Self::Sqlite { file, copies, .. } = self else { panic!("it has no file") };
        let copy = format!("{file}.copy");
        run("cp", &[&copies.file(name), &copy]);
        run("mv", &[&copy, file]);
    }

    /// Makes it as empty as it was when the copy `empty` was made.
    pub(crate) fn empty(&mut self) {
        if let Self::Redis(server) = self {
            server.command(&["FLUSHALL"]);
        } else {
            self.restore("empty");
        }
    }
}

impl fmt::Debug for LossyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis(_) => "Redis",
            Self::Sqlite { is_replaced: false, .. } => "SQLite",
            Self::Sqlite { is_replaced: true, .. } => "a SQLite file",
            Self::Postgres { .. } => "Postgres",
        })
    }
}

fn run(program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    let output = command.args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is not installed: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}
