//! The caller of a route, and the sessions that the caller may see and end.

use axum_core::extract::FromRequestParts;
use http::request::Parts;

use super::{failure::Failure, routes::Routes};
use crate::{extract::Problem, identity::Scope, session::Session, sessions::SlidingSessions};

/// The session of the request, and the hub.
pub(super) struct Caller {
    pub(super) session: Session,
    pub(super) sessions: SlidingSessions,
}

impl Caller {
    /// The sessions of the caller.
    pub(super) fn own_scope(&self) -> Scope {
        Scope::User(self.session.token().scopes().user)
    }

    /// The name of the caller's account.
    pub(super) fn tenant(&self) -> Option<&str> {
        self.session.session_claims().tenant.as_deref()
    }

    /// The name and the scope of the caller's account; an error if the caller does not own it.
    pub(super) fn owned_account(&self) -> Result<(&str, Scope), Problem> {
        match (self.tenant(), self.session.token().scopes().account) {
            (Some(tenant), Some(account)) if self.sessions.is_owner(&self.session) => {
                Ok((tenant, Scope::Account(account)))
            }
            _ => Err(Problem::FORBIDDEN),
        }
    }

    /// The sessions of the account if the caller owns it, else those of the caller.
    pub(super) fn widest_scope(&self) -> Scope {
        self.owned_account().map_or_else(|_| self.own_scope(), |(_, account)| account)
    }
}

impl FromRequestParts<Routes> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, routes: &Routes) -> Result<Self, Failure> {
        let session = <Session as FromRequestParts<_>>::from_request_parts(parts, routes).await?;
        Ok(Self { session, sessions: routes.sessions.clone() })
    }
}
