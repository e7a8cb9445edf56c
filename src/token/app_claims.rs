//! The application's own claims, and the names that it may not use.

use serde::Serialize;

use super::{
    error::ClaimsError,
    members::{Malformed, Member, Members},
};

/// The claims of the session and its token. The application's claims have other names.
pub(super) const RESERVED: [&str; 17] = [
    "sub",
    "sid",
    "iss",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "tenant",
    "auth_time",
    "idle_max",
    "abs_max",
    "session_profile",
    "epoch",
    "claims_at",
    "seen",
    "refresh_gen",
];

/// The application's own claims: the members of a JSON object, none of them reserved.
#[derive(Clone)]
pub(crate) struct AppClaims(String);

impl AppClaims {
    pub(crate) fn new<T>(claims: &T) -> Result<Self, ClaimsError>
    where
        T: Serialize + ?Sized,
    {
        let json = serde_json::to_string(claims).map_err(ClaimsError::not_serializable)?;
        Self::from_json(&json)
    }

    pub(super) fn from_json(json: &str) -> Result<Self, ClaimsError> {
        let mut reserved = None;
        for_each_member(json, |member| {
            reserved = reserved.or(RESERVED.into_iter().find(|name| *name == member.name));
        })
        .map_err(|Malformed| ClaimsError::not_an_object())?;
        if let Some(name) = reserved {
            return Err(ClaimsError::reserved(name));
        }
        let inside = json.trim().strip_prefix('{').and_then(|json| json.strip_suffix('}'));
        Ok(Self(inside.unwrap_or_default().trim().to_owned()))
    }

    /// The application's members of `payload`.
    pub(crate) fn from_payload(payload: &str) -> Self {
        let mut own = String::new();
        let walked = for_each_member(payload, |member| {
            if !RESERVED.contains(&&*member.name) {
                if !own.is_empty() {
                    own.push(',');
                }
                own.push_str(&payload[member.span]);
            }
        });
        debug_assert!(walked.is_ok(), "a verified payload is a JSON object");
        Self(own)
    }

    /// The members as they are written between braces; empty if there are none.
    pub(super) fn members(&self) -> &str {
        &self.0
    }
}

/// Calls `call` for every member of the object `json`, in order.
pub(super) fn for_each_member(
    json: &str,
    mut call: impl FnMut(Member<'_>),
) -> Result<(), Malformed> {
    let mut members = Members::new(json)?;
    while let Some(member) = members.next()? {
        call(member);
    }
    Ok(())
}
