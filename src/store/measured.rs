//! A store whose answers are measured (feature `metrics`).

use std::{sync::Arc, time::Duration};

use super::{
    AccountPolicies, ActiveUser, BulkRevocation, ClaimsChange, ClaimsChanges, LifecycleQueries,
    LifecycleStore, ListQuery, OpenTicket, OverridesChange, Page, RefreshQuery, RefreshState,
    RenewalDecision, RenewalLimiter, RenewalRequest, Revocations, Rotated, Rotation, SessionRecord,
    SessionStore, SignIn, SignInOutcome, StoreOutage, StoredSession, TicketUse, Tombstone, Touch,
    TouchOutcome,
};
use crate::{
    audit::{ActivityEntry, AuditRecord},
    clock::Stopwatch,
    identity::{Scope, SessionKeys, StoreKey},
    maybe_ready::MaybeReady,
    metrics,
    policy::TimeoutOverrides,
    time::Timestamp,
};

/// Measures the answers that are not at hand, by operation; and counts how often a request found its
/// answer at hand.
pub(crate) struct MeasuredStore<S: ?Sized>(Arc<S>);

impl<S: ?Sized> MeasuredStore<S> {
    pub(crate) const fn new(store: Arc<S>) -> Self {
        Self(store)
    }
}

fn measured<T>(operation: &'static str, answer: MaybeReady<T>) -> MaybeReady<T>
where
    T: Send + Unpin + 'static,
{
    match answer.try_ready() {
        Ok(answer) => MaybeReady::ready(answer),
        Err(pending) => MaybeReady::new(async move {
            let mut measurement = Measurement::start(operation);
            let answer = pending.await;
            measurement.outcome = if answer.is_ok() { "ok" } else { "error" };
            answer
        }),
    }
}

/// Records how long an answer took, also if nothing waits for it any longer.
struct Measurement {
    operation: &'static str,
    outcome: &'static str,
    stopwatch: Stopwatch,
}

impl Measurement {
    fn start(operation: &'static str) -> Self {
        Self { operation, outcome: "abandoned", stopwatch: Stopwatch::start() }
    }
}

impl Drop for Measurement {
    fn drop(&mut self) {
        let seconds = self.stopwatch.elapsed().as_secs_f64();
        metrics::record_store_answer(self.operation, self.outcome, seconds);
    }
}

/// As [`measured`], for an answer that the cache of a node may have.
fn looked_up<T>(operation: &'static str, answer: MaybeReady<T>) -> MaybeReady<T>
where
    T: Send + Unpin + 'static,
{
    metrics::count_session_lookup(answer.is_ready());
    measured(operation, answer)
}

#[deny(clippy::missing_trait_methods, reason = "it forwards every method")]
impl<S> SessionStore for MeasuredStore<S>
where
    S: SessionStore + ?Sized,
{
    fn touch(&self, keys: SessionKeys, touch: Touch) -> MaybeReady<TouchOutcome> {
        looked_up("touch", self.0.touch(keys, touch))
    }

    fn get(&self, keys: SessionKeys) -> MaybeReady<StoredSession> {
        looked_up("get", self.0.get(keys))
    }

    fn write_tombstone(&self, tombstone: Tombstone) -> MaybeReady<bool> {
        measured("write_tombstone", self.0.write_tombstone(tombstone))
    }

    fn is_durable(&self) -> bool {
        self.0.is_durable()
    }

    fn flush(&self) -> MaybeReady<()> {
        measured("flush", self.0.flush())
    }

    fn revocations(&self) -> Option<Arc<Revocations>> {
        self.0.revocations()
    }

    fn account_policies(&self) -> Option<Arc<AccountPolicies>> {
        self.0.account_policies()
    }

    fn claims_changes(&self) -> Option<Arc<ClaimsChanges>> {
        self.0.claims_changes()
    }

    fn describe(&self) -> Option<String> {
        self.0.describe()
    }

    fn activity_delay(&self, idle: Duration) -> Duration {
        self.0.activity_delay(idle)
    }

    fn set_max_clock_skew(&self, skew: Duration) {
        self.0.set_max_clock_skew(skew);
    }

    fn correct_time(&self, now: Timestamp) -> Timestamp {
        self.0.correct_time(now)
    }

    fn last_outage(&self) -> Option<StoreOutage> {
        self.0.last_outage()
    }
}

#[deny(clippy::missing_trait_methods, reason = "it forwards every method")]
impl<S> LifecycleQueries for MeasuredStore<S>
where
    S: LifecycleQueries + ?Sized,
{
    fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
        now: Timestamp,
    ) -> MaybeReady<Page<SessionRecord>> {
        measured("sessions", self.0.sessions(scope, query, now))
    }

    fn session(&self, session: StoreKey, now: Timestamp) -> MaybeReady<Option<SessionRecord>> {
        measured("session", self.0.session(session, now))
    }

    fn active_users(
        &self,
        account: StoreKey,
        limit: u32,
        now: Timestamp,
    ) -> Option<MaybeReady<Vec<ActiveUser>>> {
        let answer = self.0.active_users(account, limit, now)?;
        Some(measured("active_users", answer))
    }

    fn audit_log(&self, scope: Scope, query: ListQuery) -> MaybeReady<Page<AuditRecord>> {
        measured("audit_log", self.0.audit_log(scope, query))
    }

    fn activity_log(&self, scope: Scope, query: ListQuery) -> MaybeReady<Page<ActivityEntry>> {
        measured("activity_log", self.0.activity_log(scope, query))
    }
}

#[deny(clippy::missing_trait_methods, reason = "it forwards every method")]
impl<S> LifecycleStore for MeasuredStore<S>
where
    S: LifecycleStore + ?Sized,
{
    fn begin(&self, sign_in: SignIn) -> MaybeReady<SignInOutcome> {
        measured("begin", self.0.begin(sign_in))
    }

    fn adopt(&self, record: SessionRecord) -> MaybeReady<()> {
        measured("adopt", self.0.adopt(record))
    }

    fn refresh_state(&self, query: RefreshQuery) -> MaybeReady<RefreshState> {
        measured("refresh_state", self.0.refresh_state(query))
    }

    fn rotate(&self, rotation: Rotation) -> MaybeReady<Rotated> {
        measured("rotate", self.0.rotate(rotation))
    }

    fn revoke(&self, tombstone: Tombstone, audit: AuditRecord) -> MaybeReady<bool> {
        measured("revoke", self.0.revoke(tombstone, audit))
    }

    fn revoke_all(&self, revocation: BulkRevocation) -> MaybeReady<u64> {
        measured("revoke_all", self.0.revoke_all(revocation))
    }

    fn overrides(&self, account: StoreKey) -> MaybeReady<TimeoutOverrides> {
        measured("overrides", self.0.overrides(account))
    }

    fn set_overrides(&self, change: OverridesChange) -> MaybeReady<bool> {
        measured("set_overrides", self.0.set_overrides(change))
    }

    fn change_claims(&self, change: ClaimsChange) -> MaybeReady<Timestamp> {
        measured("change_claims", self.0.change_claims(change))
    }

    fn open_ticket(&self, ticket: OpenTicket) -> MaybeReady<()> {
        measured("open_ticket", self.0.open_ticket(ticket))
    }

    fn use_ticket(&self, used: TicketUse) -> MaybeReady<bool> {
        measured("use_ticket", self.0.use_ticket(used))
    }

    fn append_audit(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()> {
        measured("append_audit", self.0.append_audit(records))
    }

    fn append_activity(&self, entries: Arc<[ActivityEntry]>) -> MaybeReady<()> {
        measured("append_activity", self.0.append_activity(entries))
    }
}

#[deny(clippy::missing_trait_methods, reason = "it forwards every method")]
impl<S> RenewalLimiter for MeasuredStore<S>
where
    S: RenewalLimiter + ?Sized,
{
    fn acquire(&self, request: RenewalRequest) -> MaybeReady<RenewalDecision> {
        measured("acquire", self.0.acquire(request))
    }

    fn release(&self, request: RenewalRequest, until: Timestamp) -> MaybeReady<()> {
        measured("release", self.0.release(request, until))
    }
}

#[cfg(test)]
mod tests {
    use ::metrics::with_local_recorder;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::{metrics::STORE_DURATION, store::StoreError};

    #[test]
    fn an_answer_is_measured_however_it_ends() {
        let recorder = PrometheusBuilder::new().build_recorder();
        with_local_recorder(&recorder, || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.expect("a runtime").block_on(async {
                let answer = measured("get", MaybeReady::ready(Ok(1)));
                assert!(answer.is_ready(), "nothing to measure");
                measured("get", MaybeReady::new(async { Ok(1) })).await.expect("an answer");
                let failed = MaybeReady::<u8>::new(async { Err(StoreError::new("away")) });
                measured("get", failed).await.expect_err("a failure");
                let mut never = measured("get", MaybeReady::<u8>::new(std::future::pending()));
                let polled = std::future::poll_fn(|cx| {
                    std::task::Poll::Ready(std::pin::Pin::new(&mut never).poll(cx).is_pending())
                });
                assert!(polled.await);
                drop(never);
                // It was never begun.
                drop(measured("get", MaybeReady::<u8>::new(std::future::pending())));
            });
        });
        let shown = recorder.handle().render();
        for outcome in ["ok", "error", "abandoned"] {
            let count = format!("_count{{operation=\"get\",outcome=\"{outcome}\"}} 1\n");
            assert!(shown.contains(&format!("{STORE_DURATION}{count}")), "{outcome}: {shown}");
        }
    }
}
