//! What a server says of itself, and whether it can serve.

use redis::Cmd;

/// The oldest Redis whose commands suffice; every Valkey has them.
const OLDEST: (u32, u32) = (7, 0);

/// The parts of `INFO` that matter. Works without rights to `CONFIG`.
pub(super) struct ServerInfo<'a>(&'a str);

impl<'a> ServerInfo<'a> {
    const SECTIONS: [&'static str; 6] =
        ["server", "replication", "memory", "persistence", "stats", "commandstats"];

    /// The command that asks for it.
    pub(super) fn command() -> Cmd {
        let mut info = redis::cmd("INFO");
        info.arg(&Self::SECTIONS);
        info
    }

    pub(super) fn new(info: &'a str) -> Self {
        Self(info)
    }

    /// Why the server cannot serve; `None` if it can.
    pub(super) fn unfit(&self) -> Option<&'static str> {
        if self.field("role") != Some("master") {
            return Some("Redis is a replica: connect to the primary");
        }
        if self.field("server_name") != Some("valkey") && self.version() < Some(OLDEST) {
            return Some("Redis is older than 7.0");
        }
        None
    }

    /// Whether the server removes keys when its memory is full, before they expire: grants,
    /// tombstones and records among them.
    pub(super) fn evicts(&self) -> bool {
        self.field("maxmemory").is_some_and(|limit| limit != "0")
            && self.field("maxmemory_policy").is_some_and(|policy| policy != "noeviction")
    }

    /// Whether the server writes every command to its disk, so that a restart loses nothing that it has
    /// answered, but for the last second before a power failure.
    pub(super) fn is_persistent(&self) -> bool {
        self.field("aof_enabled") == Some("1")
    }

    /// The server's clock, in milliseconds since 1970.
    pub(super) fn time(&self) -> Option<i64> {
        let micros: i64 = self.field("server_time_usec")?.parse().ok()?;
        Some(micros / 1000)
    }

    /// A random name, another one after each start.
    fn run_id(&self) -> Option<&'a str> {
        self.field("run_id")
    }

    /// How many keys the server has removed since its start because its memory was full.
    fn evicted_keys(&self) -> u64 {
        self.field("evicted_keys").and_then(|count| count.parse().ok()).unwrap_or_default()
    }

    /// How often all keys of a database were removed since the server's start.
    fn flushes(&self) -> u64 {
        let calls = |command| {
            let calls = self.field(command)?.strip_prefix("calls=")?;
            calls.split(',').next()?.parse::<u64>().ok()
        };
        ["cmdstat_flushall", "cmdstat_flushdb"].into_iter().filter_map(calls).sum()
    }

    fn version(&self) -> Option<(u32, u32)> {
        let mut parts = self.field("redis_version")?.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }

    fn field(&self, name: &str) -> Option<&'a str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    }
}

/// What tells whether a server has lost data since it was looked at before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerState {
    /// Another one after a restart.
    pub(super) run_id: String,
    pub(super) evicted_keys: u64,
    pub(super) flushes: u64,
    /// Whether it writes every command to its disk.
    pub(super) is_persistent: bool,
}

impl ServerState {
    pub(super) fn new(info: &ServerInfo<'_>) -> Self {
        Self {
            run_id: info.run_id().unwrap_or_default().to_owned(),
            evicted_keys: info.evicted_keys(),
            flushes: info.flushes(),
            is_persistent: info.is_persistent(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ServerInfo;

    fn unfit(info: &str) -> Option<&'static str> {
        ServerInfo::new(info).unfit()
    }

    #[test]
    fn a_replica_and_an_old_server_cannot_serve() {
        let old = "Redis is older than 7.0";
        assert_eq!(unfit("redis_version:7.0.15\r\nrole:master\r\n"), None);
        assert_eq!(unfit("redis_version:8.2.1\r\nrole:master\r\n"), None);
        assert_eq!(unfit("redis_version:6.2.14\r\nrole:master\r\n"), Some(old));
        assert_eq!(unfit("role:master\r\n"), Some(old));
        assert!(unfit("redis_version:7.0.15\r\nrole:slave\r\n").is_some());
        // Valkey names the version of Redis that it is compatible with.
        let valkey = "server_name:valkey\r\nredis_version:7.2.4\r\nrole:master\r\n";
        assert_eq!(unfit(valkey), None);
    }

    #[test]
    fn a_server_that_evicts_is_noticed() {
        let evicts = |info| ServerInfo::new(info).evicts();
        assert!(!evicts("maxmemory:0\r\nmaxmemory_policy:volatile-lru\r\n"));
        assert!(!evicts("maxmemory:9\r\nmaxmemory_policy:noeviction\r\n"));
        assert!(evicts("maxmemory:9\r\nmaxmemory_policy:volatile-lru\r\n"));
    }

    #[test]
    fn a_server_that_forgets_at_a_restart_is_noticed() {
        assert!(ServerInfo::new("aof_enabled:1\r\n").is_persistent());
        assert!(!ServerInfo::new("aof_enabled:0\r\n").is_persistent());
    }
}
