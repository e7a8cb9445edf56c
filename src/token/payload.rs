//! One pass over a payload: the claims, and where they stand in it.

use std::{borrow::Cow, ops::Range, time::Duration};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::rules::{SessionClaims, Timestamp};

/// The payload is not a JSON object of well-formed claims.
#[derive(Debug)]
pub(crate) struct Malformed;

/// One member of a payload.
pub(crate) struct Member<'a> {
    /// Its name, unescaped.
    pub(crate) name: Cow<'a, str>,
    /// Where it stands: from the quote of its name to the end of its value.
    pub(crate) span: Range<usize>,
    /// Its value as written.
    pub(crate) value: &'a str,
}

impl Member<'_> {
    fn value_span(&self) -> Range<usize> {
        self.span.end - self.value.len()..self.span.end
    }
}

/// Calls `each` for every member of the JSON object `payload`, in order.
pub(crate) fn members<'a>(
    payload: &'a str,
    each: impl FnMut(Member<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut deserializer = serde_json::Deserializer::from_str(payload);
    deserializer
        .deserialize_map(Members { payload, each })
        .and_then(|()| deserializer.end())
        .map_err(|_| Malformed)
}

struct Members<'a, F> {
    payload: &'a str,
    each: F,
}

impl<'a, F> Visitor<'a> for Members<'a, F>
where
    F: FnMut(Member<'a>) -> Result<(), Malformed>,
{
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A>(mut self, mut map: A) -> Result<(), A::Error>
    where
        A: MapAccess<'a>,
    {
        let malformed = || serde::de::Error::custom("malformed claim");
        while let Some(key) = map.next_key::<&'a RawValue>()? {
            let value = map.next_value::<&'a RawValue>()?.get();
            let start = offset(self.payload, key.get());
            let end = offset(self.payload, value) + value.len();
            let name = text(key.get()).ok_or_else(malformed)?;
            (self.each)(Member { name, span: start..end, value })
                .map_err(|Malformed| malformed())?;
        }
        Ok(())
    }
}

/// Where `part`, a slice of `whole`, begins in it.
fn offset(whole: &str, part: &str) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// Where the claims that a successor exchanges stand in a payload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans {
    pub(crate) iat: Range<usize>,
    pub(crate) exp: Range<usize>,
    pub(crate) jti: Option<Range<usize>>,
    /// The whole member, its name included: a successor may drop it.
    pub(crate) seen: Option<Range<usize>>,
}

/// The claims of a payload before it is known whether they name a session.
#[derive(Default)]
pub(crate) struct ParsedClaims<'a> {
    pub(crate) sub: Option<Cow<'a, str>>,
    pub(crate) sid: Option<Cow<'a, str>>,
    pub(crate) iss: Option<Cow<'a, str>>,
    pub(crate) aud: Option<&'a str>,
    pub(crate) tenant: Option<Cow<'a, str>>,
    pub(crate) session_profile: Option<Cow<'a, str>>,
    pub(crate) auth_time: Option<Timestamp>,
    pub(crate) iat: Option<Timestamp>,
    pub(crate) exp: Option<Timestamp>,
    pub(crate) nbf: Option<Timestamp>,
    pub(crate) idle_max: Option<Timestamp>,
    pub(crate) abs_max: Option<Timestamp>,
    pub(crate) epoch: Option<Timestamp>,
    pub(crate) seen: Option<Timestamp>,
    pub(crate) spans: Spans,
}

impl<'a> ParsedClaims<'a> {
    /// Parses `payload`; a claim of ours that is malformed or stands twice is an error.
    pub(crate) fn parse(payload: &'a str) -> Result<Self, Malformed> {
        let mut claims = Self::default();
        members(payload, |member| claims.take(&member))?;
        Ok(claims)
    }

    fn take(&mut self, member: &Member<'a>) -> Result<(), Malformed> {
        let value = member.value;
        match &*member.name {
            "sub" => set(&mut self.sub, name(value)),
            "sid" => set(&mut self.sid, name(value)),
            "iss" => set(&mut self.iss, text(value)),
            "aud" => set(&mut self.aud, Some(value)),
            "tenant" => set(&mut self.tenant, text(value)),
            "session_profile" => set(&mut self.session_profile, text(value)),
            "auth_time" => set(&mut self.auth_time, seconds(value)),
            "iat" => {
                self.spans.iat = member.value_span();
                set(&mut self.iat, seconds(value))
            }
            "exp" => {
                self.spans.exp = member.value_span();
                set(&mut self.exp, seconds(value))
            }
            "nbf" => set(&mut self.nbf, seconds(value)),
            "idle_max" => set(&mut self.idle_max, seconds(value)),
            "abs_max" => set(&mut self.abs_max, seconds(value)),
            "epoch" => set(&mut self.epoch, milliseconds(value)),
            "seen" => {
                set(&mut self.spans.seen, Some(member.span.clone()))?;
                set(&mut self.seen, seconds(value))
            }
            "jti" => set(&mut self.spans.jti, text(value).map(|_| member.value_span())),
            _ => Ok(()),
        }
    }

