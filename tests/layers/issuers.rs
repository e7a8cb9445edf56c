//! P35: the tokens of another issuer are verified and never signed by us.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Request, header::SET_COOKIE};
use serde_json::{Value, json};
use tower_sliding_session::{
    JwtKeys, RejectionKind, Session, SessionCookie, StartError,
    rejection::InvalidTokenReason,
    sessions::SlidingSessionsBuilder,
    store::ListQuery,
    token::{
        AdoptedSession, Algorithm, KeyErrorKind, LegacyTokens, SigningKey, TokenVerifier,
        VerifyingKey,
    },
};

use crate::test_stack::{
    Answer, BEGIN, HOUR, MILLI, MINUTE, SECRET, TestStack, forge, ok, patient, payload, rejected,
    renewed, signed, with,
};

const IDP: &str = "https://idp.example";
const INVALID: Option<RejectionKind> = Some(RejectionKind::InvalidToken);

const ES256: &str = include_str!("../keys_pem/es256.private.pem");
const ES256_PUBLIC: &str = include_str!("../keys_pem/es256.public.pem");
/// The members of `ES256_PUBLIC` as a JWK.
const ES256_JWK: &str = include_str!("../keys_pem/es256.public.jwk");
const EDDSA: &str = include_str!("../keys_pem/eddsa.private.pem");

fn own_keys() -> Arc<JwtKeys> {
    Arc::new(JwtKeys::new(SigningKey::hmac(Algorithm::HS256, SECRET).expect("a secret").kid("k")))
}

/// The key set of the identity provider, with ours of the same `kid`.
fn with_idp() -> Arc<JwtKeys> {
    let keys = own_keys();
    let key = VerifyingKey::from_pem(Algorithm::ES256, ES256_PUBLIC).expect("a key").kid("k");
    keys.add_issuer_key(IDP, key).expect("a free kid");
    keys
}

fn idp_key() -> SigningKey {
    SigningKey::from_pem(Algorithm::ES256, ES256).expect("a key").kid("k")
}

/// The provider, whose tokens have the claims of a session.
fn idp() -> TestStack {
    TestStack::with_keys(JwtKeys::new(idp_key()), patient(), |it| it.issuer(IDP))
}

fn stack(keys: &Arc<JwtKeys>) -> TestStack {
    TestStack::with_keys(Arc::clone(keys), patient(), SlidingSessionsBuilder::session_expires)
}

fn session_expires(response: &Answer) -> &str {
    response.headers()["session-expires"].to_str().expect("ASCII")
}

/// A JWK set of these keys.
fn jwks(keys: &[&str]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

fn es256_jwk(more: &str) -> String {
    format!("{{{}{more}}}", ES256_JWK.trim())
}

/// The public key of `EDDSA` as a JWK.
fn eddsa_jwk(kid: &str) -> String {
    let pem = include_str!("../keys_pem/eddsa.public.pem");
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).expect("base64");
    let x = URL_SAFE_NO_PAD.encode(&der[der.len() - 32..]);
    format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{kid}"}}"#)
}

fn reason(keys: &Arc<JwtKeys>, token: &str) -> Option<InvalidTokenReason> {
    let verified = TokenVerifier::new(Arc::clone(keys)).verify(token, BEGIN);
    verified.err().map(|invalid| invalid.reason())
}

#[tokio::test]
async fn p35_a_token_of_another_issuer_is_accepted_and_never_renewed() {
    for issuer in [None, Some("https://app.example")] {
        let stack = TestStack::with_keys(with_idp(), patient(), |builder| {
            let builder = builder.session_expires();
            match issuer {
                Some(issuer) => builder.issuer(issuer),
                None => builder,
            }
        });
        let (foreign, own) = (idp().sign_in().await, stack.sign_in().await);
        stack.at(HOUR - MINUTE);
        let response = stack.get(&foreign).await;
        assert_eq!((rejected(&response), renewed(&response)), (None, None), "{issuer:?}");
        assert!(
            !session_expires(&response).contains("renewable"),
            "{}",
            session_expires(&response)
        );
        // Nor with the claims that a handler replaces.
        let handler = async |request: Request<()>| {
            let session = request.extensions().get::<Session>().expect("authenticated");
            assert_eq!(session.session_claims().iss.as_deref(), Some(IDP));
            session.replace_claims(&json!({ "role": "admin" })).expect("an object");
            ok()
        };
        assert_eq!(renewed(&stack.send_to(handler, with(&foreign)).await), None);
        let response = stack.get(&own).await;
        assert!(renewed(&response).is_some(), "our own token is renewed");
        assert!(session_expires(&response).contains("renewable"));
        stack.at(HOUR);
        let expired = Some(RejectionKind::TokenExpired);
        assert_eq!(rejected(&stack.get(&foreign).await), expired);
    }
}

