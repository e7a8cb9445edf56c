//! What a session costs in the server's memory.

use uuid::Uuid;

use super::*;
use crate::{
    audit::{AuditEvent, AuditRecord, AuditSubject},
    clock::ManualClock,
    identity::{Scopes, SessionKeys},
    store::{LifecycleStore as _, SessionLabel, SessionRecord, SignIn},
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const IDLE: Duration = Duration::from_secs(20 * 60);
const DAY: Duration = Duration::from_secs(86_400);

/// The limit for a session, with all that a sign-in writes by default.
const MOST_BYTES: u64 = 450;

const SESSIONS: u64 = 20_000;

/// How many sign-ins are in flight.
const TASKS: u64 = 16;

/// A session of a user of its own, whose name and `sid` are random as those of most services.
fn record(tenant: Option<&str>, label: Option<&SessionLabel>) -> SessionRecord {
    let (sid, sub) = (Uuid::new_v4().simple().to_string(), Uuid::new_v4().to_string());
    let iss = Some("https://id.example.com");
    let (key, scopes) = (StoreKey::session(iss, &sid), Scopes::new(iss, tenant, &sub));
    SessionRecord {
        tenant: tenant.map(str::to_owned),
        label: label.cloned(),
        ..SessionRecord::new(key, sid, sub, scopes, NOW, IDLE, NOW + DAY)
    }
}

fn sign_in(record: SessionRecord) -> SignIn {
    let subject = AuditSubject::from_session(record.key, &record.scopes);
    SignIn::new(record, AuditRecord::new(NOW, AuditEvent::SessionStarted, subject))
}

fn used(server: &RedisServer) -> u64 {
    let info = server.command(&["INFO", "memory"]);
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    used.expect("the server says so").trim().parse().expect("a number")
}

async fn sign_in_all(store: &RedisStore, sessions: u64, record: fn() -> SessionRecord) {
    let tasks = (0..TASKS).map(|_| {
        let (store, count) = (store.clone(), sessions / TASKS);
        tokio::spawn(async move {
            for _ in 0..count {
                store.begin(sign_in(record())).await.expect("it begins");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("it signs in");
    }
}

/// The bytes that the server uses for a session of this kind.
async fn bytes_per_session(
    settings: fn(RedisStoreBuilder) -> RedisStoreBuilder,
    record: fn() -> SessionRecord,
    sessions: u64,
) -> (RedisServer, u64) {
    let server = RedisServer::start();
    let store = settings(RedisStore::at(server.url()).time_limit(BOUND));
    let store = store.clock(ManualClock::new(NOW)).connect().await.expect("the server runs");
    // Connections and scripts have their buffers before it is measured.
    sign_in_all(&store, TASKS, record).await;
    let before = used(&server);
    sign_in_all(&store, sessions, record).await;
    let bytes = (used(&server) - before) / sessions;
    (server, bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_needs_at_most_450_bytes() {
    let (server, bytes) = bytes_per_session(|store| store, || record(None, None), SESSIONS).await;
    println!("{bytes} bytes a session");
    let keys = server.command(&["--scan", "--pattern", "tss:{*"]);
    let of_user = keys.lines().filter(|key| key.ends_with('}')).take(1_000);
    for (kind, keys) in [
        ("records of a user", of_user.collect::<Vec<_>>()),
        ("bucket of sessions", vec!["tss:d:000", "tss:d:fff"]),
        ("bucket of subjects", vec!["tss:b:000", "tss:b:fff"]),
    ] {
        let usage = |key: &&str| server.command(&["MEMORY", "USAGE", key]).parse().unwrap_or(0);
        let each: u64 = keys.iter().take(8).map(usage).sum();
        println!("{kind}: {} bytes by MEMORY USAGE", each / keys.len().clamp(1, 8) as u64);
    }
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
}

/// What an option or a longer record adds, as documented.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_add_what_their_documentation_says() {
    type Settings = fn(RedisStoreBuilder) -> RedisStoreBuilder;
    type NewRecord = fn() -> SessionRecord;
    let (plain, bare): (Settings, NewRecord) = (|store| store, || record(None, None));
    let with_label: NewRecord = || {
        let label = SessionLabel::new(&"l".repeat(62)).expect("it is short");
        record(None, Some(&label))
    };
    let sessions = SESSIONS / 5;
    let (_, least) = bytes_per_session(plain, bare, sessions).await;
    for (what, settings, record, most) in [
        ("an account", plain, (|| record(Some("acme"), None)) as NewRecord, 200),
        ("a list of everything", (|store| store.list_everything(true)) as Settings, bare, 170),
        ("an audit log", |store| store.audit_log(true), bare, 400),
        ("a label of 64 bytes", plain, with_label, 80),
    ] {
        let (_, bytes) = bytes_per_session(settings, record, sessions).await;
        println!("{what} adds {} bytes", bytes - least);
        assert!(bytes - least <= most, "{what}: {bytes} after {least}");
    }
}

#[tokio::test]
async fn an_activity_without_a_record_needs_one_key() {
    let server = RedisServer::start();
    let store = RedisStore::at(server.url()).time_limit(BOUND).clock(ManualClock::new(NOW));
    let store = store.connect().await.expect("the server runs");
    let keys = SessionKeys::new(StoreKey::session(None, "s"), StoreKey::user(None, None, "ada"));
    store.touch(keys, Touch::new(NOW, NOW, IDLE)).await.expect("the server answers");
    store.flush().await.expect("the server answers");
    assert_eq!(server.command(&["DBSIZE"]), "3", "the activity, its bucket and the marker");
}
