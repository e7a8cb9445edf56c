//! One pass over a payload: the claims, and where they stand in it.

use std::{borrow::Cow, ops::Range, time::Duration};

use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::rules::{SessionClaims, Timestamp};

/// The payload is not a JSON object of well-formed claims.
#[derive(Debug)]
pub(crate) struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("malformed claim")
    }
}

/// One member of a payload.
pub(crate) struct Member<'a> {
    /// Its name, unescaped.
    pub(crate) name: Cow<'a, str>,
    /// Where it stands: from the quote of its name to the end of its value.
    pub(crate) span: Range<usize>,
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
            let name: Text<'a> = serde_json::from_str(key.get()).map_err(|_| malformed())?;
            (self.each)(Member { name: name.0, span: start..end })
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
///
/// Claims of ours that stand twice, or are `null`, are malformed; other members are skipped.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct ParsedClaims<'a> {
    #[serde(borrow, deserialize_with = "present")]
    pub(crate) sub: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "present")]
    pub(crate) sid: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "present")]
    pub(crate) iss: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "present")]
    pub(crate) aud: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    pub(crate) tenant: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "present")]
    pub(crate) session_profile: Option<Text<'a>>,
    #[serde(deserialize_with = "present")]
    pub(crate) auth_time: Option<Seconds>,
    #[serde(borrow, deserialize_with = "present")]
    iat: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    exp: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    jti: Option<&'a RawValue>,
    #[serde(deserialize_with = "present")]
    nbf: Option<Seconds>,
    #[serde(deserialize_with = "present")]
    idle_max: Option<Seconds>,
    #[serde(deserialize_with = "present")]
    abs_max: Option<Seconds>,
    #[serde(deserialize_with = "present")]
    epoch: Option<Milliseconds>,
    #[serde(borrow, deserialize_with = "present")]
    seen: Option<&'a RawValue>,
}

fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A JSON string, borrowed where nothing was escaped.
#[derive(Clone, Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn borrow(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }
}

/// A `NumericDate` or a number of seconds (RFC 7519 section 2): a fraction is cut off.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "Number")]
pub(crate) struct Seconds(pub(crate) Timestamp);

#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "Number")]
struct Milliseconds(Timestamp);

impl TryFrom<Number> for Seconds {
    type Error = Malformed;

    fn try_from(number: Number) -> Result<Self, Malformed> {
        let at = Timestamp::from_secs(number.0);
        if at.fits_a_claim() { Ok(Self(at)) } else { Err(Malformed) }
    }
}

impl TryFrom<Number> for Milliseconds {
    type Error = Malformed;

    fn try_from(number: Number) -> Result<Self, Malformed> {
        let at = Timestamp::from_millis(number.0);
        if at.fits_a_claim() { Ok(Self(at)) } else { Err(Malformed) }
    }
}

/// A JSON number that is not negative, its fraction cut off.
struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_any(NumberVisitor).map(Self)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number that is not negative")
    }

    fn visit_u64<E>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and fits_a_claim refuses what saturated"
    )]
    fn visit_f64<E>(self, number: f64) -> Result<u64, E>
    where
        E: serde::de::Error,
    {
        if number.is_sign_negative() {
            return Err(E::custom("a negative number"));
        }
        Ok(number as u64)
    }
}

/// Where the value `raw` stands in `payload`.
fn span(payload: &str, raw: &RawValue) -> Range<usize> {
    let start = offset(payload, raw.get());
    start..start + raw.get().len()
}

