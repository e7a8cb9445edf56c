//! Users who sign in, and the calls to a store that follow.

use std::{sync::Arc, time::Duration};

use crate::{
    audit::{AuditEvent, AuditRecord, AuditSubject},
    identity::{Scope, Scopes, SessionKeys, StoreKey},
    store::{
        BulkRevocation, LifecycleStore, ListQuery, RefreshQuery, RefreshState, RefreshedSession,
        RevocationCutoff, Rotated, Rotation, SessionRecord, SignIn, SignedIn, SuccessorIds,
        TokenExchange, Tombstone, Touch,
    },
    time::Timestamp,
};

pub(super) type Store = Arc<dyn LifecycleStore>;

pub(super) const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(super) const IDLE: Duration = Duration::from_secs(20 * 60);
pub(super) const ABSOLUTE: Duration = Duration::from_secs(12 * 3600);
const ISSUER: Option<&str> = Some("https://issuer.example");

pub(super) const ADA: Person = Person { sub: "ada", tenant: Some("acme") };
pub(super) const BOB: Person = Person { sub: "bob", tenant: Some("acme") };
pub(super) const EVE: Person = Person { sub: "eve", tenant: Some("globex") };
/// The subject of [`ADA`] in another account.
pub(super) const ADA_AT_GLOBEX: Person = Person { sub: "ada", tenant: Some("globex") };
/// A user without an account.
pub(super) const JOY: Person = Person { sub: "joy", tenant: None };

#[derive(Clone, Copy)]
pub(super) struct Person {
    pub(super) sub: &'static str,
    pub(super) tenant: Option<&'static str>,
}

impl Person {
    pub(super) fn scopes(self) -> Scopes {
        Scopes::new(ISSUER, self.tenant, self.sub)
    }

    pub(super) fn user(self) -> Scope {
        Scope::User(self.scopes().user)
    }

    pub(super) fn subject(self) -> Scope {
        Scope::Subject(self.scopes().subject)
    }

    pub(super) fn account(self) -> Scope {
        Scope::Account(self.scopes().account.expect("the person belongs to an account"))
    }

    pub(super) fn keys(self, sid: &str) -> SessionKeys {
        SessionKeys::new(session(sid), self.scopes().user)
    }

    /// The record of the session that this sign-in starts.
    pub(super) fn signs_in(self, sid: &str, at: Timestamp) -> SessionRecord {
        let ends_at = at + ABSOLUTE;
        let record =
            SessionRecord::new(session(sid), sid, self.sub, self.scopes(), at, IDLE, ends_at);
        SessionRecord { tenant: self.tenant.map(str::to_owned), ..record }
    }
}

pub(super) fn everything() -> Scope {
    Scope::Everything(ADA.scopes().everything)
}

pub(super) fn session(sid: &str) -> StoreKey {
    StoreKey::session(ISSUER, sid)
}

pub(super) const fn after(millis: u64) -> Timestamp {
    Timestamp::from_millis(BEGIN.as_millis() + millis)
}

/// An audit record about the session of `record`.
pub(super) fn audit(record: &SessionRecord, event: &str, at: Timestamp) -> AuditRecord {
    let subject = AuditSubject::from_session(record.key, &record.scopes);
    AuditRecord::new(at, AuditEvent::from_stored(event, "{}"), subject)
}

pub(super) async fn begin(store: &Store, record: &SessionRecord) -> Timestamp {
    let begun = try_begin(store, SignIn::new(record.clone(), started(record))).await;
    begun.expect("there is no limit").epoch
}

/// The audit record of the sign-in of `record`.
pub(super) fn started(record: &SessionRecord) -> AuditRecord {
    audit(record, "session_started", record.auth_time)
}

/// What has begun; `None` if it was refused.
pub(super) async fn try_begin(store: &Store, sign_in: SignIn) -> Option<SignedIn> {
    store.begin(sign_in).await.expect("the store answers").begun()
}

/// Signs `person` in at [`BEGIN`].
pub(super) async fn begun(store: &Store, person: Person, sid: &str) -> SessionRecord {
    let record = person.signs_in(sid, BEGIN);
    begin(store, &record).await;
    record
}

pub(super) async fn is_active(store: &Store, record: &SessionRecord, now: Timestamp) -> bool {
    store.session(record.key, now).await.expect("the store answers").is_some()
}

/// The tombstone of a session of a user who is not known.
pub(super) const fn tombstone(session: StoreKey, until: Timestamp) -> Tombstone {
    Tombstone::new(session, BEGIN, until)
}

pub(super) fn touch(now: Timestamp, token_activity: Timestamp) -> Touch {
    Touch::new(now, token_activity, IDLE)
}

pub(super) fn ask(record: &SessionRecord) -> RefreshQuery {
    RefreshQuery::new(record.key, record.epoch, record.scopes)
}

pub(super) fn successors(id: &str) -> SuccessorIds {
    SuccessorIds::new(format!("access {id}"), format!("refresh {id}"))
}

/// The exchange at `now` for the successors `id`.
pub(super) fn exchange(id: &str, now: Timestamp) -> TokenExchange {
    TokenExchange::new(now, Some(successors(id)))
}

/// The rotation of the token of `generation` by a refresh that is activity.
pub(super) fn rotation(
    record: &SessionRecord,
    generation: u32,
    id: &str,
    now: Timestamp,
) -> Rotation {
    let rotation = Rotation::new(ask(record), generation, exchange(id, now), record.clone());
    Rotation { is_activity: true, ..rotation }
}

pub(super) async fn rotate(store: &Store, rotation: Rotation) -> Rotated {
    store.rotate(rotation).await.expect("the store answers")
}

pub(super) async fn state(store: &Store, record: &SessionRecord) -> RefreshState {
    store.refresh_state(ask(record)).await.expect("the store answers")
}

/// A session that was last active at `last_seen` and never refreshed.
pub(super) const fn unrefreshed(last_seen: Timestamp) -> RefreshState {
    RefreshState::Known(RefreshedSession::new(last_seen))
}

/// A bulk revocation at `now`, whose cutoff is that millisecond.
pub(super) fn all_of(scope: Scope, now: Timestamp) -> BulkRevocation {
    let event = AuditEvent::SessionsRevokedBulk { scope: scope.kind(), revoked_count: 0 };
    let audit = AuditRecord::new(now, event, AuditSubject::from_scope(scope));
    BulkRevocation::new(scope, now, RevocationCutoff::new(now, now + ABSOLUTE), audit)
}

pub(super) async fn revoke_all(store: &Store, revocation: BulkRevocation) -> u64 {
    store.revoke_all(revocation).await.expect("the store answers")
}

/// The audit records with this event, the latest first.
pub(super) async fn audited(store: &Store, event: &str) -> Vec<AuditRecord> {
    let page = store.audit_log(everything(), ListQuery::first(ListQuery::MAX_LIMIT)).await;
    let records = page.expect("the store answers").items;
    records.into_iter().filter(|record| record.event.name() == event).collect()
}

/// The active sessions of a scope, in one page.
pub(super) async fn listed(store: &Store, scope: Scope, now: Timestamp) -> Vec<String> {
    let page = store.sessions(scope, ListQuery::first(ListQuery::MAX_LIMIT), now).await;
    page.expect("the store answers").items.into_iter().map(|record| record.sid).collect()
}
