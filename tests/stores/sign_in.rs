//! Users who sign in, and the calls to a store that follow.

use std::time::Duration;

use tower_sliding_session::{
    Timestamp,
    audit::{AuditRecord, LogCategory},
    identity::{Scope, Scopes, StoreKey},
    store::{
        BulkRevocation, Exempt, ListQuery, LogScope, RefreshAsk, RefreshState, Rotated, Rotation,
        SessionRecord, SuccessorPayloads, TokenState, Touch,
    },
};

use crate::empty_stores::Store;

pub(crate) const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(crate) const IDLE: Duration = Duration::from_secs(20 * 60);
pub(crate) const ABSOLUTE: Duration = Duration::from_secs(12 * 3600);
const ISSUER: Option<&str> = Some("https://issuer.example");

pub(crate) const ADA: Person = Person { sub: "ada", tenant: Some("acme") };
pub(crate) const BOB: Person = Person { sub: "bob", tenant: Some("acme") };
pub(crate) const EVE: Person = Person { sub: "eve", tenant: Some("globex") };
/// A user without an account.
pub(crate) const JOY: Person = Person { sub: "joy", tenant: None };

#[derive(Clone, Copy)]
pub(crate) struct Person {
    pub(crate) sub: &'static str,
    pub(crate) tenant: Option<&'static str>,
}

impl Person {
    pub(crate) fn scopes(self) -> Scopes {
        Scopes::new(ISSUER, self.tenant, self.sub)
    }

    pub(crate) fn user(self) -> Scope {
        Scope::User(self.scopes().user)
    }

    pub(crate) fn account(self) -> Scope {
        Scope::Account(self.scopes().account.expect("the person belongs to an account"))
    }

    /// The record of the session that this sign-in starts.
    pub(crate) fn signs_in(self, sid: &str, at: Timestamp) -> SessionRecord {
        SessionRecord {
            key: session(sid),
            sid: sid.to_owned(),
            sub: self.sub.to_owned(),
            tenant: self.tenant.map(str::to_owned),
            profile: None,
            scopes: self.scopes(),
            auth_time: at,
            epoch: at,
            idle: IDLE,
            ends_at: at + ABSOLUTE,
            last_seen: at,
        }
    }
}

pub(crate) fn everything() -> Scope {
    Scope::Everything(ADA.scopes().everything)
}

pub(crate) fn session(sid: &str) -> StoreKey {
    StoreKey::session(ISSUER, sid)
}

pub(crate) fn token(jti: &str) -> StoreKey {
    StoreKey::token(ISSUER, jti)
}

pub(crate) const fn after(millis: u64) -> Timestamp {
    Timestamp::from_millis(BEGIN.as_millis() + millis)
}

/// A security row about `record`.
pub(crate) fn row(record: &SessionRecord, event: &str, at: Timestamp) -> AuditRecord {
    AuditRecord {
        at,
        category: LogCategory::Security,
        session: Some(record.key),
        user: Some(record.scopes.user),
        account: record.scopes.account,
        event: event.to_owned().into(),
        detail: "{}".into(),
    }
}

pub(crate) async fn begin(store: &Store, record: &SessionRecord) -> Timestamp {
    let row = row(record, "session_started", record.auth_time);
    store.begin(record.clone(), row).await.expect("the store answers")
}

/// Signs `person` in at [`BEGIN`].
pub(crate) async fn begun(store: &Store, person: Person, sid: &str) -> SessionRecord {
    let record = person.signs_in(sid, BEGIN);
    begin(store, &record).await;
    record
}

pub(crate) async fn is_active(store: &Store, record: &SessionRecord, now: Timestamp) -> bool {
    store.session(record.key, now).await.expect("the store answers").is_some()
}

pub(crate) fn touch(now: Timestamp, token_activity: Timestamp) -> Touch {
    Touch { now, token_activity, idle: IDLE, known_only: false }
}

pub(crate) fn ask(record: &SessionRecord, jti: &str) -> RefreshAsk {
    RefreshAsk {
        session: record.key,
        token: token(jti),
        epoch: record.epoch,
        scopes: record.scopes,
    }
}

pub(crate) fn successors(jti: &str) -> SuccessorPayloads {
    SuccessorPayloads {
        access: format!(r#"{{"jti":"access to {jti}"}}"#),
        refresh: format!(r#"{{"jti":"{jti}"}}"#),
        token: token(jti),
    }
}

/// The rotation of the token `jti` to `next` by a refresh that is activity.
pub(crate) fn exchange(record: &SessionRecord, jti: &str, next: &str, now: Timestamp) -> Rotation {
    Rotation {
        ask: ask(record, jti),
        now,
        until: record.ends_at,
        successors: Some(successors(next)),
        is_activity: true,
        adopt: None,
    }
}

pub(crate) async fn rotate(store: &Store, rotation: Rotation) -> Rotated {
    store.rotate(rotation).await.expect("the store answers")
}

pub(crate) async fn state(store: &Store, record: &SessionRecord, jti: &str) -> RefreshState {
    store.refresh_state(ask(record, jti)).await.expect("the store answers")
}

pub(crate) async fn token_state(store: &Store, record: &SessionRecord, jti: &str) -> TokenState {
    state(store, record, jti).await.token
}

/// A bulk revocation at `now` whose cutoff is the same millisecond.
pub(crate) fn all_of(scope: Scope, now: Timestamp) -> BulkRevocation {
    BulkRevocation {
        scope,
        exempt: Exempt::None,
        now,
        mark: now,
        until: now + ABSOLUTE,
        log: AuditRecord {
            at: now,
            category: LogCategory::Security,
            session: None,
            user: None,
            account: None,
            event: "sessions_revoked_bulk".into(),
            detail: r#"{"by":"owner"}"#.into(),
        },
    }
}

pub(crate) async fn revoke_all(store: &Store, revocation: BulkRevocation) -> u64 {
    store.revoke_all(revocation).await.expect("the store answers")
}

/// The rows of the security log with this event, latest first.
pub(crate) async fn rows(store: &Store, event: &str) -> Vec<AuditRecord> {
    let log = LogScope { category: LogCategory::Security, scope: everything() };
    let page = store.log(log, ListQuery::first(ListQuery::MAX_LIMIT)).await;
    let rows = page.expect("the store answers").items;
    rows.into_iter().filter(|row| row.event == event).collect()
}

/// The active sessions of a scope, in one page.
pub(crate) async fn listed(store: &Store, scope: Scope, now: Timestamp) -> Vec<String> {
    let page = store.sessions(scope, ListQuery::first(ListQuery::MAX_LIMIT), now).await;
    page.expect("the store answers").items.into_iter().map(|record| record.sid).collect()
}
