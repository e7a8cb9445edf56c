//! The payload of a successor: a copy of its predecessor's with a few claims replaced.

use std::ops::Range;

use super::{
    app_claims::{AppClaims, RESERVED, for_each_member},
    claims_source::GrantedClaims,
    mint::push_member,
    verified::VerifiedToken,
};
use crate::{
    rules::{self},
    time::Timestamp,
};

/// How a successor states the last activity of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Minting it is an activity: its `iat` is the last one.
    AtMint,
    /// Minting it is no activity: its `seen` is this time.
    Earlier(Timestamp),
}

/// What the successor of a token has instead of the token's own claims.
#[derive(Clone, Copy)]
pub(crate) struct Succession<'a> {
    pub(crate) times: rules::TokenTimes,
    pub(crate) seen: Seen,
    /// The timeouts of the successor of an adopted token, which has none.
    pub(crate) limits: rules::Timeouts,
    pub(crate) claims: &'a GrantedClaims,
    /// The `jti`.
    pub(crate) id: &'a str,
    /// A refresh increments it; a renewal keeps it.
    pub(crate) generation: u32,
}

/// The payload of `token`'s successor: new times and `jti`, the application's claims replaced if
/// there are others, and every other byte copied. The successor of an adopted token also gets the
/// timeouts.
pub(crate) fn successor_payload(token: &VerifiedToken, succession: Succession<'_>) -> String {
    let Succession { times, seen, limits, claims, id, generation } = succession;
    let payload = token.payload();
    let mut added = String::new();
    let none = (0..0, Edit::Drop);
    let jti = if let Some(span) = &token.spans.jti {
        (span.clone(), Edit::Text(id))
    } else {
        push_member(&mut added, "jti", id);
        none.clone()
    };
    let seen = match (seen, &token.spans.seen) {
        (Seen::AtMint, Some(span)) => (with_its_comma(payload, span), Edit::Drop),
        (Seen::AtMint, None) => none.clone(),
        (Seen::Earlier(at), Some(span)) => (span.clone(), Edit::Seen(at)),
        (Seen::Earlier(at), None) => {
            push_member(&mut added, "seen", &at.as_secs());
            none.clone()
        }
    };
    let generation = match &token.spans.generation {
        Some(span) => (span.clone(), Edit::Number(generation.into())),
        None if generation == 0 => none,
        None => {
            push_member(&mut added, "refresh_gen", &generation);
            none
        }
    };
    let claims_at = claims_at_edit(token, claims, &mut added);
    let edits = [
        (token.spans.iat.clone(), Edit::Number(times.iat.as_secs())),
        (token.spans.exp.clone(), Edit::Number(times.exp.as_secs())),
        jti,
        seen,
        generation,
        claims_at,
    ];
    if token.is_adopted() {
        push_member(&mut added, "idle_max", &limits.idle.as_secs());
        push_member(&mut added, "abs_max", &limits.absolute.as_secs());
    }
    with_app_claims(splice(payload, edits, &added), claims)
}

impl VerifiedToken {
    /// The same token with these application's claims, for a handler; its successor has them, too.
    pub(crate) fn with_claims(&self, claims: &GrantedClaims) -> Self {
        let mut added = String::new();
        let edits = [claims_at_edit(self, claims, &mut added)];
        let payload = with_app_claims(splice(self.payload(), edits, &added), claims);
        self.with_payload(payload, claims.claims_at.or(self.claims().claims_at))
    }
}

/// Writes the `claims_at` of `claims`, or else keeps that of `token`.
fn claims_at_edit<'a>(
    token: &VerifiedToken,
    claims: &GrantedClaims,
    added: &mut String,
) -> (Range<usize>, Edit<'a>) {
    match (claims.claims_at, &token.spans.claims_at) {
        (Some(at), Some(span)) => return (span.clone(), Edit::Number(at.as_millis())),
        (Some(at), None) => push_member(added, "claims_at", &at.as_millis()),
        (None, _) => {}
    }
    (0..0, Edit::Drop)
}

fn with_app_claims(payload: String, claims: &GrantedClaims) -> String {
    match &claims.app {
        Some(app) => replace_app_claims(&payload, app),
        None => payload,
    }
}

/// The bytes of a member together with one comma beside it.
fn with_its_comma(payload: &str, member: &Range<usize>) -> Range<usize> {
    let after = &payload[member.end..];
    let blank = after.len() - after.trim_start().len();
    if after[blank..].starts_with(',') {
        return member.start..member.end + blank + 1;
    }
    let before = payload[..member.start].trim_end();
    before.strip_suffix(',').map_or(before.len(), str::len)..member.end
}

/// What replaces a range of bytes.
#[derive(Clone)]
enum Edit<'a> {
    Drop,
    Number(u64),
    /// A string that needs no escape.
    Text(&'a str),
    /// The whole member `seen`.
    Seen(Timestamp),
}

impl Edit<'_> {
    fn push_to(self, out: &mut String) {
        let push_number = |out: &mut String, number: u64| {
            out.push_str(itoa::Buffer::new().format(number));
        };
        match self {
            Self::Drop => {}
            Self::Number(number) => push_number(out, number),
            Self::Text(text) => out.extend(["\"", text, "\""]),
            Self::Seen(at) => {
                out.push_str("\"seen\":");
                push_number(out, at.as_secs());
            }
        }
    }
}

/// A copy of `payload` with every edit made and `added` appended as its last members.
fn splice<const N: usize>(
    payload: &str,
    mut edits: [(Range<usize>, Edit<'_>); N],
    added: &str,
) -> String {
    edits.sort_unstable_by_key(|(span, _)| span.start);
    let mut out = String::with_capacity(payload.len() + added.len() + 96);
    let mut copied = 0;
    for (span, edit) in edits {
        out.push_str(&payload[copied..span.start]);
        edit.push_to(&mut out);
        copied = span.end;
    }
    out.push_str(&payload[copied..]);
    append(out, added)
}

/// The object `json` with `added` as its last members.
fn append(mut json: String, added: &str) -> String {
    if !added.is_empty() {
        json.truncate(json.trim_end().len());
        json.pop();
        if !json.trim_end().ends_with('{') {
            json.push(',');
        }
        json.push_str(added);
        json.push('}');
    }
    json
}

/// A copy of `payload` with the application's claims replaced by `app`.
fn replace_app_claims(payload: &str, app: &AppClaims) -> String {
    let mut kept = String::from("{");
    let walked = for_each_member(payload, |member| {
        if RESERVED.contains(&&*member.name) {
            if kept.len() > 1 {
                kept.push(',');
            }
            kept.push_str(&payload[member.span]);
        }
    });
    debug_assert!(walked.is_ok(), "a verified payload is a JSON object");
    kept.push('}');
    append(kept, app.members())
}

#[cfg(test)]
mod tests;
