//! Keys that sign, keys that verify, and keys that are refused.
//!
//! The key pairs in `keys_pem/` were made with `openssl genpkey` and are used in tests only.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tower_sliding_session::{
    JwtKeys, RejectionKind,
    token::{Algorithm, KeyErrorKind, SigningKey, VerifyingKey},
};

use crate::test_stack::{
    BEGIN, HOUR, MILLI, SECRET, TestStack, claims, forge, patient, rejected, renewed, signed,
};

const ES256: &str = include_str!("../keys_pem/es256.private.pem");
const ES256_PUBLIC: &str = include_str!("../keys_pem/es256.public.pem");
/// The members of `ES256_PUBLIC` as a JWK.
const ES256_JWK: &str = include_str!("../keys_pem/es256.public.jwk");
const ES384: &str = include_str!("../keys_pem/es384.private.pem");
const ES384_PUBLIC: &str = include_str!("../keys_pem/es384.public.pem");
const EDDSA: &str = include_str!("../keys_pem/eddsa.private.pem");
const EDDSA_PUBLIC: &str = include_str!("../keys_pem/eddsa.public.pem");
const RS256: &str = include_str!("../keys_pem/rs256.private.pem");
const RS256_PUBLIC: &str = include_str!("../keys_pem/rs256.public.pem");
/// A token issued at `BEGIN`, signed with `openssl dgst -sha256 -sign`.
const RS256_TOKEN: &str = include_str!("../keys_pem/rs256.jwt");
const RSA_1024_PUBLIC: &str = include_str!("../keys_pem/rsa1024.public.pem");

const PAIRS: [(Algorithm, &str, &str); 3] = [
    (Algorithm::ES256, ES256, ES256_PUBLIC),
    (Algorithm::ES384, ES384, ES384_PUBLIC),
    (Algorithm::EdDSA, EDDSA, EDDSA_PUBLIC),
];

const INVALID: Option<RejectionKind> = Some(RejectionKind::InvalidToken);

fn stack(keys: &Arc<JwtKeys>) -> TestStack {
    TestStack::with_keys(Arc::clone(keys), patient(), |builder| builder)
}

fn hmac(byte: u8) -> SigningKey {
    SigningKey::hmac(Algorithm::HS256, [byte; 32]).expect("a secret of at least 32 bytes")
}

fn only(key: SigningKey) -> Arc<JwtKeys> {
    Arc::new(JwtKeys::new(key))
}

fn header(token: &str) -> serde_json::Value {
    let header = token.split('.').next().expect("a header");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).expect("base64url")).expect("an object")
}