/// Where the member with `value` stands in `payload`, its name included.
fn member_span(payload: &str, value: &RawValue) -> Range<usize> {
    let value = span(payload, value);
    let before = payload[..value.start].trim_end().trim_end_matches(':').trim_end();
    let name = before.strip_suffix('"').unwrap_or(before);
    let is_quote = |at: usize| {
        let escapes = name[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        escapes % 2 == 0
    };
    let start = name.rmatch_indices('"').map(|(at, _)| at).find(|at| is_quote(*at));
    start.unwrap_or(value.start)..value.end
}

impl<'a> ParsedClaims<'a> {
    /// Parses `payload`, a JSON object.
    #[inline]
    pub(crate) fn parse(payload: &'a str) -> Result<Self, Malformed> {
        if !payload.trim_start().starts_with('{') {
            // A sequence would fill the fields in their order.
            return Err(Malformed);
        }
        let claims: Self = serde_json::from_str(payload).map_err(|_| Malformed)?;
        let is_empty = |text: &Option<Text<'_>>| text.as_ref().is_some_and(|it| it.0.is_empty());
        if is_empty(&claims.sub) || is_empty(&claims.sid) {
            return Err(Malformed);
        }
        Ok(claims)
    }

    /// `iat`, if there is one.
    pub(crate) fn issued_at(&self) -> Result<Option<Timestamp>, Malformed> {
        self.iat.map(seconds).transpose()
    }

    /// Where the claims that a successor exchanges stand.
    #[inline]
    pub(crate) fn spans(&self, payload: &str) -> Result<Spans, Malformed> {
        if self.jti.is_some_and(|jti| !jti.get().starts_with('"')) {
            return Err(Malformed);
        }
        let here = |raw: Option<&RawValue>| raw.map(|raw| span(payload, raw));
        Ok(Spans {
            iat: here(self.iat).unwrap_or_default(),
            exp: here(self.exp).unwrap_or_default(),
            jti: here(self.jti),
            seen: self.seen.map(|seen| member_span(payload, seen)),
        })
    }

    /// The claims as a session's, where `sid` and `auth_time` are given.
    #[inline]
    pub(crate) fn session(
        &self,
        sid: &str,
        auth_time: Timestamp,
    ) -> Result<SessionClaims, Malformed> {
        let (Some(sub), Some(iat), Some(exp)) = (&self.sub, self.iat, self.exp) else {
            return Err(Malformed);
        };
        let owned = |text: &Option<Text<'_>>| text.as_ref().map(|text| Box::from(&*text.0));
        Ok(SessionClaims {
            sub: Box::from(&*sub.0),
            sid: sid.into(),
            iss: owned(&self.iss),
            tenant: owned(&self.tenant),
            session_profile: owned(&self.session_profile),
            auth_time,
            iat: seconds(iat)?,
            exp: seconds(exp)?,
            nbf: self.nbf.map(|nbf| nbf.0),
            idle_max: self.idle_max.map(|idle| duration(idle.0)),
            abs_max: self.abs_max.map(|absolute| duration(absolute.0)),
            epoch: self.epoch.map(|epoch| epoch.0),
            seen: self.seen.map(seconds).transpose()?,
        })
    }
}

fn seconds(raw: &RawValue) -> Result<Timestamp, Malformed> {
    // Nearly all are whole numbers, which need no second parser.
    let parsed = match raw.get().parse().map(Number) {
        Ok(whole) => Seconds::try_from(whole),
        Err(_) => serde_json::from_str(raw.get()).map_err(|_| Malformed),
    };
    parsed.map(|at| at.0)
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
            let read = serde_json::from_str::<Seconds>(json).ok();
            assert_eq!(read.map(|at| at.0.as_secs()), expected, "{json}");
        }
    }

    #[test]
    fn a_claim_that_stands_twice_is_malformed() {
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
    fn what_is_not_an_object_is_malformed() {
        for payload in ["", "[]", "1", "{", "{}x", r#"{"sub":""}"#, r#"{"jti":7}"#] {
            let parsed = ParsedClaims::parse(payload);
            assert!(parsed.and_then(|it| it.spans(payload)).is_err(), "{payload}");
        }
    }

    #[test]
    fn spans_point_at_what_was_written() {
        let payload = r#"{ "iat" : 1 , "exp":2.5,"\u0073een" : 3,"jti":"x"}"#;
        let parsed = ParsedClaims::parse(payload).expect("well-formed");
        let spans = parsed.spans(payload).expect("well-formed");
        assert_eq!(&payload[spans.iat], "1");
        assert_eq!(&payload[spans.exp], "2.5");
        assert_eq!(&payload[spans.jti.expect("present")], r#""x""#);
        assert_eq!(&payload[spans.seen.expect("present")], r#""\u0073een" : 3"#);
    }
}
