//! A script: one atomic step on the server.

use std::sync::OnceLock;

use redis::{Cmd, Script as Sha1, ToRedisArgs};

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
    pub(super) fn by_digest<K: ToRedisArgs, A: ToRedisArgs>(&self, keys: &[K], args: &[A]) -> Cmd {
        let digest = self.digest.get_or_init(|| Sha1::new(self.text).get_hash().to_owned());
        command("EVALSHA", digest, keys, args)
    }

    /// The command that loads the script and runs it.
    pub(super) fn by_text<K: ToRedisArgs, A: ToRedisArgs>(&self, keys: &[K], args: &[A]) -> Cmd {
        command("EVAL", self.text, keys, args)
    }
}

fn command<K: ToRedisArgs, A: ToRedisArgs>(
    name: &str,
    script: &str,
    keys: &[K],
    args: &[A],
) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(keys.len());
    for key in keys {
        command.arg(key);
    }
    for arg in args {
        command.arg(arg);
    }
    command
}