fn payload() -> String {
    let now = BEGIN.as_secs();
    format!(r#"{{"sub":"ada","sid":"s1","auth_time":{now},"iat":{now},"exp":{}}}"#, now + 3600)
}

#[tokio::test]
async fn after_a_rotation_the_new_key_signs_and_both_verify() {
    let keys = only(hmac(1).kid("old"));
    let stack = stack(&keys);
    let before = stack.sign_in().await;
    keys.rotate(hmac(2).kid("new")).expect("a free kid");
    let after = stack.sign_in().await;
    assert_eq!((&header(&before)["kid"], &header(&after)["kid"]), (&"old".into(), &"new".into()));
    assert_eq!(rejected(&stack.get(&before).await), None);
    assert_eq!(rejected(&stack.get(&after).await), None);
    let successor =
        renewed(&stack.at(HOUR / 2 + MILLI).get(&before).await).expect("renewal is due");
    assert_eq!(header(&successor)["kid"], "new");
    assert_eq!(claims(&successor)["sid"], claims(&before)["sid"]);
}

#[tokio::test]
async fn p11_a_retired_kid_is_rejected() {
    for (old, new) in [
        (hmac(1).kid("old"), hmac(2).kid("new")),
        (
            SigningKey::from_pem(Algorithm::ES256, ES256).expect("a key").kid("old"),
            SigningKey::from_pem(Algorithm::EdDSA, EDDSA).expect("a key").kid("new"),
        ),
    ] {
        let keys = only(old);
        let stack = stack(&keys);
        let before = stack.sign_in().await;
        keys.rotate(new).expect("a free kid");
        let after = stack.sign_in().await;
        assert_eq!(rejected(&stack.get(&before).await), None);
        keys.remove("old").expect("a key of the set");
        assert_eq!(rejected(&stack.get(&before).await), INVALID);
        assert_eq!(rejected(&stack.get(&after).await), None);
    }
}

#[tokio::test]
async fn p11_a_retired_key_is_rejected_under_another_kid() {
    let keys = only(hmac(1).kid("old"));
    keys.rotate(hmac(2).kid("new")).expect("a free kid");
    keys.remove("old").expect("a key of the set");
    let stack = stack(&keys);
    for header in
        [r#"{"alg":"HS256","kid":"new"}"#, r#"{"alg":"HS256","kid":"old"}"#, r#"{"alg":"HS256"}"#]
    {
        let token = forge(header, &payload(), &[1; 32]);
        assert_eq!(rejected(&stack.get(&token).await), INVALID, "{header}");
    }
}

#[tokio::test]
async fn a_key_set_without_kid_can_rotate_and_remove_the_first_key() {
    let keys = Arc::new(JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes"));
    let stack = stack(&keys);
    let unnamed = stack.sign_in().await;
    assert_eq!(header(&unnamed).get("kid"), None);
    assert!(keys.remove(None).is_err(), "the signing key cannot be removed");
    keys.rotate(hmac(2).kid("new")).expect("a free kid");
    let named = stack.sign_in().await;
    assert_eq!(rejected(&stack.get(&unnamed).await), None);
    assert_eq!(rejected(&stack.get(&named).await), None);
    keys.remove(None).expect("a key of the set");
    assert_eq!(rejected(&stack.get(&unnamed).await), INVALID);
    assert_eq!(rejected(&stack.get(&named).await), None);
}

#[tokio::test]
async fn a_token_without_kid_is_verified_by_the_sole_or_the_legacy_key() {
    let unnamed = forge(r#"{"alg":"HS256"}"#, &payload(), &[1; 32]);
    let keys = only(hmac(1).kid("a"));
    assert_eq!(rejected(&stack(&keys).get(&unnamed).await), None, "sole");
    keys.rotate(hmac(2).kid("b")).expect("a free kid");
    assert_eq!(rejected(&stack(&keys).get(&unnamed).await), INVALID, "one of two keys");
    let keys = only(hmac(1).kid("a").legacy());
    keys.rotate(hmac(2).kid("b")).expect("a free kid");
    assert_eq!(rejected(&stack(&keys).get(&unnamed).await), None, "marked as legacy");
}

#[test]
fn an_invalid_key_change_is_refused_and_changes_nothing() {
    let keys = only(hmac(1).kid("a"));
    assert!(keys.rotate(hmac(2).kid("a")).is_err(), "the kid is taken");
    assert!(keys.remove("a").is_err(), "the signing key cannot be removed");
    assert!(keys.remove("b").is_err(), "unknown");
    assert!(keys.remove(None).is_err(), "every key has a kid");
    let verifying =
        || VerifyingKey::hmac(Algorithm::HS256, [3; 32]).expect("a secret of at least 32 bytes");
    keys.add(verifying()).expect("the first key without kid");
    assert!(keys.add(verifying()).is_err(), "a second key without kid");
    assert!(keys.add(verifying().kid("a")).is_err(), "the kid is taken");
    keys.remove(None).expect("a key of the set");
}

#[test]
fn a_secret_is_as_long_as_the_output_of_its_hash_function() {
    for (algorithm, shortest) in
        [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)]
    {
        for (length, expected) in
            [(0, false), (shortest - 1, false), (shortest, true), (shortest + 1, true)]
        {
            let secret = vec![7; length];
            let made = SigningKey::hmac(algorithm, &secret);
            assert_eq!(made.is_ok(), expected, "{algorithm} {length}");
            assert_eq!(VerifyingKey::hmac(algorithm, &secret).is_ok(), expected, "{length}");
            let oct = format!(r#"{{"kty":"oct","k":"{}"}}"#, URL_SAFE_NO_PAD.encode(&secret));
            assert_eq!(VerifyingKey::from_jwk(algorithm, &oct).is_ok(), expected, "{length}");
            if let Err(refused) = made {
                assert_eq!(refused.kind(), KeyErrorKind::TooShort);
                assert!(
                    refused.to_string().contains(&format!("{algorithm} has at least {shortest}"))
                );
            }
        }
    }
    assert!(JwtKeys::hs256([7; 31]).is_err() && JwtKeys::hs256([7; 32]).is_ok());
    assert!(SigningKey::hmac(Algorithm::ES256, SECRET).is_err());
}

#[tokio::test]
async fn every_hmac_algorithm_signs_what_it_verifies() {
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let key = SigningKey::hmac(algorithm, [7; 64]).expect("a secret of at least 32 bytes");
        let stack = stack(&only(key));
        let token = stack.sign_in().await;
        assert_eq!(header(&token)["alg"], format!("{algorithm:?}"));
        assert_eq!(rejected(&stack.get(&token).await), None, "{algorithm:?}");
    }
}

#[tokio::test]
async fn p11_a_public_key_is_refused_as_hmac_secret() {
    let pair = || SigningKey::from_pem(Algorithm::ES256, ES256).expect("a key");
    let mixed = only(hmac(1).kid("secret"));
    mixed
        .add(VerifyingKey::from_pem(Algorithm::ES256, ES256_PUBLIC).expect("a key").kid("pair"))
        .expect("a free kid");
    for keys in [only(pair()), only(pair().kid("pair")), mixed] {
        let stack = stack(&keys);
        for pem in [ES256_PUBLIC, ES256_PUBLIC.trim_end()] {
            for header in [
                r#"{"alg":"HS256","typ":"JWT"}"#,
                r#"{"alg":"HS256","kid":"pair"}"#,
                r#"{"alg":"ES256","kid":"pair"}"#,
                r#"{"alg":"ES256","typ":"JWT"}"#,
            ] {
                let token = forge(header, &payload(), pem.as_bytes());
                assert_eq!(rejected(&stack.get(&token).await), INVALID, "{header}");
            }
        }
    }
}

#[tokio::test]
async fn a_private_key_signs_and_its_public_key_verifies() {
    for (algorithm, private, public) in PAIRS {
        let key = SigningKey::from_pem(algorithm, private).expect("a key").kid("pair");
        let issuer = stack(&only(key));
        let token = issuer.sign_in().await;
        assert_eq!(header(&token)["alg"], format!("{algorithm:?}"));
        assert_eq!(rejected(&issuer.get(&token).await), None, "{algorithm:?}");
        let keys = only(hmac(1).kid("own"));
        let public = VerifyingKey::from_pem(algorithm, public).expect("a key").kid("pair");
        keys.add(public).expect("a free kid");
        let resource = stack(&keys);
        assert_eq!(rejected(&resource.get(&token).await), None, "{algorithm:?}");
        let (start, signature) = token.rsplit_once('.').expect("three parts");
        let flipped = if signature.starts_with('A') { "B" } else { "A" };
        let changed = format!("{start}.{flipped}{}", &signature[1..]);
        assert_eq!(rejected(&resource.get(&changed).await), INVALID, "{algorithm:?}");
    }
}

#[test]
fn a_pem_of_another_algorithm_is_refused() {
    for (algorithm, private, public) in PAIRS {
        for (other, _, _) in PAIRS.into_iter().filter(|(other, ..)| *other != algorithm) {
            assert!(SigningKey::from_pem(other, private).is_err(), "{algorithm:?} as {other:?}");
            assert!(VerifyingKey::from_pem(other, public).is_err(), "{algorithm:?} as {other:?}");
        }
        assert!(VerifyingKey::from_pem(Algorithm::RS256, public).is_err(), "{algorithm:?}");
        assert!(VerifyingKey::from_pem(Algorithm::HS256, public).is_err(), "{algorithm:?}");
        assert!(SigningKey::from_pem(algorithm, public).is_err(), "{algorithm:?}");
        assert!(SigningKey::from_pem(algorithm, "").is_err(), "{algorithm:?}");
    }
}

#[tokio::test]
async fn rsa_verifies_its_own_algorithm_only() {
    for (algorithm, expected) in
        [(Algorithm::RS256, None), (Algorithm::RS384, INVALID), (Algorithm::PS256, INVALID)]
    {
        let keys = only(hmac(1).kid("own"));
        let public = VerifyingKey::from_pem(algorithm, RS256_PUBLIC).expect("2048 bits");
        keys.add(public.legacy()).expect("the key for tokens without kid");
        let response = stack(&keys).get(RS256_TOKEN).await;
        assert_eq!(rejected(&response), expected, "{algorithm:?}");
    }
}

#[test]
fn an_rsa_key_under_2048_bits_is_refused() {
    let refused = VerifyingKey::from_pem(Algorithm::RS256, RSA_1024_PUBLIC).expect_err("1024 bits");
    assert!(refused.to_string().contains("2048"), "{refused}");
}

#[cfg(not(feature = "aws_lc_rs"))]
#[test]
fn signing_with_rsa_says_which_feature_it_needs() {
    let refused = SigningKey::from_pem(Algorithm::RS256, RS256).expect_err("no feature");
    assert!(refused.to_string().contains("aws_lc_rs"), "{refused}");
}

#[cfg(feature = "aws_lc_rs")]
#[tokio::test]
async fn rsa_signs_under_its_feature() {
    let key = SigningKey::from_pem(Algorithm::RS256, RS256).expect("a key");
    let stack = stack(&only(key));
    let token = stack.sign_in().await;
    assert_eq!(rejected(&stack.get(&token).await), None);
}

fn es256_jwk(more: &str) -> String {
    format!("{{{}{more}}}", ES256_JWK.trim())
}

#[tokio::test]
async fn a_jwk_verifies_under_its_kid() {
    let pair = SigningKey::from_pem(Algorithm::ES256, ES256).expect("a key");
    for kid in ["pair", "other"] {
        let token = stack(&only(pair.clone().kid(kid))).sign_in().await;
        let keys = only(hmac(1).kid("own"));
        let jwk = es256_jwk(r#","kid":"pair","use":"sig","alg":"ES256""#);
        keys.add(VerifyingKey::from_jwk(Algorithm::ES256, &jwk).expect("a key")).expect("a name");
        let expected = if kid == "pair" { None } else { INVALID };
        assert_eq!(rejected(&stack(&keys).get(&token).await), expected, "{kid}");
    }
}

#[test]
fn a_jwk_of_another_use_is_refused() {
    for (algorithm, more, expected) in [
        (Algorithm::ES256, "", true),
        (Algorithm::ES256, r#","alg":"ES256","use":"sig""#, true),
        (Algorithm::ES256, r#","alg":"ES384""#, false),
        (Algorithm::ES256, r#","alg":"ECDH-ES""#, false),
        (Algorithm::ES256, r#","use":"enc""#, false),
        (Algorithm::ES256, r#","use":"SIG""#, false),
        (Algorithm::ES256, r#","key_ops":["verify"]"#, true),
        (Algorithm::ES256, r#","key_ops":["sign","verify"],"use":"sig""#, true),
        (Algorithm::ES256, r#","key_ops":["sign"]"#, false),
        (Algorithm::ES256, r#","key_ops":["deriveKey","deriveBits"]"#, false),
        (Algorithm::ES256, r#","key_ops":[]"#, false),
        (Algorithm::ES256, r#","key_ops":"verify""#, false),
        (Algorithm::ES384, "", false),
        (Algorithm::EdDSA, "", false),
        (Algorithm::HS256, "", false),
    ] {
        let made = VerifyingKey::from_jwk(algorithm, &es256_jwk(more));
        assert_eq!(made.is_ok(), expected, "{algorithm:?} {more}");
    }
    for (bytes, expected) in [(31, false), (32, true)] {
        let secret = URL_SAFE_NO_PAD.encode(vec![7; bytes]);
        let oct = format!(r#"{{"kty":"oct","k":"{secret}"}}"#);
        assert_eq!(VerifyingKey::from_jwk(Algorithm::HS256, &oct).is_ok(), expected, "{bytes}");
        assert!(VerifyingKey::from_jwk(Algorithm::ES256, &oct).is_err());
    }
    assert!(VerifyingKey::from_jwk(Algorithm::ES256, "{}").is_err());
}

#[test]
fn a_jwk_of_another_curve_is_refused() {
    for (crv, expected) in [
        ("P-256", true),
        ("P-384", false),
        ("P-521", false),
        ("Ed25519", false),
        ("secp256k1", false),
        ("p-256", false),
    ] {
        let jwk = es256_jwk("").replace(r#""P-256""#, &format!("\"{crv}\""));
        assert_eq!(VerifyingKey::from_jwk(Algorithm::ES256, &jwk).is_ok(), expected, "{crv}");
    }
    // The public key of RFC 8037 appendix A.2.
    let okp = |crv| {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        format!(r#"{{"kty":"OKP","crv":"{crv}","x":"{x}"}}"#)
    };
    for (crv, expected) in
        [("Ed25519", true), ("X25519", false), ("Ed448", false), ("P-256", false)]
    {
        let made = VerifyingKey::from_jwk(Algorithm::EdDSA, &okp(crv));
        assert_eq!(made.is_ok(), expected, "{crv}");
    }
}

#[test]
fn a_key_in_another_form_is_refused_with_how_to_convert_it() {
    let sec1 = include_str!("../keys_pem/es256.sec1.pem");
    let encrypted = include_str!("../keys_pem/es256.encrypted.pem");
    let certificate = include_str!("../keys_pem/es256.certificate.pem");
    let parameters = format!(
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{sec1}"
    );
    let private = |pem: &str| SigningKey::from_pem(Algorithm::ES256, pem).map(drop);
    let public = |pem: &str| VerifyingKey::from_pem(Algorithm::ES256, pem).map(drop);
    for (made, hint) in [
        (private(sec1), "openssl pkcs8 -topk8 -nocrypt"),
        (private(&parameters), "openssl pkcs8 -topk8 -nocrypt"),
        (public(sec1), "openssl pkcs8 -topk8 -nocrypt"),
        (private(encrypted), "encrypted"),
        (private("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"), "encrypted"),
        (private(&ES256.replace('\n', "\\n")), r#"pem.replace("\\n", "\n")"#),
        (private(&sec1.replace('\n', "\\n")), r#"pem.replace("\\n", "\n")"#),
        (private(&ES256.replace('\n', "\\r\\n")), r#"pem.replace("\\n", "\n")"#),
        (private(&format!("{}\n", ES256.replace('\n', "\\n"))), "two characters"),
        (public(&ES256_PUBLIC.replace('\n', "\\n")), r#"pem.replace("\\n", "\n")"#),
        (private(&ES256.replace('\n', " ")), "no line breaks"),
        (private(&ES256.replace('\n', "")), "no line breaks"),
        (private(ES256_PUBLIC), "a public key"),
        (public(ES256), "openssl pkey -pubout"),
        (private(certificate), "a certificate"),
        (private("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n"), "ssh-keygen -p -m PKCS8"),
        (public("ssh-ed25519 AAAA ada@example.com"), "ssh-keygen -e -m PKCS8"),
        (public("ecdsa-sha2-nistp256 AAAA ada"), "ssh-keygen -e -m PKCS8"),
        (private("0\u{1}"), "-inform DER"),
        (private(""), "BEGIN PRIVATE KEY"),
        (public("MFkwEwYHKoZIzj0CAQ"), "BEGIN PUBLIC KEY"),
    ] {
        let refused = made.expect_err(hint);
        assert_eq!(refused.kind(), KeyErrorKind::Malformed, "{hint}");
        assert!(refused.to_string().contains(hint), "{hint}: {refused}");
    }
    assert!(public(certificate).is_ok());
    // What the hint leads to is accepted.
    let with_line_breaks = ES256.replace('\n', "\\n").replace("\\n", "\n");
    assert!(private(&with_line_breaks).is_ok());
    for pem in [ES256.replace('\n', "\r\n"), format!("# a comment\n{ES256}")] {
        assert!(private(&pem).is_ok(), "{pem}");
    }
}

#[test]
fn p10_debug_shows_no_key() {
    const TELLING: &str = "a-telling-secret-of-thirty-two-b";
    let secret = SigningKey::hmac(Algorithm::HS256, TELLING)
        .expect("a secret of at least 32 bytes")
        .kid("a");
    let pair = SigningKey::from_pem(Algorithm::ES256, ES256).expect("a key").kid("b");
    let verifying = VerifyingKey::from_pem(Algorithm::EdDSA, EDDSA_PUBLIC).expect("a key").kid("c");
    let keys = only(secret.clone());
    keys.rotate(pair.clone()).expect("a free kid");
    keys.add(verifying.clone()).expect("a free kid");
    let refused = (
        SigningKey::from_pem(Algorithm::ES384, TELLING),
        VerifyingKey::from_jwk(Algorithm::HS256, TELLING),
    );
    let shown = format!("{secret:?} {pair:?} {verifying:?} {keys:?} {keys:#?} {refused:?}");
    assert!(!shown.contains("telling"), "{shown}");
    let bytes = format!("{:?}", TELLING.as_bytes());
    assert!(!shown.contains(&bytes[1..bytes.len() - 1]), "{shown}");
    for line in [ES256, EDDSA_PUBLIC].iter().flat_map(|pem| pem.lines()).filter(|it| it.len() > 40)
    {
        assert!(!shown.contains(line), "{shown}");
    }
    assert!(shown.contains("HS256") && shown.contains("\"b\""), "{shown}");
}

#[tokio::test]
async fn a_token_under_another_secret_is_rejected() {
    let token = signed(&payload());
    assert_eq!(rejected(&stack(&only(hmac(1))).get(&token).await), INVALID);
}
