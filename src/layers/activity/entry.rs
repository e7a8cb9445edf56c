//! An entry of the activity log, from the request to its response.

use std::sync::Arc;

use http::{Extensions, Method, Request, Response};

use crate::{
    audit::{ActivityEntry, AuditQueue},
    rejection::Rejection,
    request_class::RequestClass,
    session::Session,
    time::Timestamp,
};

/// Finds the pattern of the route that a request matched.
pub(crate) type RoutePattern = dyn Fn(&Extensions) -> Option<String> + Send + Sync;

/// The entry of a request whose response is awaited. Without a response it is recorded too: a client
/// that closes the connection, or a handler that fails, may have changed something.
pub(crate) struct PendingEntry {
    audit_queue: AuditQueue,
    /// `None` once it is recorded.
    entry: Option<ActivityEntry>,
}

/// Whether `method` changes nothing, as far as a handler follows RFC 9110 section 9.2.1. `OPTIONS` may
/// reach a handler of any method, and preflights have no session.
pub(super) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

impl PendingEntry {
    pub(super) fn new<B>(
        route_pattern: Option<&RoutePattern>,
        audit_queue: &AuditQueue,
        session: &Session,
        class: RequestClass,
        at: Timestamp,
        request: &Request<B>,
    ) -> Self {
        let token = session.token();
        let scopes = token.scopes();
        let method = ActivityEntry::method_name(request.method());
        let mut entry = ActivityEntry::new(at, token.session_key(), scopes.user, method, 0);
        (entry.subject, entry.account) = (Some(scopes.subject), scopes.account);
        entry.class = class;
        entry.route = route_pattern.and_then(|route| route(request.extensions())).map(Arc::from);
        Self { audit_queue: audit_queue.clone(), entry: Some(entry) }
    }

    /// Records the entry with the status of `response`, and with the code of a rejection.
    pub(crate) fn record<B>(&mut self, response: &Response<B>) {
        let Some(mut entry) = self.entry.take() else { return };
        entry.status = response.status().as_u16();
        let rejection = response.extensions().get::<Rejection>();
        entry.code = rejection.map(|rejection| rejection.code().into());
        self.audit_queue.record_activity(entry);
    }
}

impl Drop for PendingEntry {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.audit_queue.record_activity(entry);
        }
    }
}
