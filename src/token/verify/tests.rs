use super::*;
use crate::{
    rejection::InvalidTokenReason::{
        Algorithm, CriticalHeader, MalformedHeader, MissingClaim, Type,
    },
    token::{AdoptedSession, SigningKey, keys},
};

const SECRET: [u8; 32] = [7; 32];
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const GOOD: &str = r#"{"sub":"ada","sid":"s1","auth_time":1,"iat":1,"exp":2}"#;

fn verifier() -> TokenVerifier {
    TokenVerifier::new(Arc::new(JwtKeys::hs256(SECRET).expect("long enough")))
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// A token of these parts, signed with HS256.
fn token(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let signed = format!("{}.{}", encode(header), encode(payload));
    let keys = JwtKeys::hs256(SECRET).expect("long enough");
    let signature = keys.current().sign(signed.as_bytes()).expect("signed");
    format!("{signed}.{}", encode(signature))
}

fn with(member: &str) -> String {
    token(HEADER, format!("{},{member}}}", GOOD.trim_end_matches('}')))
}

fn reason(verifier: &TokenVerifier, token: &str) -> InvalidTokenReason {
    verifier.verify(token, Timestamp::EPOCH).expect_err("the token is not valid").reason()
}

#[test]
fn every_reason_of_an_invalid_token_is_named() {
    let (signed, signature) = {
        let good = token(HEADER, GOOD);
        let (signed, signature) = good.rsplit_once('.').expect("three parts");
        (signed.to_owned(), signature.to_owned())
    };
    assert!(verifier().verify(format!("{signed}.{signature}"), Timestamp::EPOCH).is_ok());
    let long = "x".repeat(MAX_TOKEN + 1);
    let long_signature = format!("{signed}.{}", "A".repeat(MAX_SIGNATURE * 4 / 3 + 8));
    let cases = [
        (String::new(), Malformed),
        ("a".to_owned(), Malformed),
        ("a.b".to_owned(), Malformed),
        // Four parts: the first three are what the last one would sign.
        (format!("{signed}.{signature}.{signature}"), Signature),
        (format!("{signed}.!"), Malformed),
        (format!("!.{}.{signature}", encode(GOOD)), Malformed),
        (long, TooLong),
        (token("[]", GOOD), MalformedHeader),
        (token(r#"{"typ":"JWT"}"#, GOOD), MalformedHeader),
        (token(r#"{"alg":7}"#, GOOD), MalformedHeader),
        (token(r#"{"alg":"HS256","crit":["exp"]}"#, GOOD), CriticalHeader),
        (token(r#"{"alg":"HS256","typ":"rt+jwt"}"#, GOOD), Type),
        (token(r#"{"alg":"HS256","kid":"other"}"#, GOOD), UnknownKey),
        (token(r#"{"alg":"none"}"#, GOOD), Algorithm),
        (token(r#"{"alg":"HS384"}"#, GOOD), Algorithm),
        (format!("{signed}.{}", encode([0; 32])), Signature),
        (long_signature, Signature),
        (token(HEADER, "[]"), MalformedPayload),
        (token(HEADER, "{"), MalformedPayload),
        (token(HEADER, [b'{', 0xFF, b'}']), MalformedPayload),
        (with(r#""aud":"them""#), Audience),
        (with(r#""aud":7"#), MalformedClaim("aud")),
        (token(HEADER, "{}"), LegacyToken),
        (token(HEADER, GOOD.replace(r#""sid":"s1","#, "")), LegacyToken),
        (token(HEADER, GOOD.replace(r#""auth_time":1,"#, "")), LegacyToken),
    ];
    for (token, expected) in cases {
        assert_eq!(reason(&verifier(), &token), expected, "{token}");
    }
    let issuer = verifier().issuer("https://us");
    assert_eq!(reason(&issuer, &with(r#""iss":"https://them""#)), Issuer);
    assert_eq!(reason(&issuer, &token(HEADER, GOOD)), Issuer);
    let audience = verifier().audience("us");
    assert_eq!(reason(&audience, &with(r#""aud":["them"]"#)), Audience);
}

#[test]
fn a_malformed_or_missing_claim_is_named() {
    for claim in ["sub", "sid", "iss", "tenant", "session_profile", "jti"] {
        let payload = format!(r#"{{"{claim}":7}}"#);
        assert_eq!(reason(&verifier(), &token(HEADER, payload)), MalformedClaim(claim));
    }
    for claim in ["auth_time", "iat", "exp", "nbf", "idle_max", "abs_max", "epoch", "seen"] {
        for value in ["-1", "null", "\"1\"", "1e300"] {
            let payload = format!(r#"{{"{claim}":{value}}}"#);
            let found = reason(&verifier(), &token(HEADER, payload));
            assert_eq!(found, MalformedClaim(claim), "{value}");
        }
    }
    for (claim, value) in [("sub", "\"a\""), ("sid", "\"a\""), ("exp", "1"), ("seen", "1")] {
        let twice = format!(r#"{{"{claim}":{value},"{claim}":{value}}}"#);
        assert_eq!(reason(&verifier(), &token(HEADER, twice)), MalformedClaim(claim));
    }
    let without = |member: &str| token(HEADER, GOOD.replace(member, ""));
    assert_eq!(reason(&verifier(), &without(r#""sub":"ada","#)), MissingClaim("sub"));
    assert_eq!(reason(&verifier(), &without(r#""iat":1,"#)), MissingClaim("iat"));
    assert_eq!(reason(&verifier(), &without(r#","exp":2"#)), MissingClaim("exp"));
    let adopting = verifier().legacy(LegacyTokens::adopt(|_| Some(AdoptedSession::new("ada"))));
    assert_eq!(reason(&adopting, &token(HEADER, r#"{"sub":"ada"}"#)), MissingClaim("iat"));
}

#[test]
fn a_refresh_token_is_of_another_type() {
    let refresh = token(r#"{"alg":"HS256","typ":"rt+jwt"}"#, GOOD);
    assert!(verifier().verify_refresh(&refresh).is_ok());
    let invalid = verifier().verify_refresh(&token(HEADER, GOOD)).expect_err("an access token");
    assert_eq!(invalid.reason(), Type);
}

#[test]
fn p10_an_error_contains_no_text_of_the_token() {
    for token in ["telling.telling.telling", &with(r#""aud":"telling""#)] {
        let invalid = verifier().verify(token, Timestamp::EPOCH).expect_err("not valid");
        let shown = format!("{invalid} {invalid:?}");
        assert!(!shown.contains("telling"), "{shown}");
    }
}

#[test]
fn a_key_of_the_set_is_found_by_its_kid() {
    let set = JwtKeys::hs256(SECRET).expect("long enough");
    let next = SigningKey::hmac(keys::Algorithm::HS256, [8; 32]).expect("long enough").kid("next");
    set.rotate(next).expect("another kid");
    let verifier = TokenVerifier::new(Arc::new(set));
    let unknown = token(r#"{"alg":"HS256","kid":"last"}"#, GOOD);
    assert_eq!(reason(&verifier, &unknown), UnknownKey);
    let known = token(r#"{"alg":"HS256","kid":"next"}"#, GOOD);
    assert_eq!(reason(&verifier, &known), Signature);
}
