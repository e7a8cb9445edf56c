//! The cache of verified tokens: what a cached token skips, and what is checked every time.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use http::Request;
use tower_sliding_session::{
    JwtKeys, Policy, RejectionKind, Session,
    rejection::InvalidTokenReason,
    token::{AdoptedSession, Algorithm, LegacyTokens, SigningKey, TokenVerifier},
};

use crate::test_stack::{
    BEGIN, HOUR, MILLI, MINUTE, SECRET, TestStack, claims, forge, ok, patient, rejected, renewed,
    signed, with,
};

const INVALID: Option<RejectionKind> = Some(RejectionKind::InvalidToken);
const HALF: Duration = Duration::from_secs(1800);

/// A verifier with a cache, whatever the environment says.
fn verifier(keys: &Arc<JwtKeys>) -> TokenVerifier {
    TokenVerifier::new(Arc::clone(keys))
}

fn own_keys() -> Arc<JwtKeys> {
    Arc::new(JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes"))
}

/// A key whose `kid` is its only byte.
fn key(byte: u8) -> SigningKey {
    let key =
        SigningKey::hmac(Algorithm::HS256, [byte; 32]).expect("a secret of at least 32 bytes");
    key.kid(byte.to_string())
}

/// A payload of the session `sid` with `more` members.
fn payload(sid: &str, more: &str) -> String {
    let now = BEGIN.as_secs();
    let exp = now + 3600;
    format!(r#"{{"sub":"ada","sid":"{sid}","auth_time":{now},"iat":{now},"exp":{exp}{more}}}"#)
}

fn is_valid(verifier: &TokenVerifier, token: &str) -> bool {
    verifier.verify(token, BEGIN).is_ok()
}

/// Whether the second verifier returns the token that the first has cached.
fn is_cached(first: &TokenVerifier, second: &TokenVerifier, token: &str) -> bool {
    let [first, second] = [first, second].map(|it| it.verify(token, BEGIN).expect("a valid token"));
    Arc::ptr_eq(&first, &second)
}

#[test]
fn clones_share_the_cache_unless_it_is_off() {
    let (verifier, token) = (verifier(&own_keys()), signed(&payload("s1", "")));
    assert!(is_cached(&verifier, &verifier.clone(), &token));
    let before = verifier.verify(&token, BEGIN).expect("a valid token");
    verifier.clear_cache();
    let after = verifier.verify(&token, BEGIN).expect("a valid token");
    assert!(!Arc::ptr_eq(&before, &after));
    assert!(is_cached(&verifier, &verifier, &token));
    let uncached = verifier.cached_tokens(0);
    assert!(!is_cached(&uncached, &uncached, &token));
    uncached.clear_cache();
    let again = uncached.cached_tokens(1);
    assert!(is_cached(&again, &again, &token));
}

#[test]
fn a_rejected_token_is_not_cached_as_valid() {
    let verifier = verifier(&own_keys());
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    for (bad, reason) in [
        (forge(header, &payload("s1", ""), &[9; 32]), InvalidTokenReason::Signature),
        (forge(r#"{"alg":"none"}"#, &payload("s1", ""), &SECRET), InvalidTokenReason::Algorithm),
        (signed(&payload("s1", r#","nbf":-1"#)), InvalidTokenReason::MalformedClaim("nbf")),
        (signed(&payload("s1", r#","aud":"other""#)), InvalidTokenReason::Audience),
        (signed("{}"), InvalidTokenReason::LegacyToken),
        ("a.b.c".to_owned(), InvalidTokenReason::Malformed),
        (String::new(), InvalidTokenReason::Malformed),
    ] {
        for _ in 0..3 {
            let invalid = verifier.verify(&bad, BEGIN).expect_err("it is not valid");
            assert_eq!(invalid.reason(), reason, "{bad}");
        }
    }
}

#[test]
fn p11_a_forged_token_that_ends_like_a_cached_one_is_rejected() {
    let (verifier, good) = (verifier(&own_keys()), signed(&payload("s1", "")));
    assert!(is_cached(&verifier, &verifier, &good));
    let (start, signature) = good.rsplit_once('.').expect("three parts");
    let (header, body) = start.split_once('.').expect("two parts");
    let tail = &signature[signature.len() - 32..];
    let other = |payload: &str| signed(payload).split('.').nth(1).expect("a body").to_owned();
    let head = &signature[1..signature.len() - 32];
    let first = if signature.starts_with('A') { "B" } else { "A" };
    for bad in [
        format!("{header}.{}.{signature}", other(&payload("s2", ""))),
        format!("{header}.{}.{signature}", other(&payload("s1", r#","role":"admin""#))),
        format!("{header}..{signature}"),
        format!("{}.{body}.{signature}", other(r#"{"alg":"none"}"#)),
        format!("{header}.{body}.{tail}"),
        format!("{header}.{body}.{first}{head}{tail}"),
        format!("{header}.{body}.A{signature}"),
        format!("{good}.{signature}"),
        format!(" {good}"),
        signature.to_owned(),
        tail.to_owned(),
    ] {
        assert!(bad.ends_with(tail) && bad != good);
        for _ in 0..2 {
            assert!(!is_valid(&verifier, &bad), "{bad}");
        }
        assert!(is_cached(&verifier, &verifier, &good));
    }
}

#[test]
fn verifiers_with_other_settings_do_not_share() {
    let legacy = r#"{"sub":"ada","iat":1800000000,"exp":1800003600}"#;
    let base = verifier(&own_keys());
    let adopting = || LegacyTokens::adopt(|claims| Some(AdoptedSession::new(claims.id("sub")?)));
    for (accepting, refusing, payload) in [
        (base.clone(), base.clone().issuer("a"), payload("s1", "")),
        (base.clone().issuer("a"), base.clone().issuer("b"), payload("s1", r#","iss":"a""#)),
        (base.clone().audience("a"), base.clone(), payload("s1", r#","aud":"a""#)),
        (base.clone().audience("a"), base.clone().audience("b"), payload("s1", r#","aud":"a""#)),
        (base.clone().legacy(adopting()), base.clone(), legacy.to_owned()),
        (
            base.clone().legacy(adopting()),
            base.clone().legacy(LegacyTokens::adopt(|_| None)),
            legacy.to_owned(),
        ),
    ] {
        let token = signed(&payload);
        assert!(is_cached(&accepting, &accepting, &token), "{payload}");
        assert!(!is_valid(&refusing, &token), "{payload}");
        assert!(is_valid(&accepting, &token), "{payload}");
    }
    let token = signed(&payload("s1", r#","iss":"a","aud":"a""#));
    let long_lived = base.audience("a").issuer("a");
    assert!(is_cached(&long_lived, &long_lived.clone(), &token));
    assert!(
        !is_valid(&long_lived.clone().issuer("b"), &token),
        "set on a verifier that already caches"
    );
    assert!(
        !is_valid(&long_lived.clone().audience("b"), &token),
        "set on a verifier that already caches"
    );
}

#[test]
fn p30_removed_key() {
    let keys = Arc::new(JwtKeys::new(key(1)));
    let verifier = verifier(&keys);
    let token = forge(r#"{"typ":"JWT","alg":"HS256","kid":"1"}"#, &payload("s1", ""), &[1; 32]);
    assert!(is_cached(&verifier, &verifier, &token));
    keys.rotate(key(2)).expect("a free kid");
    assert!(is_cached(&verifier, &verifier, &token), "verified again");
    keys.remove("1").expect("a key of the set");
    for _ in 0..2 {
        assert!(!is_valid(&verifier, &token));
        assert!(!is_valid(&verifier.clone(), &token));
    }
}

#[tokio::test]
async fn p30_a_cached_token_is_rejected_once_its_key_is_removed() {
    let keys = Arc::new(JwtKeys::new(key(1)));
    let stack = TestStack::with_keys(Arc::clone(&keys), patient(), |builder| builder);
    let old = stack.sign_in().await;
    for _ in 0..2 {
        assert_eq!(rejected(&stack.get(&old).await), None);
    }
    keys.rotate(key(2)).expect("a free kid");
    let new = stack.sign_in().await;
    for token in [&old, &new] {
        assert_eq!(rejected(&stack.get(token).await), None);
    }
    keys.remove("1").expect("a key of the set");
    for (token, expected) in [(&old, INVALID), (&new, None), (&old, INVALID)] {
        assert_eq!(rejected(&stack.get(token).await), expected);
    }
}

#[test]
fn p30_no_verification_succeeds_after_the_key_is_removed() {
    const VERIFIERS: usize = 3;
    let tokens: Vec<_> = (0..8)
        .map(|sid| payload(&sid.to_string(), ""))
        .map(|payload| forge(r#"{"typ":"JWT","alg":"HS256","kid":"1"}"#, &payload, &[1; 32]))
        .collect();
    for round in 0..500 {
        let keys = Arc::new(JwtKeys::new(key(1)));
        keys.rotate(key(2)).expect("a free kid");
        let verifier = verifier(&keys);
        let (warm, removed) = (Barrier::new(VERIFIERS + 1), AtomicBool::new(false));
        thread::scope(|scope| {
            for first in 0..VERIFIERS {
                let (tokens, verifier, warm, removed) = (&tokens, &verifier, &warm, &removed);
                scope.spawn(move || {
                    assert!(is_valid(verifier, &tokens[first]));
                    warm.wait();
                    for token in tokens.iter().cycle().skip(first) {
                        let too_late = removed.load(SeqCst);
                        let good = is_valid(verifier, token);
                        assert!(!(too_late && good), "round {round}");
                        if too_late {
                            break;
                        }
                        if first == 0 {
                            // Other threads then verify anew, some while the key is removed.
                            verifier.clear_cache();
                        }
                    }
                });
            }
            warm.wait();
            keys.remove("1").expect("a key of the set");
            removed.store(true, SeqCst);
        });
        assert!(!tokens.iter().any(|token| is_valid(&verifier, token)), "round {round}");
    }
}

#[tokio::test]
async fn exp_is_checked_at_each_request() {
    let expired = Some(RejectionKind::TokenExpired);
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    for (at, expected) in [
        (Duration::ZERO, None),
        (HOUR - MILLI, None),
        (HOUR, expired),
        (HOUR + MILLI, expired),
        (HOUR - MILLI, None),
        (HOUR, expired),
    ] {
        assert_eq!(rejected(&stack.at(at).get(&token).await), expected, "{at:?}");
    }
}

#[tokio::test]
async fn p12_nbf_is_checked_at_each_request() {
    let stack = TestStack::new(patient());
    let ahead = signed(&payload("s1", &format!(r#","nbf":{}"#, BEGIN.as_secs() + 6)));
    for (millis, expected) in [(0, INVALID), (999, INVALID), (1000, None), (999, INVALID)] {
        let response = stack.at(Duration::from_millis(millis)).get(&ahead).await;
        assert_eq!(rejected(&response), expected, "{millis} ms");
    }
}

#[tokio::test]
async fn the_idle_timeout_is_checked_at_each_request() {
    let stack = TestStack::new(
        Policy::builder().idle_timeout(10 * MINUTE).build().expect("a legal configuration"),
    );
    let token = stack.sign_in().await;
    let idle = Some(RejectionKind::SessionExpiredIdle);
    for (at, expected) in [(9 * MINUTE, None), (19 * MINUTE - MILLI, None), (29 * MINUTE, idle)] {
        assert_eq!(rejected(&stack.at(at).get(&token).await), expected, "{at:?}");
    }
}

#[tokio::test]
async fn a_revocation_applies_to_a_cached_token() {
    let revoked = Some(RejectionKind::SessionRevoked);
    let stack = TestStack::new(patient());
    let (inside, outside) = (stack.sign_in().await, stack.sign_in().await);
    for token in [&inside, &outside] {
        assert_eq!(rejected(&stack.get(token).await), None);
    }
    let sign_out = async |request: Request<()>| {
        request
            .extensions()
            .get::<Session>()
            .expect("authenticated")
            .sign_out()
            .await
            .expect("the session is revoked");
        ok()
    };
    assert_eq!(rejected(&stack.send_to(sign_out, with(&inside)).await), None);
    let sid = claims(&outside)["sid"].as_str().expect("a name").to_owned();
    stack.sessions.revoke(&sid).await.expect("the session is revoked");
    for token in [&inside, &outside] {
        assert_eq!(rejected(&stack.get(token).await), revoked);
    }
}

#[tokio::test]
async fn a_cached_token_is_renewed() {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    assert!(renewed(&stack.get(&token).await).is_none());
    assert!(renewed(&stack.at(HALF).get(&token).await).is_none());
    let first = renewed(&stack.at(HALF + MILLI).get(&token).await).expect("renewal is due");
    let second =
        renewed(&stack.at(HALF + MINUTE + MILLI).get(&token).await).expect("renewal is due");
    assert_ne!(claims(&first)["jti"], claims(&second)["jti"]);
    for (successor, after) in [(&first, HALF), (&second, HALF + MINUTE)] {
        assert_eq!(claims(successor)["sid"], claims(&token)["sid"]);
        assert_eq!(claims(successor)["exp"], (BEGIN + after + HOUR).as_secs());
        assert_eq!(rejected(&stack.get(successor).await), None);
    }
    assert_eq!(rejected(&stack.at(HOUR).get(&token).await), Some(RejectionKind::TokenExpired));
    assert_eq!(rejected(&stack.get(&second).await), None);
}

/// The responses to a session's token and to a forged one, from sign-in to expiry.
async fn life(cached_tokens: usize) -> Vec<(Option<RejectionKind>, bool)> {
    let keys = Arc::new(JwtKeys::new(key(1)));
    let stack =
        TestStack::with_cached_tokens(cached_tokens, Arc::clone(&keys), patient(), |builder| {
            builder
        });
    let token = stack.sign_in().await;
    let mut seen = Vec::new();
    for minutes in [0, 0, 29, 31, 31, 59, 60, 60, 59, 58, 57] {
        match minutes {
            58 => keys.rotate(key(2)).expect("a free kid"),
            57 => keys.remove("1").expect("a key of the set"),
            _ => {}
        }
        for token in [&token, &token.replacen('.', ".A", 1)] {
            let response = stack.at(minutes * MINUTE).get(token).await;
            seen.push((rejected(&response), renewed(&response).is_some()));
        }
    }
    seen
}

#[tokio::test]
async fn a_session_behaves_the_same_for_every_cache_size() {
    let uncached = life(0).await;
    let (good, bad) = ((None, false), (INVALID, false));
    assert_eq!(uncached[..4], [good, bad, good, bad]);
    assert_eq!(uncached[20..], [bad, bad], "the key is removed");
    for cached_tokens in [1, 100, TokenVerifier::DEFAULT_CACHED_TOKENS] {
        assert_eq!(life(cached_tokens).await, uncached, "{cached_tokens}");
    }
}
