//! Deployment: which store, what it survives, and what its server needs.
//!
//! # Which store
//!
//! | you run | use |
//! |---|---|
//! | one process; a restart may forget who has signed out | [`MemoryStore`](crate::store::MemoryStore), the default |
//! | processes on one machine | [`SqlStore`](crate::store::SqlStore) on a SQLite file (feature `sqlite`) |
//! | several machines, and revocations must outlive every failure | `SqlStore` on Postgres (feature `postgres`) |
//! | several machines with a Redis or Valkey at hand | `RedisStore` (feature `redis`), with its limits below |
//!
//! The limiter of renewals is chosen by itself: `RedisLimiter` with any store.
//! `cargo run --example cluster --features redis` shows four nodes and what each sees.
//!
//! A revocation is pushed to the other nodes: 99 of 100 are rejected everywhere, and their streams end, within
//! 25 ms (Redis 9 ms, a cluster 13 ms, Postgres 24 ms; four nodes on one machine with two cores). Where
//! nothing is pushed it takes the `sync_interval`, 1 s.
//!
//! # What survives what
//!
//! | event | memory | SQLite, Postgres | Redis |
//! |---|---|---|---|
//! | a node restarts | sessions are judged by their tokens, revocations are lost | nothing is lost but the activity of a touch interval | the same |
//! | the server stops and starts with its data | | as an outage ([`several_nodes`](super::several_nodes)) | the same, with `appendonly yes` |
//! | the server starts without its data, or with old data | | never, with durable storage | active sessions go on by their tokens. The nodes that run write back the revocations and account policies that they know |
//! | a replica takes over that lacks the last writes | | nothing is lost with synchronous replication | the same; and each revocation is written once more after 30 s. Where [`wait_for_replicas`](crate::store::RedisStoreBuilder::wait_for_replicas) is set, a revocation is answered when replicas have it |
//! | the server has lost its data, and no node runs | | never, with durable storage | **revocations are lost**, unless [`OnDataLoss::EndAll`](#when-the-store-loses-data) is set |
//!
//! So where a revoked session must stay revoked through any failure, keep sessions in Postgres. A token is
//! valid for its [`token_lifetime`](crate::policy::PolicyBuilder::token_lifetime) at most, which bounds what
//! a lost revocation of an access token costs.
//!
//! # Redis and Valkey
//!
//! | setting of the server | why |
//! |---|---|
//! | Redis 7.0 or Valkey 7.2 at least, with scripts | each step is one script; a service that forbids them cannot serve, and says so at the first call |
//! | `maxmemory-policy noeviction` | another policy removes tombstones: ended sessions would be admitted. The store warns at the start |
//! | `appendonly yes` | without it a restart loses all sessions. The store warns at the start |
//! | `cluster-require-full-coverage no` | otherwise one lost primary is a loss of all users |
//! | rights: `+@read +@write +@scripting +@connection +info +time`, on `~tss:*`, in a cluster `+cluster\|slots`, with `wait_for_replicas` `+wait` | `CONFIG` is not needed; without one of them `connect` fails and names them |
//!
//! The tests run with Redis 7.0.15, alone and as a cluster; those of the stores, of Redis and of four nodes
//! have passed with Valkey 8.0.1, too.
//!
//! Keys begin with the namespace of the builder, `tss` unless you set another; services that
//! share a server each need one. A session takes at most 450 bytes, one with an account 600: plan 0.6 GB for
//! a million, and twice that while the server writes its log anew. The key table of
//! [`RedisStore`](crate::store::RedisStore) says what each part takes. A list of all sessions and an audit log
//! in Redis are settings, off by default; every audit record goes to the sinks in any case. A node opens one
//! connection for commands and one on which changes are pushed; on a cluster both to each primary.
//!
//! ## When the store loses data
//!
//! A server that restarts without its log, an old copy of its data, `FLUSHALL`, a replica that takes over and
//! lacks writes, keys that were evicted: each node notices by itself, by the random id of the store, by its
//! position in the feed of changes, and by the identity of the server behind each new connection. It then
//! reads everything again and writes back what it knows and Redis lacks: tombstones, cutoffs, exemptions,
//! numbers of claims and account policies. It knows what it has heard of since it started, and the endings
//! among the last 100,000 changes before. It holds at most 1,088 tombstones of a user and some million in
//! all. Other nodes hear of what is written back at once. Where data may be lost and the position in the feed
//! is right, as after a failover, a node compares what it holds with Redis in the background. What it cannot
//! write, such as the tombstones of users on a lost primary, holds up no other user; it tries that again after
//! 30 s.
//!
//! Meanwhile refreshes get a 503: while the node compares, and for two `sync_interval`s after a loss was found,
//! so that the revocations are there first. Of each session whose refresh token a node has exchanged it holds the
//! last exchange and the record, at most 64 of a user and 262,144 in all: it writes them back last, in the
//! background. So a refresh token that was used before the loss is found to be used after it, an answer that
//! was lost is repeated, and lists have these sessions again. Requests go on: of a session that Redis does not know, or whose last activity it may have
//! lost, the token tells until when it may have been active, so nobody is signed out. A node that starts on a
//! Redis that was empty until just now waits in `connect` for two intervals and half a second, 10 s at most, and
//! then until no other node writes back, for a minute at most: those that remember are first.
//!
//! The same holds for Postgres and SQLite: an older copy that is restored while nodes run, tables that are made
//! anew, and a standby that takes over without the last commits are found by the id of the tables, by the
//! position in the feed and by the last change that a node has read. What a copy lacks that was restored while
//! no node ran, nobody can know: revoke everything after it, or accept the sessions that had ended since.
//!
//! If no node runs that remembers, an empty Redis looks like the first start of the app. What then becomes of
//! tokens from before, the builder's `on_data_loss` says: `OnDataLoss::Trust`, the default, lets them in until
//! they expire; `OnDataLoss::EndAll` ends every session that began before, also at a first start.
//!
//! ## Sizing
//!
//! A node sends one script for each session and touch interval (a sixtieth of the idle timeout, at most a
//! minute), one each second to read changes, and some six a second to wait for them. A session whose
//! requests go to several nodes is written by each of them: at most one script a request. So for a million
//! users who are active at the same time, on twenty nodes:
//!
//! | idle timeout | scripts a second, each user on one node | of one core of the server | memory |
//! |---|---|---|---|
//! | 20 minutes | 50,000 and 140 of the nodes | 0.35 | 0.45 GB, 0.6 GB with accounts |
//! | an hour or more | 16,700 and 140 of the nodes | 0.12 | the same |
//!
//! Checked against four nodes over one Redis 7.0 with 4,000 users who each send a request a second and a
//! touch interval of five seconds (`cargo bench --bench redis --features redis`): 807 scripts a second of
//! 7 microseconds each where each user stays on one node, as computed; 4,005 where each request goes to the
//! next node. Let the load balancer keep a user on a node, or divide the users over a cluster.
//!
//! # Postgres
//!
//! A node opens at most ten connections and one to listen on. Behind a transaction pooler set
//! [`pooler(true)`](crate::store::SqlStoreBuilder::pooler), and name the server itself with
//! [`listen_address`](crate::store::SqlStoreBuilder::listen_address): a pooler delivers no notifications, and
//! without them a revocation reaches other nodes within the `sync_interval` (1 s).
//!
//! # Clocks
//!
//! Nodes may differ from the store's clock by `max_clock_skew` (5 s). One that differs more answers as in an
//! outage until its clock is right, and harms nobody else. Run NTP or chrony on every machine.
//!
//! # A server that fails
//!
//! A node stops asking a server after three calls in a row that were refused or lost their connection, or
//! after two seconds in which no call got an answer within 240 ms, and a single Redis server at once when its connection is lost. From then
//! on its requests are answered at once, by the failure policy of each check. Every 100 to 250 ms the node opens
//! a new connection, and every 450 to 600 ms while an earlier one waits; when a server answers on it that
//! can be written to, it asks again. In a Redis cluster this goes by primary: users of another one notice
//! nothing. The metric
//! [`STORE_BREAKER_OPEN`](crate::metrics::STORE_BREAKER_OPEN) shows it. A server that takes 200 ms for
//! each answer is slow, and is asked; a request that needs two answers of it gets a 503. Calls that wait for a
//! connection because all of the pool are in use do not count, as long as the server answers others.
//!
//! # Overload
//!
//! A request that needs an answer of the store waits 250 ms for it, a sign-in, refresh or sign-out 5 s; then
//! the answer is 503 with `Retry-After`, never a 401. Requests of sessions that the node knows need no
//! answer, so they go on. Clients repeat a 503 and stay signed in ([`client`](super::client)).
//!
//! On Postgres a sign-in, refresh or sign-out waits at most 2 s of these for a connection. Where the log says
//! "no connection to the database in time", set a larger
//! [`pool_size`](crate::store::SqlStoreBuilder::pool_size).
