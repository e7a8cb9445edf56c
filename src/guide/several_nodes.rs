//! Several nodes.
//!
//! With [`MemoryStore`](crate::store::MemoryStore), the default, each process knows its own
//! sessions, and a restart forgets them. With several processes, or to keep sign-outs through a
//! restart, use [`SqlStore`](crate::store::SqlStore) on Postgres (feature `postgres`), or `RedisStore`
//! (feature `redis`); [`deployment`](super::deployment) compares them. On SQLite
//! (feature `sqlite`) the processes are on one machine.
//!
//! Every node has the same keys, the same policies and the same database. Here two nodes share a
//! SQLite file; for Postgres only the address differs:
//!
//! ```
//! # #[cfg(feature = "sqlite")]
//! # mod with_sqlite {
//! use std::{error::Error, time::Duration};
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_sliding_session::{
//!     JwtKeys, ManualClock, Policy, Rejection, SlidingSessions, Timestamp, store::SqlStore,
//! };
//!
//! async fn node(address: &str, clock: &ManualClock) -> Result<SlidingSessions, Box<dyn Error>> {
//!     let store = SqlStore::at(address).clock(clock.clone()).connect().await?;
//!     store.migrate().await?;
//!     Ok(SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::long_lived())
//!         .lifecycle_store(store)
//!         .refresh_tokens()
//!         .clock(clock.clone())
//!         .build()?)
//! }
//!
//! async fn code(node: &SlidingSessions, token: &str) -> Result<Option<&'static str>, Box<dyn Error>> {
//!     let service = node.layer().layer(service_fn(async |_: Request<()>| {
//!         Ok::<_, std::convert::Infallible>(Response::new(()))
//!     }));
//!     let bearer = format!("Bearer {token}");
//!     let response =
//!         service.oneshot(Request::get("/").header("authorization", bearer).body(())?).await?;
//!     Ok(response.extensions().get::<Rejection>().map(Rejection::code))
//! }
//!
//! # pub async fn run() -> Result<(), Box<dyn Error>> {
//! # let file = std::env::temp_dir().join(format!("{}.db", uuid::Uuid::new_v4().simple()));
//! # let address = file.to_string_lossy().into_owned();
//! let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
//! let (first, second) = (node(&address, &clock).await?, node(&address, &clock).await?);
//!
//! let grant = first.start("ada").await?;
//! assert_eq!(code(&second, grant.access_token()).await?, None); // admitted by the other node
//!
//! first.revoke(grant.session_id()).await?;
//! assert_eq!(code(&first, grant.access_token()).await?, Some("session_revoked")); // at once
//! clock.advance(Duration::from_secs(4));
//! assert_eq!(code(&second, grant.access_token()).await?, Some("session_revoked"));
//! # drop((first, second));
//! # std::fs::remove_file(file)?;
//! # Ok(()) } }
//! # #[cfg(feature = "sqlite")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() { with_sqlite::run().await.unwrap() }
//! # #[cfg(not(feature = "sqlite"))]
//! # fn main() {}
//! ```
//!
//! # What reaches other nodes, and when
//!
//! | event | on this node | on other nodes |
//! |---|---|---|
//! | sign-out, revocation, account policy | when the call returns | at most `sync_interval` later (1 s) |
//! | a refresh token was used | when the call returns | when the call returns |
//! | activity | at once | after the next write: at most a touch interval and 0.2 s later |
//! | a key was rotated or removed | at once | each node has its own `JwtKeys`: call it on each |
//!
//! A node reads the changes of the others every
//! [`sync_interval`](crate::store::SqlStoreBuilder::sync_interval), and at once when Postgres pushes them:
//! each node listens on one more connection. A transaction pooler delivers no notifications; then the
//! log and [`describe`](crate::SlidingSessions::describe) say that nothing is pushed, until
//! [`listen_address`](crate::store::SqlStoreBuilder::listen_address) leads to the server itself. A node
//! whose last reading is older than three intervals admits nothing from its cache: it asks the database first.
//!
//! Each reading also compares the clock of the node with that of Postgres. If they are further apart
//! than the `max_clock_skew` of the policies, the node answers as in an outage and logs a warning,
//! until its clock is right: it would sign active users out, or keep sessions past their deadlines,
//! on all nodes. A clock that jumps between two readings makes the last one too old, so the next
//! request reads again.
//!
//! # What a request costs
//!
//! A request waits for one statement if its node has not read the session before, as after a
//! restart, and for none otherwise. Activity is written in the background, once per session and touch
//! interval (a sixtieth of the idle timeout, at most 60 s), many sessions in one statement. After a
//! crash a session may therefore expire earlier than it should, by at most that interval, never later.
//! A dead token costs no more than a live one: that its session has expired is asked once a second.
//!
//! Renewals are limited by a [`MemoryLimiter`](crate::store::MemoryLimiter) on each node: with three
//! nodes a session may be renewed three times in an interval. That is harmless, for a successor does
//! not invalidate its predecessor. `store::RedisLimiter` (feature `redis`) shares the limit: a request
//! whose token is due asks Redis or Valkey, one round trip; others do not. A cluster needs
//! `cluster-require-full-coverage no`, or one lost node is a loss of all. While Redis is lost, each node
//! limits by itself. Set `maxmemory-policy noeviction` there: other policies remove grants before
//! they expire. A [`RenewalLimiter`](crate::store::RenewalLimiter) of your own passes
//! `store::conformance` (feature `conformance`).
//!
//! # What an outage does
//!
//! | while the database does not answer | answer |
//! |---|---|
//! | a session that this node has in its cache, last reading less than three intervals ago | admitted |
//! | any other session | `store_unavailable` (503) after at most 250 ms |
//! | a token that is expired, forged or revoked as this node knows | 401, as ever |
//! | sign-in, refresh, sign-out | `store_unavailable` after at most 5 s; repeat it |
//!
//! An outage signs out nobody who goes on through it, even if it takes longer than the idle timeout: the
//! node remembers the requests of users and the refreshes that it answered with 503, and they count as
//! activity once the database answers again, those of all nodes together. Two limits of that:
//!
//! - An access token still ends at its `exp`: no token is renewed while the database does not answer.
//!   An outage that lasts until then ends in `token_expired`. With refresh tokens the client refreshes
//!   and goes on; without them its user signs in again, so either issue
//!   [refresh tokens](crate::sessions::SlidingSessionsBuilder::refresh_tokens), or choose a
//!   [token lifetime](crate::policy::PolicyBuilder::token_lifetime) whose second half is longer than the
//!   outages to be survived.
//! - The attempts are in the memory of the node that answered them, at most 16 runs of a session, until it
//!   writes them: within about a second after the database answers again, 16 sessions at a time, or at
//!   shutdown ([`SlidingSessions::flush`](crate::SlidingSessions::flush)). A node that is killed before
//!   forgets them.
//!
//! For ten seconds after an outage, other nodes may not have written what they know. A session that is idle
//! as far as the database knows, and was not when the outage began, is `store_unavailable` until then,
//! with the cause [`activity_unwritten`](crate::rejection::RejectionCause::ActivityUnwritten); so is one of
//! which this node has answered a request with 503 in the last ten seconds. A node that starts assumes that
//! an outage of a minute has just ended. A reading of the changes that takes longer than
//! a request waits, 250 ms, counts as an outage, too.
//!
//! If you would rather serve requests, set
//! [`OnStoreFailure::TrustToken`](crate::layers::activity::OnStoreFailure): tokens are then accepted
//! until their `exp` and not renewed, and a session that was revoked meanwhile is accepted too.
//!
//! # Operation
//!
//! - [`migrate`](crate::store::SqlStore::migrate) creates the tables (`tss_..`) or brings them up to
//!   date; several nodes may call it at once. Where they are up to date it sends nothing, so the role
//!   of the nodes may be one that reads and writes rows only.
//! - A node opens at most ten connections to Postgres
//!   ([`pool_size`](crate::store::SqlStoreBuilder::pool_size)); of one user two calls and one list
//!   are in flight, so nobody takes the connections of others.
//! - Behind `PgBouncer` in transaction mode set
//!   [`pooler(true)`](crate::store::SqlStoreBuilder::pooler). A pool that the app has already is used
//!   by [`SqlStore::from_pool`](crate::store::SqlStore::from_pool);
//!   [`schema`](crate::store::SqlStoreBuilder::schema) and
//!   [`table_prefix`](crate::store::SqlStoreBuilder::table_prefix) name the tables.
//! - After a failover the connections to a server that is read-only, a standby or shutting down are
//!   dropped, and no reading of it counts. The address must lead to the new primary.
//! - Expired rows are deleted in small steps in the background.
//! - At shutdown call [`SlidingSessions::flush`](crate::SlidingSessions::flush) for the activities and
//!   the log rows that wait to be written.
//! - Who can write to the database can make a session active: guard it like the signing key. Over a
//!   network add `?sslmode=verify-full` to the address.
