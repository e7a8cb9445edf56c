//! A Redis cluster of one test.

use std::process::Command;

use super::{RedisServer, temporary_directory::TemporaryDirectory};

/// Three primaries and a replica of each.
pub(crate) struct RedisCluster {
    servers: Vec<RedisServer>,
    _directory: TemporaryDirectory,
}

const PRIMARIES: usize = 3;

impl RedisCluster {
    /// Starts a cluster that replaces a lost primary after a second.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a cluster of servers with further settings.
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        let start = |of_all: &[&str]| RedisServer::start_with(&[of_all, settings].concat());
        Self::create(&[], start, |server| server.port)
    }

    /// Starts a cluster that speaks TLS alone to its clients and between its servers, and whose servers name
    /// each other `localhost`.
    pub(crate) fn start_with_tls(certificate: &str, key: &str) -> Self {
        let tls = [
            "--tls-cluster",
            "yes",
            "--tls-replication",
            "yes",
            "--cluster-announce-hostname",
            "localhost",
            "--cluster-preferred-endpoint-type",
            "hostname",
        ];
        let start = |settings: &[&str]| {
            RedisServer::start_with_tls(certificate, key, &[settings, &tls].concat())
        };
        Self::create(&["--tls", "--insecure"], start, RedisServer::tls_port)
    }

    fn create(
        of_client: &[&str],
        start: impl Fn(&[&str]) -> RedisServer,
        port: impl Fn(&RedisServer) -> u16,
    ) -> Self {
        let directory = TemporaryDirectory::new();
        let servers: Vec<_> = (0..2 * PRIMARIES)
            .map(|number| {
                start(&[
                    "--cluster-enabled",
                    "yes",
                    "--cluster-config-file",
                    &directory.file(&number.to_string()),
                    "--cluster-node-timeout",
                    "1000",
                    "--cluster-require-full-coverage",
                    "no",
                    "--repl-diskless-sync-delay",
                    "0",
                ])
            })
            .collect();
        let nodes = servers.iter().map(|server| format!("127.0.0.1:{}", port(server)));
        let created = Command::new("redis-cli")
            .args(of_client)
            .args(["--cluster", "create"])
            .args(nodes)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .expect("redis-cli is installed");
        assert!(created.status.success(), "{created:?}");
        let cluster = Self { servers, _directory: directory };
        cluster.wait_for_replicas();
        cluster
    }

    pub(crate) fn tls_urls(&self) -> Vec<String> {
        self.servers.iter().map(RedisServer::tls_url).collect()
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.servers.iter().map(RedisServer::url).collect()
    }

    pub(crate) fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// A server that is a primary now.
    pub(crate) fn primary(&mut self) -> &mut RedisServer {
        let primary = |server: &&mut RedisServer| server.command(&["ROLE"]).starts_with("master");
        self.servers.iter_mut().find(primary).expect("there are primaries")
    }

    /// A primary of which this holds.
    pub(crate) fn primary_that(
        &mut self,
        holds: impl Fn(&RedisServer) -> bool,
    ) -> &mut RedisServer {
        let is_primary = |server: &RedisServer| server.command(&["ROLE"]).starts_with("master");
        let found = self.servers.iter_mut().find(|server| is_primary(server) && holds(server));
        found.expect("there is such a primary")
    }

    /// Cuts the replica of a primary off, of which this holds: it gets no more writes.
    pub(crate) fn cut_off_replica_of(&mut self, holds: impl Fn(&RedisServer) -> bool) {
        let primary = self.primary_that(holds);
        primary.command(&["ACL", "SETUSER", "default", "-psync", "-sync"]);
        primary.command(&["CLIENT", "KILL", "TYPE", "replica"]);
        while !primary.command(&["INFO", "replication"]).contains("connected_slaves:0") {
            std::thread::yield_now();
        }
    }

    /// Kills a primary, of which this holds, and lets its replica take its place, whatever that lacks.
    /// Returns how many keys each of them has.
    pub(crate) fn replace_primary_that(
        &mut self,
        holds: impl Fn(&RedisServer) -> bool,
    ) -> [usize; 2] {
        let keys =
            |server: &RedisServer| server.command(&["DBSIZE"]).parse().expect("the number of keys");
        let primary = self.primary_that(holds);
        let replicates = format!("myself,slave {}", primary.command(&["CLUSTER", "MYID"]));
        let (port, before) = (primary.port, keys(primary));
        primary.kill();
        let others = self.servers.iter().filter(|server| server.port != port);
        let is_replica =
            |server: &&RedisServer| server.command(&["CLUSTER", "NODES"]).contains(&replicates);
        let replica = others.into_iter().find(is_replica).expect("each primary has one");
        let after = keys(replica);
        assert_eq!(replica.command(&["CLUSTER", "FAILOVER", "TAKEOVER"]), "OK");
        while !replica.command(&["ROLE"]).starts_with("master") {
            std::thread::yield_now();
        }
        [before, after]
    }

    /// Lets the replica of the primary at `url` take its place, which becomes a replica. Returns the address
    /// of the new primary.
    pub(crate) fn promote_replica_of(&self, url: &str) -> String {
        let primary = self.servers.iter().find(|server| server.url() == url);
        let primary = primary.expect("it is of the cluster");
        let id = primary.command(&["CLUSTER", "MYID"]);
        let is_replica = |server: &&RedisServer| {
            let nodes = server.command(&["CLUSTER", "NODES"]);
            nodes.lines().any(|line| line.contains("myself,slave") && line.contains(&id))
        };
        let replica = self.servers.iter().find(is_replica).expect("each primary has one");
        assert_eq!(replica.command(&["CLUSTER", "FAILOVER", "TAKEOVER"]), "OK");
        while !primary.command(&["ROLE"]).starts_with("slave") {
            std::thread::yield_now();
        }
        replica.url()
    }

    /// Kills a primary, of which this holds, and its replica, and lets another primary serve its slots, which
    /// has none of their keys.
    pub(crate) fn give_up_primary_that(&mut self, holds: impl Fn(&RedisServer) -> bool) {
        let primary = self.primary_that(holds);
        let (id, port) = (primary.command(&["CLUSTER", "MYID"]), primary.port);
        let nodes = primary.command(&["CLUSTER", "NODES"]);
        let own = nodes.lines().find(|line| line.starts_with(&id)).expect("it knows itself");
        let slots = own.rsplit(' ').next().expect("its slots").to_owned();
        let (begin, end) = slots.split_once('-').expect("they are one range");
        let is_lost = |server: &RedisServer| {
            let nodes = server.command(&["CLUSTER", "NODES"]);
            server.port == port || nodes.contains(&format!("myself,slave {id}"))
        };
        let lost: Vec<_> = self.servers.iter().map(is_lost).collect();
        for (server, _) in self.servers.iter_mut().zip(&lost).filter(|(_, is_lost)| **is_lost) {
            server.kill();
        }
        let left = || self.servers.iter().zip(&lost).filter(|(_, is_lost)| !**is_lost);
        for (server, _) in left() {
            server.command(&["CLUSTER", "DELSLOTSRANGE", begin, end]);
        }
        let is_primary =
            |(server, _): &(&RedisServer, _)| server.command(&["ROLE"]).starts_with("master");
        let (heir, _) = left().find(is_primary).expect("others are left");
        assert_eq!(heir.command(&["CLUSTER", "ADDSLOTSRANGE", begin, end]), "OK");
        heir.command(&["CLUSTER", "BUMPEPOCH"]);
        for (server, _) in left() {
            while server.command(&["CLUSTER", "COUNTKEYSINSLOT", begin]) != "0"
                || server
                    .command(&["CLUSTER", "NODES"])
                    .lines()
                    .any(|line| line.starts_with(&id) && line.contains(&slots))
            {
                std::thread::yield_now();
            }
        }
    }

    /// Waits until replicas have taken the place of primaries that are lost.
    pub(crate) fn wait_for_failover(&mut self) {
        // A replica at first, which runs.
        let witness = self.servers.last().expect("there are servers");
        let serves = |node: &&str| node.contains("master") && !node.contains("fail");
        while witness.command(&["CLUSTER", "NODES"]).lines().filter(serves).count() < PRIMARIES
            || !witness.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
        {
            std::thread::yield_now();
        }
    }

    /// Every server knows the whole cluster, and every replica is in step.
    fn wait_for_replicas(&self) {
        let is_ready = |server: &RedisServer| {
            let role = server.command(&["ROLE"]);
            let is_in_step = !role.starts_with("slave") || role.contains("connected");
            is_in_step && server.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
        };
        while !self.servers.iter().all(is_ready) {
            std::thread::yield_now();
        }
    }
}
