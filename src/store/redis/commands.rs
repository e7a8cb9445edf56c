//! What is sent to a server in one piece.

use redis::{
    Arg, Cmd, Pipeline, RedisResult, Value,
    aio::{ConnectionLike as _, MultiplexedConnection},
};

/// One command, or several that are answered in their order.
#[derive(Clone, Copy)]
pub(super) enum Commands<'a> {
    One(&'a Cmd),
    InOrder(&'a Pipeline),
}

impl Commands<'_> {
    /// Several are answered with an array.
    pub(super) async fn send(self, mut link: MultiplexedConnection) -> RedisResult<Value> {
        match self {
            Self::One(command) => command.query_async(&mut link).await,
            Self::InOrder(commands) => Ok(Value::Array(of_all(&mut link, commands).await?)),
        }
    }

    /// Sends them to a node of a cluster that takes over their slot.
    pub(super) async fn send_to_importer(
        self,
        mut link: MultiplexedConnection,
    ) -> RedisResult<Value> {
        let mut asking = redis::pipe();
        let mut ask = |command: &Cmd| {
            // It holds for the next command alone.
            asking.cmd("ASKING").add_command(command.clone());
        };
        match self {
            Self::One(command) => ask(command),
            Self::InOrder(commands) => commands.cmd_iter().for_each(ask),
        }
        let answers = of_all(&mut link, &asking).await?.into_iter().skip(1).step_by(2);
        Ok(match self {
            Self::One(_) => answers.last().unwrap_or(Value::Nil),
            Self::InOrder(_) => Value::Array(answers.collect()),
        })
    }
}

/// Sends commands in one piece.
async fn of_all(link: &mut MultiplexedConnection, commands: &Pipeline) -> RedisResult<Vec<Value>> {
    let answers = link.req_packed_commands(commands, 0, commands.len()).await?;
    answers.into_iter().map(Value::extract_error).collect()
}

/// The first key of a command.
pub(super) fn key_of(command: &Cmd) -> Option<&[u8]> {
    let mut args = command.args_iter().map(|arg| match arg {
        Arg::Simple(arg) => arg,
        _ => b"",
    });
    match args.next()? {
        b"EVALSHA" | b"EVAL" => args.nth(2),
        b"XREAD" => args.find(|arg| *arg == b"STREAMS").and_then(|_| args.next()),
        _ => args.next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_command_is_found() {
        let key = |words: &[&str]| {
            let mut command = redis::cmd(words[0]);
            command.arg(&words[1..]);
            key_of(&command).map(|key| String::from_utf8_lossy(key).into_owned())
        };
        assert_eq!(key(&["GET", "a"]).as_deref(), Some("a"));
        assert_eq!(key(&["EVALSHA", "digest", "1", "a", "b"]).as_deref(), Some("a"));
        assert_eq!(key(&["EVAL", "text", "1", "a", "b"]).as_deref(), Some("a"));
        assert_eq!(key(&["XREAD", "COUNT", "1", "STREAMS", "a", "0"]).as_deref(), Some("a"));
        assert_eq!(key(&["PING"]), None);
    }
}
