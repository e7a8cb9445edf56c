//! Builds sessions for apps that verify tokens themselves.

use std::{fmt, sync::Arc};

use super::Session;
use crate::{
    rejection::InvalidTokenReason,
    rules::SessionClaims,
    time::Timestamp,
    token::{InvalidToken, VerifiedToken},
    transport::TokenOrigin,
};

/// Builds the [`Session`] of a token that the app has verified.
#[must_use]
pub struct SessionBuilder {
    pub(super) sub: String,
    pub(super) sid: Option<String>,
    pub(super) auth_time: Option<Timestamp>,
    pub(super) json: Option<String>,
}

impl SessionBuilder {
    /// `sid`. Required. Take it from the verified token, never from another part of the request.
    pub fn sid(mut self, sid: impl Into<String>) -> Self {
        self.sid = Some(sid.into());
        self
    }

    /// When the user signed in. Required.
    pub fn auth_time(mut self, at: Timestamp) -> Self {
        self.auth_time = Some(at);
        self
    }

    /// The claims of the token in JSON. Required for renewals: successors are made from them. Without
    /// them the token never expires by itself, and proves no activity since `auth_time`.
    pub fn claims_json(mut self, json: impl Into<String>) -> Self {
        self.json = Some(json.into());
        self
    }

    /// Builds the session.
    ///
    /// # Errors
    /// If `sid` or `auth_time` is missing, or the claims are malformed.
    pub fn build(self) -> Result<Session, InvalidToken> {
        let missing = |claim| InvalidToken::from(InvalidTokenReason::MissingClaim(claim));
        let sid = self.sid.ok_or(missing("sid"))?;
        let auth_time = self.auth_time.ok_or(missing("auth_time"))?;
        let token = match self.json {
            Some(json) => VerifiedToken::trusted(&self.sub, &sid, auth_time, &json)?,
            None => {
                VerifiedToken::bare(SessionClaims::new(&self.sub, &sid, auth_time, Timestamp::MAX))
            }
        };
        let renewable = token.is_renewable();
        let session = Session::new(Arc::new(token), TokenOrigin::Header, None, false);
        if !renewable {
            session.forbid_renewal();
        }
        Ok(session)
    }
}

impl fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionBuilder(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_builder_without_its_names_builds_nothing() {
        assert!(Session::builder("ada").build().is_err());
        assert!(Session::builder("ada").sid("s").build().is_err());
        let at = Timestamp::from_secs(1);
        assert!(Session::builder("ada").sid("s").auth_time(at).claims_json("[]").build().is_err());
        assert!(Session::builder("ada").sid("s").auth_time(at).build().is_ok());
    }
}
