//! An entry of the activity log.

use http::{Extensions, Method, Request, Response};
use serde_json::json;

use crate::{
    audit::{AuditQueue, AuditRecord, AuditSubject, LogCategory},
    rejection::Rejection,
    session::Session,
    time::Timestamp,
};

/// The activity log entry of a request; the response completes it.
pub(crate) struct ActivityEntry {
    audit_queue: AuditQueue,
    at: Timestamp,
    about: AuditSubject,
    method: &'static str,
    route: Option<Box<str>>,
}

impl ActivityEntry {
    pub(super) fn begin<B>(
        audit_queue: &AuditQueue,
        session: &Session,
        at: Timestamp,
        request: &Request<B>,
    ) -> Self {
        Self {
            audit_queue: audit_queue.clone(),
            at,
            about: session.token().audit_subject(),
            method: known_method(request.method()),
            route: route(request.extensions()),
        }
    }

    pub(crate) fn end<B>(&self, response: &Response<B>) {
        let code = response.extensions().get::<Rejection>().map(Rejection::code);
        let detail = json!({
            "class": "user",
            "method": self.method,
            "route": self.route,
            "status": response.status().as_u16(),
            "code": code,
        });
        self.audit_queue.append(AuditRecord {
            at: self.at,
            category: LogCategory::Activity,
            session: self.about.session,
            user: self.about.user,
            account: self.about.account,
            event: "request".into(),
            detail: detail.to_string().into(),
        });
    }
}

/// A log holds no text of the client: of a method of its own it says `other`.
fn known_method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// The pattern of the route, where a router has left it; the path itself is the client's text.
#[cfg(feature = "axum-router")]
fn route(extensions: &Extensions) -> Option<Box<str>> {
    extensions.get::<axum::extract::MatchedPath>().map(|path| path.as_str().into())
}

#[cfg(not(feature = "axum-router"))]
fn route(_: &Extensions) -> Option<Box<str>> {
    None
}
