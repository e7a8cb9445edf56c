//! Tests of the SQL store alone; tests of every store are in `tests/stores`.

mod adoption;
mod app_pool;
mod claims;
#[cfg(feature = "postgres")]
mod clocks;
mod cost;
mod crash;
mod data_loss;
mod database;
mod exchanges;
#[cfg(feature = "postgres")]
mod failover;
mod folding;
mod lists;
mod logs;
mod migrate;
mod nodes;
mod order;
mod outage;
#[cfg(feature = "postgres")]
mod pooler;
#[cfg(feature = "postgres")]
#[path = "../../../tests/postgres_server/mod.rs"]
mod postgres_server;
#[cfg(feature = "postgres")]
mod primary_address;
#[cfg(feature = "postgres")]
mod push;
mod restart;
mod revocations_together;
#[cfg(feature = "postgres")]
mod server_outage;
mod session_limit;
#[cfg(feature = "postgres")]
mod standby;
mod streams;
#[cfg(feature = "postgres")]
mod user_load;

use std::{path::PathBuf, time::Duration};

use super::{
    SqlStore,
    connect::{Settings, Source},
    database::Database,
    value::Args,
};
use crate::{
    audit::{AuditEvent, AuditRecord, AuditSubject},
    clock::{Clock, ManualClock},
    identity::{Scope, Scopes, SessionKeys, StoreKey},
    maybe_ready::StoreError,
    store::{
        BulkRevocation, Exempt, LifecycleQueries as _, LifecycleStore as _, RefreshQuery,
        RevocationCutoff, Rotation, SessionRecord, SignIn, SuccessorIds, TokenExchange, Tombstone,
        Touch,
        node::{GRACE, SharedStore as _},
    },
    time::Timestamp,
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const IDLE: Duration = Duration::from_secs(600);
const INTERVAL: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(86_400);
const SYNC: Duration = Duration::from_secs(1);

/// An empty database, removed at the end of its test.
struct TestDatabase {
    address: String,
    file: Option<PathBuf>,
    /// The address of Postgres, and the schema there.
    schema: Option<(String, String)>,
}

impl TestDatabase {
    /// One of each kind: a SQLite file, and a schema in Postgres.
    #[cfg_attr(not(feature = "postgres"), expect(clippy::unused_async))]
    async fn all() -> Vec<Self> {
        let name = format!("tss_{}", uuid::Uuid::new_v4().simple());
        let mut databases = Vec::new();
        if cfg!(feature = "sqlite") {
            let file = std::env::temp_dir().join(format!("{name}.db"));
            let address = file.to_string_lossy().into_owned();
            databases.push(Self { address, file: Some(file), schema: None });
        }
        #[cfg(feature = "postgres")]
        {
            let base = postgres_server::url().to_owned();
            run(&base, format!("CREATE SCHEMA {name}")).await;
            let separator = if base.contains('?') { '&' } else { '?' };
            let address = format!("{base}{separator}options[search_path]={name}");
            databases.push(Self { address, file: None, schema: Some((base, name)) });
        }
        databases
    }

    /// A schema in Postgres.
    #[cfg(feature = "postgres")]
    async fn postgres() -> Self {
        let databases = Self::all().await;
        databases.into_iter().find(|database| database.schema.is_some()).expect("one of each kind")
    }

    /// A node on the migrated database.
    async fn node(&self, clock: &(impl Clock + Clone)) -> SqlStore {
        let store = self.unmigrated_node(clock).await;
        store.migrate().await.expect("the migration succeeds");
        store
    }

    async fn unmigrated_node(&self, clock: &(impl Clock + Clone)) -> SqlStore {
        let store = SqlStore::at(&self.address).clock(clock.clone()).sync_interval(SYNC);
        store.connect().await.expect("the database is reachable")
    }

    async fn run(&self, sql: &str) {
        run(&self.address, sql.to_owned()).await;
    }

    /// Makes every write of an activity fail.
    async fn refuse_writes(&self) {
        if self.file.is_some() {
            let refuse = "BEGIN SELECT RAISE(ABORT, 'refused'); END";
            for event in ["INSERT", "UPDATE"] {
                let on = format!("CREATE TRIGGER refuse_{event} BEFORE {event} ON tss_sessions");
                self.run(&format!("{on} {refuse}")).await;
            }
        } else {
            self.run(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'refused'; END $$",
            )
            .await;
            let on = "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON tss_sessions";
            self.run(&format!("{on} FOR EACH ROW EXECUTE FUNCTION refuse()")).await;
        }
    }

    async fn permit_writes(&self) {
        let drop: &[&str] = if self.file.is_some() {
            &["DROP TRIGGER refuse_INSERT", "DROP TRIGGER refuse_UPDATE"]
        } else {
            &["DROP FUNCTION refuse CASCADE"]
        };
        for sql in drop {
            self.run(sql).await;
        }
    }

    async fn remove(self) {
        if let Some((base, schema)) = &self.schema {
            run(base, format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(file) = &self.file else { return };
        for ending in ["", "-wal", "-shm"] {
            drop(std::fs::remove_file(format!("{}{ending}", file.display())));
        }
    }
}

async fn run(address: &str, sql: String) {
    #[cfg(feature = "postgres")]
    if address.starts_with("postgres://") {
        use sqlx::Connection as _;
        let mut server = sqlx::PgConnection::connect(address).await.expect("it is reachable");
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut server).await;
        done.expect("the statement succeeds");
        return server.close().await.expect("the connection closes");
    }
    let database =
        Database::connect(Source::Address(address.to_owned()), Settings::default(), None).await;
    let database = database.map_err(StoreError::from).expect("the database is reachable");
    let done = database.execute(sql, Args::new()).await.map_err(StoreError::from);
    done.expect("the statement succeeds");
    database.close().await;
}

fn clock() -> ManualClock {
    ManualClock::new(NOW)
}

fn scopes() -> Scopes {
    Scopes::new(None, Some("acme"), "ada")
}

fn key(sid: &str) -> StoreKey {
    StoreKey::session(None, sid)
}

fn keys(sid: &str) -> SessionKeys {
    SessionKeys::new(key(sid), scopes().user)
}

fn record(sid: &str) -> SessionRecord {
    SessionRecord {
        key: key(sid),
        sid: sid.to_owned(),
        sub: "ada".to_owned(),
        tenant: Some("acme".to_owned()),
        profile: None,
        scopes: scopes(),
        auth_time: NOW,
        epoch: NOW,
        idle: IDLE,
        ends_at: NOW + DAY,
        is_adopted: false,
        last_seen: NOW,
        label: None,
    }
}

fn audit(event: &str) -> AuditRecord {
    let subject = AuditSubject::from_scope(Scope::User(scopes().user));
    AuditRecord::new(NOW, AuditEvent::from_stored(event, "{}"), subject)
}

fn tombstone(session: StoreKey, until: Timestamp) -> Tombstone {
    Tombstone::new(session, NOW, until)
}

fn touch(now: Timestamp) -> Touch {
    Touch::new(now, NOW, IDLE)
}

fn query(sid: &str) -> RefreshQuery {
    RefreshQuery::new(key(sid), NOW, scopes())
}

fn exchange(id: &str) -> TokenExchange {
    let successors = SuccessorIds { access: format!("access {id}"), refresh: id.to_owned() };
    TokenExchange { at: NOW, successors: Some(successors) }
}

/// The exchange of the token of `generation` for the successors `id`.
fn rotation(sid: &str, generation: u32, id: &str) -> Rotation {
    let (query, exchange, record) = (query(sid), exchange(id), record(sid));
    Rotation { query, generation, exchange, is_activity: true, record }
}

fn of_user(exempt: Exempt) -> BulkRevocation {
    let scope = Scope::User(scopes().user);
    let event = AuditEvent::SessionsRevokedBulk { scope: scope.kind(), revoked_count: 0 };
    let audit = AuditRecord::new(NOW, event, AuditSubject::from_scope(scope));
    let cutoff = RevocationCutoff::new(NOW, NOW + DAY);
    BulkRevocation { exempt, ..BulkRevocation::new(scope, NOW, cutoff, audit) }
}

async fn begin(store: &SqlStore, sid: &str) -> Timestamp {
    let begun = store.begin(SignIn::new(record(sid), audit("session_started"))).await;
    begun.expect("the store answers").begun().expect("there is no limit").epoch
}
