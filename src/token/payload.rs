//! The claims of a payload, and the bytes that they occupy in it.

use std::{borrow::Cow, ops::Range, time::Duration};

use super::{
    error::InvalidToken,
    members::{Malformed, Member, Members, Written},
};
use crate::{
    rejection::InvalidTokenReason,
    rules::{MintedBy, SessionClaims},
    time::Timestamp,
};

/// The bytes of the claims that a successor replaces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans {
    pub(crate) iat: Range<usize>,
    pub(crate) exp: Range<usize>,
    pub(crate) jti: Option<Range<usize>>,
    /// The whole member with its name: a successor may drop it.
    pub(crate) seen: Option<Range<usize>>,
    pub(crate) generation: Option<Range<usize>>,
    pub(crate) claims_at: Option<Range<usize>>,
}

/// The claims of a payload, before it is known whether they name a session.
///
/// A claim of ours that occurs twice or is `null` is malformed. Other members are skipped.
#[derive(Default)]
pub(crate) struct ParsedClaims<'a> {
    pub(crate) sub: Option<Cow<'a, str>>,
    pub(crate) sid: Option<Cow<'a, str>>,
    pub(crate) iss: Option<Cow<'a, str>>,
    /// The JSON value.
    pub(crate) aud: Option<&'a str>,
    pub(crate) tenant: Option<Cow<'a, str>>,
    pub(crate) session_profile: Option<Cow<'a, str>>,
    pub(crate) auth_time: Option<Timestamp>,
    pub(crate) iat: Option<Timestamp>,
    pub(crate) spans: Spans,
    exp: Option<Timestamp>,
    nbf: Option<Timestamp>,
    idle_max: Option<Timestamp>,
    abs_max: Option<Timestamp>,
    epoch: Option<Timestamp>,
    claims_at: Option<Timestamp>,
    seen: Option<Timestamp>,
    generation: Option<u32>,
}

impl<'a> ParsedClaims<'a> {
    /// Parses `payload`, a JSON object.
    pub(crate) fn parse(payload: &'a str) -> Result<Self, InvalidToken> {
        let mut claims = Self::default();
        claims.read(payload)?;
        Ok(claims)
    }

    /// Parses `payload` into these claims, which must be empty. They are large: moving them costs.
    #[inline]
    pub(crate) fn read(&mut self, payload: &'a str) -> Result<(), InvalidToken> {
        let mut members = Members::new(payload)?;
        while let Some(member) = members.next()? {
            self.take(&member)?;
        }
        Ok(())
    }

    #[inline]
    fn take(&mut self, member: &Member<'a>) -> Result<(), InvalidToken> {
        let value = member.value;
        let (claim, taken) = match &*member.name {
            "sub" => ("sub", name(value).and_then(|sub| once(&mut self.sub, sub))),
            "sid" => ("sid", name(value).and_then(|sid| once(&mut self.sid, sid))),
            "iss" => ("iss", value.text().and_then(|iss| once(&mut self.iss, iss))),
            "aud" if value.json() == "null" => ("aud", Err(Malformed)),
            "aud" => ("aud", once(&mut self.aud, value.json())),
            "tenant" => ("tenant", value.text().and_then(|it| once(&mut self.tenant, it))),
            "session_profile" => {
                let profile = &mut self.session_profile;
                ("session_profile", value.text().and_then(|it| once(profile, it)))
            }
            "auth_time" => {
                ("auth_time", seconds(value).and_then(|at| once(&mut self.auth_time, at)))
            }
            "iat" => {
                self.spans.iat = value.span();
                ("iat", seconds(value).and_then(|at| once(&mut self.iat, at)))
            }
            "exp" => {
                self.spans.exp = value.span();
                ("exp", seconds(value).and_then(|at| once(&mut self.exp, at)))
            }
            "jti" => ("jti", value.text().and_then(|_| once(&mut self.spans.jti, value.span()))),
            "nbf" => ("nbf", seconds(value).and_then(|at| once(&mut self.nbf, at))),
            "idle_max" => ("idle_max", seconds(value).and_then(|it| once(&mut self.idle_max, it))),
            "abs_max" => ("abs_max", seconds(value).and_then(|it| once(&mut self.abs_max, it))),
            "epoch" => ("epoch", milliseconds(value).and_then(|at| once(&mut self.epoch, at))),
            "claims_at" => {
                self.spans.claims_at = Some(value.span());
                ("claims_at", milliseconds(value).and_then(|at| once(&mut self.claims_at, at)))
            }
            "seen" => {
                self.spans.seen = Some(member.span.clone());
                ("seen", seconds(value).and_then(|at| once(&mut self.seen, at)))
            }
            "refresh_gen" => {
                self.spans.generation = Some(value.span());
                ("refresh_gen", generation(value).and_then(|it| once(&mut self.generation, it)))
            }
            _ => return Ok(()),
        };
        taken.map_err(|Malformed| InvalidTokenReason::MalformedClaim(claim).into())
    }

    /// The claims of a session with this `sid` and `auth_time`, a whole second.
    #[inline(always)]
    pub(crate) fn session(
        &self,
        sid: &str,
        auth_time: Timestamp,
    ) -> Result<SessionClaims, InvalidToken> {
        let missing = |claim| InvalidToken::new(InvalidTokenReason::MissingClaim(claim));
        let sub = self.sub.as_ref().ok_or(missing("sub"))?;
        let iat = self.iat.ok_or(missing("iat"))?;
        let exp = self.exp.ok_or(missing("exp"))?;
        let owned = |text: &Option<Cow<'_, str>>| text.as_deref().map(Box::from);
        Ok(SessionClaims {
            sub: Box::from(&**sub),
            sid: sid.into(),
            iss: owned(&self.iss),
            tenant: owned(&self.tenant),
            session_profile: owned(&self.session_profile),
            auth_time: self.epoch.map_or(auth_time, |epoch| auth_time.refined_by(epoch)),
            iat,
            exp,
            nbf: self.nbf,
            idle_max: self.idle_max.map(duration),
            abs_max: self.abs_max.map(duration),
            epoch: self.epoch,
            claims_at: self.claims_at,
            seen: self.seen,
            generation: self.generation.unwrap_or_default(),
            minted_by: MintedBy::ThisCrate,
        })
    }
}

