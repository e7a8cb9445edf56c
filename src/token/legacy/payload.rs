//! The payload of a legacy token, and the same payload with the claims of this crate.

use std::borrow::Cow;

use super::AdoptedSession;
use crate::{
    rejection::InvalidTokenReason::{self, MalformedClaim, MalformedPayload, MissingClaim},
    time::Timestamp,
    token::{
        members::{Malformed, Member, Members, Written},
        mint::push_member,
        payload::{name, seconds},
    },
};

/// The payload of a token that may be a legacy token: it is read less strictly than one of ours.
pub(in crate::token) struct LegacyPayload<'a> {
    pub(super) json: &'a str,
    members: Vec<Member<'a>>,
}

impl<'a> LegacyPayload<'a> {
    /// Reads `json`, an object. A claim that occurs twice is ambiguous: this crate might read one and
    /// the application the other (P14).
    pub(in crate::token) fn parse(json: &'a str) -> Result<Self, InvalidTokenReason> {
        let malformed = |Malformed| MalformedPayload;
        let (mut found, mut members) = (Vec::new(), Members::new(json).map_err(malformed)?);
        while let Some(member) = members.next().map_err(malformed)? {
            found.push(member);
        }
        let mut names: Vec<_> = found.iter().map(|member| &*member.name).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(MalformedPayload);
        }
        Ok(Self { json, members: found })
    }

    pub(super) fn value(&self, name: &str) -> Option<Written<'a>> {
        self.members.iter().find(|member| member.name == name).map(|member| member.value)
    }

    /// The value of a claim, unless it is `null`.
    fn present(&self, name: &str) -> Option<Written<'a>> {
        self.value(name).filter(|value| !is_null(*value))
    }

    fn sid(&self) -> Option<Cow<'a, str>> {
        self.value("sid").and_then(|sid| name(sid).ok())
    }

    fn auth_time(&self) -> Option<Timestamp> {
        self.value("auth_time").and_then(|at| seconds(at).ok())
    }

    /// Whether the token has what names a session: it is no legacy token.
    pub(in crate::token) fn names_session(&self) -> bool {
        self.sid().is_some() && self.auth_time().is_some()
    }

    pub(in crate::token) fn iss(&self) -> Result<Option<Cow<'a, str>>, InvalidTokenReason> {
        let iss = self.present("iss").map(Written::text).transpose();
        iss.map_err(|Malformed| MalformedClaim("iss"))
    }

    /// The JSON value of `aud`.
    pub(in crate::token) fn aud(&self) -> Option<&'a str> {
        self.present("aud").map(Written::json)
    }

    /// This payload with the claims of `session`, each in place of the one of the same name or else at
    /// the end. Claims of this crate that the token has by coincidence are left out, and so is a
    /// `null` or an identifier that is no identifier; every other claim is copied. `digest` is the
    /// default of the `sid`.
    pub(in crate::token) fn adopted(
        &self,
        session: &AdoptedSession,
        digest: impl FnOnce() -> String,
    ) -> Result<String, InvalidTokenReason> {
        let iat = self.present("iat").map(seconds).transpose();
        let iat = iat.map_err(|Malformed| MalformedClaim("iat"))?;
        let signed_in = session.auth_time.or(self.auth_time()).map(Timestamp::floor_to_secs);
        let auth_time = match (signed_in, iat) {
            (Some(at), Some(iat)) => at.min(iat),
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => return Err(MissingClaim("iat")),
        };
        let sid = session.sid.as_deref().map(Cow::from).or(self.sid());
        let own = Own {
            sub: &session.sub,
            sid: &sid.unwrap_or_else(|| digest().into()),
            auth_time,
            iat: iat.is_none().then_some(auth_time),
        };
        let mut members = String::with_capacity(self.json.len() + 128);
        for member in &self.members {
            self.push(&mut members, member, own);
        }
        for name in ["sub", "sid", "auth_time", "iat"] {
            if self.value(name).is_none() {
                own.push(&mut members, name);
            }
        }
        if let Some(profile) = &session.profile {
            push_member(&mut members, "session_profile", profile);
        }
        Ok(format!("{{{members}}}"))
    }

    fn push(&self, out: &mut String, member: &Member<'_>, own: Own<'_>) {
        let (name, value) = (&*member.name, member.value);
        match name {
            "session_profile" | "idle_max" | "abs_max" | "epoch" | "claims_at" | "seen"
            | "refresh_gen" => {}
            "iss" | "aud" | "exp" | "nbf" if is_null(value) => {}
            "jti" | "tenant" if value.text().is_err() => {
                if let Some(id) = value.identifier() {
                    push_member(out, name, &*id);
                }
            }
            _ if own.push(out, name) => {}
            _ => {
                if !out.is_empty() {
                    out.push(',');
                }
                out.push_str(&self.json[member.span.clone()]);
            }
        }
    }
}

/// The claims of ours that an adopted token gets.
#[derive(Clone, Copy)]
struct Own<'a> {
    sub: &'a str,
    sid: &'a str,
    auth_time: Timestamp,
    /// `None` keeps the token's own.
    iat: Option<Timestamp>,
}

impl Own<'_> {
    /// Appends the claim `name` if it is one of these.
    fn push(self, out: &mut String, name: &str) -> bool {
        match name {
            "sub" => push_member(out, name, self.sub),
            "sid" => push_member(out, name, self.sid),
            "auth_time" => push_member(out, name, &self.auth_time.as_secs()),
            "iat" => match self.iat {
                Some(iat) => push_member(out, name, &iat.as_secs()),
                None => return false,
            },
            _ => return false,
        }
        true
    }
}

fn is_null(value: Written<'_>) -> bool {
    value.json() == "null"
}