#[tokio::test]
async fn p35_a_foreign_token_in_a_cookie_is_neither_renewed_nor_cleared() {
    let stack = TestStack::with_keys(with_idp(), patient(), |builder| {
        builder.session_cookie(SessionCookie::new())
    });
    let token = idp().sign_in().await;
    let request = || {
        let request = Request::get("/").header("cookie", format!("__Host-session={token}"));
        request.header("sec-fetch-mode", "navigate").body(()).expect("a request")
    };
    let response = stack.at(HOUR - MINUTE).send(request()).await;
    assert_eq!(rejected(&response), None);
    assert!(!response.headers().contains_key(SET_COOKIE));
    let handler = async |request: Request<()>| {
        let session = request.extensions().get::<Session>().expect("authenticated");
        session.sign_out().await.expect("it is signed out");
        ok()
    };
    stack.send_to(handler, request()).await;
    for after in [HOUR - MINUTE, HOUR, 12 * HOUR] {
        let response = stack.at(after).send(request()).await;
        assert_eq!(rejected(&response), Some(RejectionKind::SessionRevoked), "{after:?}");
        assert!(!response.headers().contains_key(SET_COOKIE), "{after:?}");
    }
}

#[tokio::test]
async fn p35_a_key_verifies_the_tokens_of_its_own_issuer_only() {
    let keys = with_idp();
    let idp_keys = || JwtKeys::new(idp_key());
    let of = |keys: JwtKeys, iss: Option<&'static str>| {
        TestStack::with_keys(keys, patient(), |it| match iss {
            Some(iss) => it.issuer(iss),
            None => it,
        })
    };
    let own = || JwtKeys::new(SigningKey::hmac(Algorithm::HS256, SECRET).expect("a key").kid("k"));
    for (signer, expected) in [
        (of(idp_keys(), Some(IDP)), None),
        (of(own(), None), None),
        // Our key does not speak for the provider, nor its key for us or a third one.
        (of(own(), Some(IDP)), Some(InvalidTokenReason::Algorithm)),
        (of(idp_keys(), None), Some(InvalidTokenReason::Algorithm)),
        (of(idp_keys(), Some("https://third.example")), Some(InvalidTokenReason::Algorithm)),
        (of(JwtKeys::new(idp_key().kid("x")), Some(IDP)), Some(InvalidTokenReason::UnknownKey)),
    ] {
        let token = signer.sign_in().await;
        assert_eq!(reason(&keys, &token), expected, "{}", payload(&token));
        assert_eq!(rejected(&stack(&keys).get(&token).await).is_none(), expected.is_none());
    }
    // With the same algorithm and `kid` on both sides, the signature decides.
    let keys = own_keys();
    let secret = VerifyingKey::hmac(Algorithm::HS256, [9; 32]).expect("a secret").kid("k");
    keys.add_issuer_key(IDP, secret).expect("a free kid");
    let header = r#"{"alg":"HS256","kid":"k","typ":"JWT"}"#;
    let claims = |iss: &str| {
        let now = BEGIN.as_secs();
        format!(
            r#"{{"sub":"ada","sid":"s",{iss}"auth_time":{now},"iat":{now},"exp":{}}}"#,
            now + 3600
        )
    };
    for (iss, secret, expected) in [
        (r#""iss":"https://idp.example","#, [9; 32], None),
        (r#""\u0069ss":"https:\/\/idp.example","#, [9; 32], None),
        (r#""iss":"https://idp.example","#, SECRET, Some(InvalidTokenReason::Signature)),
        (r#""iss":"other","#, [9; 32], Some(InvalidTokenReason::Signature)),
        ("", [9; 32], Some(InvalidTokenReason::Signature)),
        ("", SECRET, None),
        (
            r#""iss":"other","iss":"https://idp.example","#,
            SECRET,
            Some(InvalidTokenReason::MalformedClaim("iss")),
        ),
        (
            r#""iss":"https://idp.example","iss":"other","#,
            [9; 32],
            Some(InvalidTokenReason::MalformedClaim("iss")),
        ),
    ] {
        let token = forge(header, &claims(iss), &secret);
        assert_eq!(reason(&keys, &token), expected, "{iss}");
        if expected.is_none() {
            let response = stack(&keys).at(HOUR - MINUTE).get(&token).await;
            assert_eq!(renewed(&response).is_some(), iss.is_empty(), "{iss}");
        }
    }
}

#[tokio::test]
async fn p35_a_refresh_token_of_another_issuer_is_refused() {
    let provider = TestStack::with_keys(JwtKeys::new(idp_key()), patient(), |it| {
        it.issuer(IDP).refresh_tokens()
    });
    let grant = provider.sessions.start("ada").await.expect("the session starts");
    let refresh_token = grant.refresh_token().expect("refresh tokens are on");
    for issuer in [None, Some("https://app.example"), Some(IDP)] {
        let stack = TestStack::with_keys(with_idp(), patient(), |it| {
            let it = it.refresh_tokens();
            match issuer {
                Some(issuer) => it.issuer(issuer),
                None => it,
            }
        });
        let refused = stack.sessions.refresh(refresh_token).await.expect_err("not ours");
        assert_eq!(refused.kind(), RejectionKind::InvalidRefreshToken, "{issuer:?}");
    }
}

#[tokio::test]
async fn p35_an_adopted_token_of_another_issuer_is_not_renewed() {
    let secret = VerifyingKey::hmac(Algorithm::HS256, [9; 32]).expect("a secret");
    let keys = own_keys();
    keys.add_issuer_key(IDP, secret).expect("a free kid");
    let stack = TestStack::with_keys(keys, patient(), |it| {
        it.audience("api").legacy_tokens(LegacyTokens::adopt(|claims| {
            Some(AdoptedSession::new(claims.id("sub")?))
        }))
    });
    let now = BEGIN.as_secs();
    for (aud, expected) in [("api", None), ("other", INVALID)] {
        let claims = format!(
            r#"{{"iss":"{IDP}","aud":"{aud}","sub":"ada","iat":{now},"exp":{}}}"#,
            now + 3600
        );
        let token = forge(r#"{"alg":"HS256","typ":"at+jwt"}"#, &claims, &[9; 32]);
        let response = stack.at(HOUR - MILLI).get(&token).await;
        assert_eq!((rejected(&response), renewed(&response)), (expected, None), "{aud}");
    }
}

#[tokio::test]
async fn p35_a_set_that_verifies_only_signs_nothing() {
    let keys = Arc::new(JwtKeys::verify_only());
    let auth_server = TestStack::with_keys(JwtKeys::new(idp_key()), patient(), |it| it);
    let token = auth_server.sign_in().await;
    assert_eq!(reason(&keys, &token), Some(InvalidTokenReason::UnknownKey));
    let public = VerifyingKey::from_pem(Algorithm::ES256, ES256_PUBLIC).expect("a key").kid("k");
    keys.add(public).expect("a free kid");
    let stack = stack(&keys);
    let response = stack.at(HOUR - MINUTE).get(&token).await;
    assert_eq!((rejected(&response), renewed(&response)), (None, None));
    assert!(!session_expires(&response).contains("renewable"));
    let refused = stack.sessions.start("ada").await.expect_err("it signs nothing");
    let StartError::Key(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.kind(), KeyErrorKind::NoSigningKey);
    let ada = stack.sessions.user_scope(None, "ada");
    let begun = stack.sessions.sessions(ada, ListQuery::first(10)).await.expect("a list");
    assert_eq!(begun.items.len(), 0);
    let rotated = keys.rotate(idp_key().kid("next")).expect_err("it verifies only");
    assert_eq!(rotated.kind(), KeyErrorKind::NoSigningKey);
    let builder = tower_sliding_session::SlidingSessions::builder(Arc::clone(&keys), patient());
    let error = builder.refresh_tokens().build().expect_err("refused").to_string();
    assert!(error.contains("refresh_tokens: the keys verify only"), "{error}");
    // A token that begins where the header of a signing key would stand.
    for token in [".a.b", "..", ".", "a..b"] {
        assert_eq!(rejected(&stack.get(token).await), INVALID, "{token}");
    }
    keys.remove("k").expect("a key of the set");
    assert_eq!(rejected(&stack.get(&token).await), INVALID);
}

#[tokio::test]
async fn p35_a_jwk_set_replaces_the_keys_of_its_issuer_only() {
    let keys = own_keys();
    let (es256, eddsa) = (es256_jwk(r#","kid":"a","use":"sig""#), eddsa_jwk("b"));
    let token_of = |key: SigningKey| {
        let provider = TestStack::with_keys(JwtKeys::new(key), patient(), |it| it.issuer(IDP));
        async move { provider.sign_in().await }
    };
    let first =
        token_of(SigningKey::from_pem(Algorithm::ES256, ES256).expect("a key").kid("a")).await;
    let second =
        token_of(SigningKey::from_pem(Algorithm::EdDSA, EDDSA).expect("a key").kid("b")).await;
    let secret = VerifyingKey::hmac(Algorithm::HS256, [9; 32]).expect("a secret").kid("by hand");
    keys.add_issuer_key(IDP, secret).expect("a free kid");
    let third = VerifyingKey::from_pem(Algorithm::ES256, ES256_PUBLIC).expect("a key").kid("a");
    keys.add_issuer_key("https://third.example", third).expect("a free kid");
    let stack = stack(&keys);
    let (own, by_hand) = (
        stack.sign_in().await,
        forge(r#"{"alg":"HS256","kid":"by hand"}"#, &payload(&first), &[9; 32]),
    );
    for (set, accepted) in [
        (vec![&es256], [true, false]),
        (vec![&es256, &eddsa], [true, true]),
        (vec![&eddsa, &es256], [true, true]),
        (vec![&eddsa], [false, true]),
    ] {
        let set: Vec<&str> = set.into_iter().map(String::as_str).collect();
        let synced = keys.sync_jwks(IDP, &jwks(&set)).expect("usable keys");
        assert_eq!((synced.keys(), synced.skipped().len()), (set.len(), 0));
        for (token, accepted) in [&first, &second].into_iter().zip(accepted) {
            assert_eq!(rejected(&stack.get(token).await).is_none(), accepted, "{set:?}");
        }
        for token in [&own, &by_hand] {
            assert_eq!(rejected(&stack.get(token).await), None, "{set:?}");
        }
    }
    // What is no JWK set, or contains no usable key, changes nothing.
    let symmetric =
        format!(r#"{{"kty":"oct","kid":"s","k":"{}"}}"#, URL_SAFE_NO_PAD.encode(SECRET));
    for set in [
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        es256.clone(),
        jwks(&[]),
        jwks(&[&symmetric]),
        jwks(&[&es256_jwk(r#","kid":"a","use":"enc""#)]),
        jwks(&["1", "null", "{}"]),
    ] {
        let refused = keys.sync_jwks(IDP, &set).expect_err("no usable key");
        let kinds = [KeyErrorKind::Malformed, KeyErrorKind::NoUsableKey];
        assert!(kinds.contains(&refused.kind()), "{set}: {refused}");
        assert_eq!(rejected(&stack.get(&second).await), None, "{set}");
    }
    keys.remove_issuer(IDP).expect("an issuer of the set");
    assert_eq!(rejected(&stack.get(&second).await), INVALID);
    assert_eq!(keys.remove_issuer(IDP).expect_err("gone").kind(), KeyErrorKind::UnknownIssuer);
    assert_eq!(rejected(&stack.get(&own).await), None);
}

#[test]
fn p35_a_key_that_cannot_be_used_is_skipped_and_named() {
    let keys = own_keys();
    let rsa = |more: &str| {
        let n = URL_SAFE_NO_PAD.encode([0xff; 256]);
        format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"{more}}}"#)
    };
    let set = jwks(&[
        &es256_jwk(r#","kid":"a""#),
        &es256_jwk(r#","kid":"a","alg":"ES256""#),
        &es256_jwk(r#","kid":"encrypts","use":"enc""#),
        &es256_jwk(r#","kid":"signs","key_ops":["sign"]"#),
        &es256_jwk(r#","kid":"odd","alg":"ES256K""#),
        &rsa(r#","kid":"b""#),
        &rsa(r#","kid":"c","alg":"PS512""#),
        &rsa(r#","kid":"d","alg":"RSA-OAEP""#),
        r#"{"kty":"oct","kid":"secret","k":"c2VjcmV0"}"#,
        r#"{"kty":"EC","crv":"secp256k1","kid":"bitcoin","x":"AA","y":"AA"}"#,
        "7",
    ]);
    let synced = keys.sync_jwks(IDP, &set).expect("usable keys");
    assert_eq!((synced.keys(), synced.is_changed()), (3, true));
    let skipped: Vec<_> = synced.skipped().iter().map(|it| (it.kid(), it.error().kind())).collect();
    assert_eq!(
        skipped,
        [
            (Some("a"), KeyErrorKind::DuplicateKid),
            (Some("encrypts"), KeyErrorKind::Mismatch),
            (Some("signs"), KeyErrorKind::Mismatch),
            (Some("odd"), KeyErrorKind::Unsupported),
            (Some("d"), KeyErrorKind::Unsupported),
            (Some("secret"), KeyErrorKind::Unsupported),
            (Some("bitcoin"), KeyErrorKind::Unsupported),
            (None, KeyErrorKind::Unsupported),
        ]
    );
    assert!(!keys.sync_jwks(IDP, &set).expect("usable keys").is_changed());
    let refused = keys.sync_jwks(IDP, &jwks(&[r#"{"kty":"oct","kid":"secret","k":"c2Vj"}"#]));
    let refused = refused.expect_err("no usable key").to_string();
    assert!(refused.contains("secret: a symmetric key") && !refused.contains("c2Vj"), "{refused}");
    let shown = format!("{keys:?} {synced:?}");
    assert!(shown.contains(IDP) && !shown.contains("AQAB"), "{shown}");
}

#[tokio::test]
async fn p30_p35_a_synced_set_without_a_change_keeps_the_cache_and_a_removed_key_empties_it() {
    let keys = own_keys();
    let (es256, eddsa) = (es256_jwk(r#","kid":"k""#), eddsa_jwk("b"));
    keys.sync_jwks(IDP, &jwks(&[&es256])).expect("a usable key");
    let verifier = TokenVerifier::new(Arc::clone(&keys));
    let token = idp().sign_in().await;
    let first = verifier.verify(&token, BEGIN).expect("a valid token");
    keys.sync_jwks(IDP, &jwks(&[&es256, "{}"])).expect("a usable key");
    assert!(Arc::ptr_eq(&first, &verifier.verify(&token, BEGIN).expect("a valid token")));
    keys.sync_jwks(IDP, &jwks(&[&eddsa])).expect("a usable key");
    assert!(verifier.verify(&token, BEGIN).is_err());
}

#[test]
fn an_unsigned_claim_selects_no_key_beyond_its_issuer() {
    let keys = with_idp();
    let now = BEGIN.as_secs();
    let payload: Value = json!({ "iss": IDP, "sub": "eve", "sid": "s", "auth_time": now, "iat": now, "exp": now + 60 });
    // The public key as an HMAC secret, under the header of our own tokens (P11).
    for header in [
        r#"{"alg":"HS256","kid":"k","typ":"JWT"}"#,
        r#"{"alg":"ES256","kid":"k","typ":"JWT"}"#,
        r#"{"alg":"none","kid":"k"}"#,
    ] {
        let token = forge(header, &payload.to_string(), ES256_PUBLIC.as_bytes());
        assert!(reason(&keys, &token).is_some(), "{header}");
    }
    assert!(reason(&keys, &signed(&payload.to_string())).is_some());
}