/// Sets a claim that was not set before.
#[inline]
fn once<T>(claim: &mut Option<T>, value: T) -> Result<(), Malformed> {
    if claim.is_some() {
        return Err(Malformed);
    }
    *claim = Some(value);
    Ok(())
}

/// A string that is not empty.
pub(super) fn name(value: Written<'_>) -> Result<Cow<'_, str>, Malformed> {
    let text = value.text()?;
    if text.is_empty() { Err(Malformed) } else { Ok(text) }
}

/// A `NumericDate` or a number of seconds (RFC 7519 section 2), its fraction truncated.
#[inline]
pub(super) fn seconds(written: Written<'_>) -> Result<Timestamp, Malformed> {
    number(written).and_then(|number| in_range(Timestamp::from_secs(number)))
}

fn milliseconds(written: Written<'_>) -> Result<Timestamp, Malformed> {
    number(written).and_then(|number| in_range(Timestamp::from_millis(number)))
}

fn generation(written: Written<'_>) -> Result<u32, Malformed> {
    number(written).and_then(|number| u32::try_from(number).map_err(|_| Malformed))
}

/// A number that is not negative, its fraction truncated.
#[inline]
fn number(written: Written<'_>) -> Result<u64, Malformed> {
    match written.whole() {
        Some(whole) => Ok(whole),
        None => truncated(written.json()),
    }
}

/// Reads a JSON value itself: what `serde_json` makes of a number depends on its features, which any
/// crate of the build can turn on (`arbitrary_precision`).
#[cold]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and fits_a_claim is false for what saturated"
)]
fn truncated(json: &str) -> Result<u64, Malformed> {
    if let Some((whole, fraction)) = json.split_once('.')
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return whole.parse().map_err(|_| Malformed);
    }
    match json.parse::<f64>() {
        Ok(number) if number.is_sign_positive() => Ok(number as u64),
        _ => Err(Malformed),
    }
}

fn in_range(at: Timestamp) -> Result<Timestamp, Malformed> {
    if at.fits_a_claim() { Ok(at) } else { Err(Malformed) }
}

fn duration(since_epoch: Timestamp) -> Duration {
    since_epoch.since(Timestamp::EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p13_numbers_are_truncated_or_malformed() {
        let cases = [
            ("1800000000", Some(1_800_000_000)),
            ("1800000000.999", Some(1_800_000_000)),
            ("1800000000.99999999999999999999", Some(1_800_000_000)),
            ("253402300799.999", Some(253_402_300_799)),
            ("1800000000.5e0", Some(1_800_000_000)),
            ("18E+8", Some(1_800_000_000)),
            ("1.8e9", Some(1_800_000_000)),
            ("0", Some(0)),
            ("253402300799", Some(253_402_300_799)),
            ("253402300800", None),
            ("18446744073709551615", None),
            ("18446744073709551617", None),
            ("9999999999999999999", None),
            ("10000000000000000000001", None),
            ("99999999999999999999999", None),
            ("1e400", None),
            ("-1", None),
            ("-0.5", None),
            ("-0", None),
            ("-1.5", None),
            ("99999999999999999999.5", None),
            (r#"{"$serde_json::private::Number":"1"}"#, None),
            ("null", None),
            ("true", None),
            ("\"1800000000\"", None),
            ("[1]", None),
        ];
        for (json, expected) in cases {
            let payload = format!(r#"{{"nbf":{json}}}"#);
            let read = ParsedClaims::parse(&payload).ok().and_then(|claims| claims.nbf);
            assert_eq!(read.map(Timestamp::as_secs), expected, "{json}");
        }
    }

    #[test]
    fn a_claim_that_occurs_twice_is_malformed() {
        for payload in [
            r#"{"exp":1,"exp":2}"#,
            r#"{"nbf":null}"#,
            r#"{"sub":"a","\u0073ub":"b"}"#,
            r#"{"jti":"a","jti":"b"}"#,
        ] {
            assert!(ParsedClaims::parse(payload).is_err(), "{payload}");
        }
        assert!(ParsedClaims::parse(r#"{"role":"a","role":"b"}"#).is_ok());
    }

    #[test]
    fn a_payload_that_is_no_object_is_malformed() {
        for payload in ["", "[]", "1", "{", "{}x", r#"{"sub":""}"#, r#"{"jti":7}"#] {
            assert!(ParsedClaims::parse(payload).is_err(), "{payload}");
        }
    }

    #[test]
    fn spans_are_the_bytes_of_the_claims() {
        let payload = r#"{ "iat" : 1 , "exp":2.5,"\u0073een" : 3,"jti":"x"}"#;
        let parsed = ParsedClaims::parse(payload).expect("well-formed");
        let spans = parsed.spans;
        assert_eq!(&payload[spans.iat], "1");
        assert_eq!(&payload[spans.exp], "2.5");
        assert_eq!(&payload[spans.jti.expect("present")], r#""x""#);
        assert_eq!(&payload[spans.seen.expect("present")], r#""\u0073een" : 3"#);
    }
}
