//! What a client reads in its own tokens, without verifying them.

use base64_simd::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The claims by which a client tells its tokens apart. They are not verified: they come from the
/// server that the client trusts with its tokens.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct UnverifiedClaims {
    sid: Option<String>,
    iat: f64,
    /// In milliseconds; zero if the token has none.
    claims_at: f64,
    exp: f64,
    jti: Option<Box<str>>,
    user: User,
}

/// Whom a token is for, as JSON: an old token may name its subject by a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct User {
    iss: Option<Box<str>>,
    tenant: Option<Box<str>>,
    sub: Option<Box<str>>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    sid: Option<String>,
    iat: f64,
    exp: f64,
    #[serde(borrow)]
    claims_at: Option<&'a RawValue>,
    #[serde(borrow)]
    jti: Option<&'a RawValue>,
    #[serde(borrow)]
    iss: Option<&'a RawValue>,
    #[serde(borrow)]
    tenant: Option<&'a RawValue>,
    #[serde(borrow)]
    sub: Option<&'a RawValue>,
}

impl UnverifiedClaims {
    /// The claims in the payload of `token`; `None` if it is no JWT, or has no times.
    pub(super) fn read(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (_, payload) = (parts.next()?, parts.next()?);
        let payload = URL_SAFE_NO_PAD.decode_to_vec(payload).ok()?;
        let payload: Payload<'_> = serde_json::from_slice(&payload).ok()?;
        let text = |value: Option<&RawValue>| value.map(|value| value.get().into());
        let user =
            User { iss: text(payload.iss), tenant: text(payload.tenant), sub: text(payload.sub) };
        // A token of another system may have another claim of this name.
        let claims_at = payload.claims_at.and_then(|value| value.get().parse().ok());
        Some(Self {
            sid: payload.sid,
            iat: payload.iat.trunc(),
            claims_at: claims_at.unwrap_or_default(),
            exp: payload.exp.trunc(),
            jti: text(payload.jti),
            user,
        })
    }

    pub(super) fn has_sid(&self) -> bool {
        self.sid.is_some()
    }

    /// Whether both are of one session.
    pub(super) fn is_of_session_of(&self, other: &Self) -> bool {
        self.sid.is_some() && self.sid == other.sid
    }

    /// Whether both are of one user, who may have signed in again.
    pub(super) fn is_of_user_of(&self, other: &Self) -> bool {
        self.user.sub.is_some() && self.user == other.user
    }

    /// Whether it was minted after `other`. Of two tokens of one second the newer one has the claims of a
    /// later change (P37), or lives longer (P8).
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        let order = |claims: &Self| [claims.iat, claims.claims_at, claims.exp];
        order(self) > order(other)
    }

    /// Whether it is another token of the same second, and neither is newer than the other.
    pub(super) fn is_coeval_with(&self, other: &Self) -> bool {
        !self.is_newer_than(other) && !other.is_newer_than(self) && self.jti != other.jti
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(payload: &str) -> String {
        format!("h.{}.s", URL_SAFE_NO_PAD.encode_to_string(payload))
    }

    fn read(payload: &str) -> Option<UnverifiedClaims> {
        UnverifiedClaims::read(&token(payload))
    }

    #[test]
    fn p08_the_later_mint_of_the_same_session_is_the_newer() {
        let claims = |iat: u64, exp: u64| {
            read(&format!(r#"{{"sid":"a","iat":{iat},"exp":{exp}}}"#)).expect("readable")
        };
        let held = claims(100, 200);
        for (iat, exp, is_newer) in [
            (101, 150, true),
            (100, 201, true),
            (100, 200, false),
            (100, 199, false),
            (99, 300, false),
        ] {
            assert_eq!(claims(iat, exp).is_newer_than(&held), is_newer, "{iat} {exp}");
        }
        assert!(
            !read(r#"{"sid":"b","iat":101,"exp":300}"#).expect("readable").is_of_session_of(&held)
        );
        assert!(!read(r#"{"iat":101,"exp":300}"#).expect("readable").is_of_session_of(&held));
    }

    #[test]
    fn p37_of_one_second_the_claims_of_the_later_change_are_the_newer() {
        let claims = |changed: &str, exp: u64| {
            read(&format!(r#"{{"sid":"a","iat":100,"exp":{exp}{changed}}}"#)).expect("readable")
        };
        let changed_at = |at: u64, exp: u64| claims(&format!(r#","claims_at":{at}"#), exp);
        for (newer, older) in [
            (changed_at(5, 200), claims("", 200)),
            (changed_at(6, 200), changed_at(5, 200)),
            (changed_at(5, 150), claims("", 200)),
            (changed_at(5, 201), changed_at(5, 200)),
            // Not the claim of this crate.
            (claims(r#","claims_at":"yesterday""#, 201), claims("", 200)),
        ] {
            assert!(newer.is_newer_than(&older), "{newer:?} {older:?}");
            assert!(!older.is_newer_than(&newer), "{newer:?} {older:?}");
            assert!(!newer.is_coeval_with(&older), "{newer:?} {older:?}");
        }
    }

    #[test]
    fn a_user_is_a_subject_of_one_account_of_one_issuer() {
        let of = |user: &str| read(&format!(r#"{{"iat":1,"exp":2{user}}}"#)).expect("readable");
        let ada = of(r#","sub":"ada","tenant":"acme""#);
        assert!(ada.is_of_user_of(&of(r#","tenant":"acme","sub":"ada""#)));
        for other in [
            r#","sub":"bob","tenant":"acme""#,
            r#","sub":"ada","tenant":"globex""#,
            r#","sub":"ada""#,
            r#","sub":"ada","tenant":"acme","iss":"x""#,
            "",
        ] {
            assert!(!of(other).is_of_user_of(&ada), "{other}");
        }
        assert!(!of("").is_of_user_of(&of("")), "nobody is not a user");
    }

    #[test]
    fn p13_a_payload_that_is_no_session_token_is_not_read() {
        for payload in [
            "",
            "{}",
            "[]",
            "null",
            "7",
            "{\"iat\":1}",
            r#"{"iat":"1","exp":2}"#,
            r#"{"iat":1,"exp":2,"sid":7}"#,
            r#"{"iat":1,"iat":2,"exp":2}"#,
            r#"{"iat":1e999,"exp":2}"#,
        ] {
            assert_eq!(read(payload), None, "{payload}");
        }
        for extreme in ["-1", "1e300", "-1e300", "0.5", "18446744073709551616"] {
            assert!(
                read(&format!(r#"{{"iat":{extreme},"exp":{extreme}}}"#)).is_some(),
                "{extreme}"
            );
        }
        assert_eq!(read(&"[".repeat(100_000)), None);
        for text in ["", ".", "..", "a.b", "a.=.c", "a.\u{e9}.c"] {
            assert_eq!(UnverifiedClaims::read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn p13_no_payload_panics(payload in ".{0,200}", raw in ".{0,60}") {
            read(&payload);
            UnverifiedClaims::read(&raw);
            UnverifiedClaims::read(&format!("a.{raw}.c"));
        }
    }
}