    /// The claims as a session's, where `sid` and `auth_time` are given.
    pub(crate) fn into_session(
        self,
        sid: &str,
        auth_time: Timestamp,
    ) -> Result<(SessionClaims, Spans), Malformed> {
        let (Some(sub), Some(iat), Some(exp)) = (self.sub, self.iat, self.exp) else {
            return Err(Malformed);
        };
        let mut claims = SessionClaims::new(&sub, sid, auth_time, exp);
        claims.iat = iat;
        claims.iss = self.iss.as_deref().map(Box::from);
        claims.tenant = self.tenant.as_deref().map(Box::from);
        claims.session_profile = self.session_profile.as_deref().map(Box::from);
        claims.nbf = self.nbf;
        claims.idle_max = self.idle_max.map(duration);
        claims.abs_max = self.abs_max.map(duration);
        claims.epoch = self.epoch;
        claims.seen = self.seen;
        Ok((claims, self.spans))
    }
}

fn set<T>(slot: &mut Option<T>, value: Option<T>) -> Result<(), Malformed> {
    if value.is_none() || slot.is_some() {
        return Err(Malformed);
    }
    *slot = value;
    Ok(())
}

/// A JSON string, unescaped; borrowed where nothing was escaped.
fn text(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// A JSON string that names something: not empty.
fn name(json: &str) -> Option<Cow<'_, str>> {
    text(json).filter(|text| !text.is_empty())
}

/// A `NumericDate` or a number of seconds (RFC 7519 section 2): a fraction is cut off.
fn seconds(json: &str) -> Option<Timestamp> {
    number(json).map(Timestamp::from_secs).filter(|at| at.fits_a_claim())
}

fn milliseconds(json: &str) -> Option<Timestamp> {
    number(json).map(Timestamp::from_millis).filter(|at| at.fits_a_claim())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from float to integer saturates, and fits_a_claim refuses what saturated"
)]
fn number(json: &str) -> Option<u64> {
    if !json.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    json.parse().ok().or_else(|| json.parse::<f64>().ok().map(|number| number as u64))
}

fn duration(since_epoch: Timestamp) -> Duration {
    since_epoch.since(Timestamp::EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p13_numbers_are_read_truncated_or_refused() {
        let cases = [
            ("1800000000", Some(1_800_000_000)),
            ("1800000000.999", Some(1_800_000_000)),
            ("1.8e9", Some(1_800_000_000)),
            ("0", Some(0)),
            ("253402300799", Some(253_402_300_799)),
            ("253402300800", None),
            ("18446744073709551615", None),
            ("99999999999999999999999", None),
            ("1e400", None),
            ("-1", None),
            ("-0.5", None),
            ("null", None),
            ("true", None),
            ("\"1800000000\"", None),
            ("[1]", None),
        ];
        for (json, expected) in cases {
            assert_eq!(seconds(json).map(Timestamp::as_secs), expected, "{json}");
        }
    }

    #[test]
    fn a_claim_that_stands_twice_is_malformed() {
        for payload in
            [r#"{"exp":1,"exp":2}"#, r#"{"sub":"a","\u0073ub":"b"}"#, r#"{"jti":"a","jti":"b"}"#]
        {
            assert!(ParsedClaims::parse(payload).is_err(), "{payload}");
        }
        assert!(ParsedClaims::parse(r#"{"role":"a","role":"b"}"#).is_ok());
    }

    #[test]
    fn what_is_not_an_object_is_malformed() {
        for payload in ["", "[]", "1", "{", "{}x", r#"{"sub":""}"#, r#"{"jti":7}"#] {
            assert!(ParsedClaims::parse(payload).is_err(), "{payload}");
        }
    }

    #[test]
    fn spans_point_at_what_was_written() {
        let payload = r#"{ "iat" : 1 , "exp":2.5,"\u0073een" : 3,"jti":"x"}"#;
        let spans = ParsedClaims::parse(payload).expect("well-formed").spans;
        assert_eq!(&payload[spans.iat], "1");
        assert_eq!(&payload[spans.exp], "2.5");
        assert_eq!(&payload[spans.jti.expect("present")], r#""x""#);
        assert_eq!(&payload[spans.seen.expect("present")], r#""\u0073een" : 3"#);
    }
}
