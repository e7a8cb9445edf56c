//! An entry of the activity log, from the request to its response.

use std::sync::Arc;

use http::{Extensions, Request, Response};

use crate::{
    audit::{ActivityEntry, AuditQueue},
    rejection::Rejection,
    session::Session,
    time::Timestamp,
};

/// Finds the pattern of the route that a request matched.
pub(crate) type RoutePattern = dyn Fn(&Extensions) -> Option<String> + Send + Sync;

/// The entry of a request whose response is awaited.
pub(crate) struct PendingEntry {
    audit_queue: AuditQueue,
    entry: ActivityEntry,
}

impl PendingEntry {
    pub(super) fn new<B>(
        route_pattern: Option<&RoutePattern>,
        audit_queue: &AuditQueue,
        session: &Session,
        at: Timestamp,
        request: &Request<B>,
    ) -> Self {
        let token = session.token();
        let scopes = token.scopes();
        let method = ActivityEntry::method_name(request.method());
        let mut entry = ActivityEntry::new(at, token.session_key(), scopes.user, method, 0);
        (entry.subject, entry.account) = (Some(scopes.subject), scopes.account);
        entry.route = route_pattern.and_then(|route| route(request.extensions())).map(Arc::from);
        Self { audit_queue: audit_queue.clone(), entry }
    }

    /// Records the entry with the status of `response`, and with the code of a rejection.
    pub(crate) fn record<B>(&self, response: &Response<B>) {
        let mut entry = self.entry.clone();
        entry.status = response.status().as_u16();
        let rejection = response.extensions().get::<Rejection>();
        entry.code = rejection.map(|rejection| rejection.code().into());
        self.audit_queue.record_activity(entry);
    }
}
