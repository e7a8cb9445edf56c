//! A script: one atomic step on the server.

use std::sync::OnceLock;

use redis::{Cmd, Script as Sha1};

/// A Lua script, which the server knows by the SHA-1 of its text.
pub(super) struct Script {
    text: &'static str,
    digest: OnceLock<String>,
}

impl Script {
    pub(super) const fn new(text: &'static str) -> Self {
        Self { text, digest: OnceLock::new() }
    }

    /// The command that runs the script if the server has loaded it.
    pub(super) fn by_digest(&self, keys: &[String], args: &[i64]) -> Cmd {
        let digest = self.digest.get_or_init(|| Sha1::new(self.text).get_hash().to_owned());
        command("EVALSHA", digest, keys, args)
    }

    /// The command that loads the script and runs it.
    pub(super) fn by_text(&self, keys: &[String], args: &[i64]) -> Cmd {
        command("EVAL", self.text, keys, args)
    }
}

fn command(name: &str, script: &str, keys: &[String], args: &[i64]) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(keys.len()).arg(keys).arg(args);
    command
}
