//! Verified tokens that are remembered: what a request may still be told, and what it may not.

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
    token::{Algorithm, InvalidToken, LegacyTokens, SigningKey, TokenVerifier},
};

use crate::test_stack::{
    BEGIN, HOUR, MILLI, MINUTE, SECRET, TestStack, claims, forge, ok, patient, rejected, renewed,
    signed, with,
};

const INVALID: Option<RejectionKind> = Some(RejectionKind::InvalidToken);
const HALF: Duration = Duration::from_secs(1800);

/// A verifier that remembers, whatever the environment says.
fn verifier(keys: &Arc<JwtKeys>) -> TokenVerifier {
    TokenVerifier::new(Arc::clone(keys))
}

fn own_keys() -> Arc<JwtKeys> {
    Arc::new(JwtKeys::hs256(SECRET).expect("long enough"))
}

/// A key named after its only byte.
fn key(byte: u8) -> SigningKey {
    let key = SigningKey::hmac(Algorithm::HS256, [byte; 32]).expect("long enough");
    key.kid(byte.to_string())
}

/// The payload of the session `sid` with `more` members.
fn payload(sid: &str, more: &str) -> String {
    let now = BEGIN.as_secs();
    let exp = now + 3600;
    format!(r#"{{"sub":"ada","sid":"{sid}","auth_time":{now},"iat":{now},"exp":{exp}{more}}}"#)
}

fn is_good(verifier: &TokenVerifier, token: &str) -> bool {
    verifier.verify(token, BEGIN).is_ok()
}

/// Whether two verifications of `token` are one.
fn is_remembered(first: &TokenVerifier, second: &TokenVerifier, token: &str) -> bool {
    let [first, second] = [first, second].map(|it| it.verify(token, BEGIN).expect("good"));
    Arc::ptr_eq(&first, &second)
}

#[test]
fn a_token_is_verified_once_for_all_clones_unless_none_is_remembered() {
    let (verifier, token) = (verifier(&own_keys()), signed(&payload("s1", "")));
    assert!(is_remembered(&verifier, &verifier.clone(), &token));
    let before = verifier.verify(&token, BEGIN).expect("good");
    verifier.clear_cache();
    let after = verifier.verify(&token, BEGIN).expect("still good");
    assert!(!Arc::ptr_eq(&before, &after));
    assert!(is_remembered(&verifier, &verifier, &token));
    let forgetful = verifier.cached_tokens(0);
    assert!(!is_remembered(&forgetful, &forgetful, &token));
    forgetful.clear_cache();
    let again = forgetful.cached_tokens(1);
    assert!(is_remembered(&again, &again, &token));
}

#[test]
fn a_refused_token_stays_refused() {
    let verifier = verifier(&own_keys());
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    for bad in [
        forge(header, &payload("s1", ""), &[9; 32]),
        forge(r#"{"alg":"none"}"#, &payload("s1", ""), &SECRET),
        signed(&payload("s1", r#","nbf":-1"#)),
        signed(&payload("s1", r#","aud":"other""#)),
        signed("{}"),
        "a.b.c".to_owned(),
        String::new(),
    ] {
        for _ in 0..3 {
            assert_eq!(verifier.verify(&bad, BEGIN).err(), Some(InvalidToken), "{bad}");
        }
    }
}

#[test]
fn p11_a_bad_token_with_the_tail_of_a_remembered_one_is_refused() {
    let (verifier, good) = (verifier(&own_keys()), signed(&payload("s1", "")));
    assert!(is_remembered(&verifier, &verifier, &good));
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
            assert!(!is_good(&verifier, &bad), "{bad}");
        }
        assert!(is_remembered(&verifier, &verifier, &good));
    }
}

#[test]
fn verifiers_with_other_settings_do_not_share() {
    let legacy = r#"{"sub":"ada","iat":1800000000,"exp":1800003600}"#;
    let base = verifier(&own_keys());
    let adopting = || LegacyTokens::adopt(|_| true);
    for (accepting, refusing, payload) in [
        (base.clone(), base.clone().issuer("a"), payload("s1", "")),
        (base.clone().issuer("a"), base.clone().issuer("b"), payload("s1", r#","iss":"a""#)),
        (base.clone().audience("a"), base.clone(), payload("s1", r#","aud":"a""#)),
        (base.clone().audience("a"), base.clone().audience("b"), payload("s1", r#","aud":"a""#)),
        (base.clone().legacy(adopting()), base.clone(), legacy.to_owned()),
        (
            base.clone().legacy(adopting()),
            base.clone().legacy(LegacyTokens::adopt(|_| false)),
            legacy.to_owned(),
        ),
    ] {
        let token = signed(&payload);
        assert!(is_remembered(&accepting, &accepting, &token), "{payload}");
        assert!(!is_good(&refusing, &token), "{payload}");
        assert!(is_good(&accepting, &token), "{payload}");
    }
    let token = signed(&payload("s1", r#","iss":"a","aud":"a""#));
    let long_lived = base.audience("a").issuer("a");
    assert!(is_remembered(&long_lived, &long_lived.clone(), &token));
    assert!(!is_good(&long_lived.clone().issuer("b"), &token), "set later, on what remembers");
    assert!(!is_good(&long_lived.clone().audience("b"), &token), "set later, on what remembers");
}

#[test]
fn p30_removed_key() {
    let keys = Arc::new(JwtKeys::new(key(1)));
    let verifier = verifier(&keys);
    let token = forge(r#"{"typ":"JWT","alg":"HS256","kid":"1"}"#, &payload("s1", ""), &[1; 32]);
    assert!(is_remembered(&verifier, &verifier, &token));
    keys.rotate(key(2)).expect("another name");
    assert!(is_remembered(&verifier, &verifier, &token), "verified once more");
    keys.remove("1").expect("listed");
    for _ in 0..2 {
        assert!(!is_good(&verifier, &token));
        assert!(!is_good(&verifier.clone(), &token));
    }
}

#[tokio::test]
async fn p30_a_remembered_token_is_refused_at_the_request_after_its_keys_removal() {
    let keys = Arc::new(JwtKeys::new(key(1)));
    let stack = TestStack::with_keys(Arc::clone(&keys), patient(), |builder| builder);
    let old = stack.sign_in().await;
    for _ in 0..2 {
        assert_eq!(rejected(&stack.get(&old).await), None);
    }
    keys.rotate(key(2)).expect("another name");
    let new = stack.sign_in().await;
    for token in [&old, &new] {
        assert_eq!(rejected(&stack.get(token).await), None);
    }
    keys.remove("1").expect("listed");
    for (token, expected) in [(&old, INVALID), (&new, None), (&old, INVALID)] {
        assert_eq!(rejected(&stack.get(token).await), expected);
    }
}

#[test]
fn p30_no_verification_succeeds_once_the_key_was_removed() {
    const VERIFIERS: usize = 3;
    let tokens: Vec<_> = (0..8)
        .map(|sid| payload(&sid.to_string(), ""))
        .map(|payload| forge(r#"{"typ":"JWT","alg":"HS256","kid":"1"}"#, &payload, &[1; 32]))
        .collect();
    for round in 0..500 {
        let keys = Arc::new(JwtKeys::new(key(1)));
        keys.rotate(key(2)).expect("another name");
        let verifier = verifier(&keys);
        let (warm, removed) = (Barrier::new(VERIFIERS + 1), AtomicBool::new(false));
        thread::scope(|scope| {
            for first in 0..VERIFIERS {
                let (tokens, verifier, warm, removed) = (&tokens, &verifier, &warm, &removed);
                scope.spawn(move || {
                    assert!(is_good(verifier, &tokens[first]));
                    warm.wait();
                    for token in tokens.iter().cycle().skip(first) {
                        let too_late = removed.load(SeqCst);
                        let good = is_good(verifier, token);
                        assert!(!(too_late && good), "round {round}");
                        if too_late {
                            break;
                        }
                        if first == 0 {
                            // Others then verify anew, some of them while the key goes.
                            verifier.clear_cache();
                        }
                    }
                });
            }
            warm.wait();
            keys.remove("1").expect("listed");
            removed.store(true, SeqCst);
        });
        assert!(!tokens.iter().any(|token| is_good(&verifier, token)), "round {round}");
    }
}

#[tokio::test]
async fn exp_is_judged_at_each_request() {
    let over = Some(RejectionKind::TokenExpired);
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    for (at, expected) in [
        (Duration::ZERO, None),
        (HOUR - MILLI, None),
        (HOUR, over),
        (HOUR + MILLI, over),
        (HOUR - MILLI, None),
        (HOUR, over),
    ] {
        assert_eq!(rejected(&stack.at(at).get(&token).await), expected, "{at:?}");
    }
}

#[tokio::test]
async fn p12_nbf_is_judged_at_each_request() {
    let stack = TestStack::new(patient());
    let ahead = signed(&payload("s1", &format!(r#","nbf":{}"#, BEGIN.as_secs() + 6)));
    for (millis, expected) in [(0, INVALID), (999, INVALID), (1000, None), (999, INVALID)] {
        let response = stack.at(Duration::from_millis(millis)).get(&ahead).await;
        assert_eq!(rejected(&response), expected, "{millis} ms");
    }
}

#[tokio::test]
async fn the_idle_timeout_is_judged_at_each_request() {
    let stack =
        TestStack::new(Policy::builder().idle_timeout(10 * MINUTE).build().expect("consistent"));
    let token = stack.sign_in().await;
    let idle = Some(RejectionKind::SessionExpiredIdle);
    for (at, expected) in [(9 * MINUTE, None), (19 * MINUTE - MILLI, None), (29 * MINUTE, idle)] {
        assert_eq!(rejected(&stack.at(at).get(&token).await), expected, "{at:?}");
    }
}

#[tokio::test]
async fn an_end_reaches_a_remembered_token() {
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
            .expect("ended");
        ok()
    };
    assert_eq!(rejected(&stack.send_to(sign_out, with(&inside)).await), None);
    let sid = claims(&outside)["sid"].as_str().expect("a name").to_owned();
    stack.sessions.revoke(&sid).await.expect("ended");
    for token in [&inside, &outside] {
        assert_eq!(rejected(&stack.get(token).await), revoked);
    }
}

#[tokio::test]
async fn a_remembered_token_is_renewed_as_any_other() {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    assert!(renewed(&stack.get(&token).await).is_none());
    assert!(renewed(&stack.at(HALF).get(&token).await).is_none());
    let first = renewed(&stack.at(HALF + MILLI).get(&token).await).expect("due");
    let second = renewed(&stack.at(HALF + MINUTE + MILLI).get(&token).await).expect("due");
    assert_ne!(claims(&first)["jti"], claims(&second)["jti"]);
    for (successor, after) in [(&first, HALF), (&second, HALF + MINUTE)] {
        assert_eq!(claims(successor)["sid"], claims(&token)["sid"]);
        assert_eq!(claims(successor)["exp"], (BEGIN + after + HOUR).as_secs());
        assert_eq!(rejected(&stack.get(successor).await), None);
    }
    assert_eq!(rejected(&stack.at(HOUR).get(&token).await), Some(RejectionKind::TokenExpired));
    assert_eq!(rejected(&stack.get(&second).await), None);
}

/// What requests with a session's token, and with a forged one, are answered through its life.
async fn life(cached_tokens: usize) -> Vec<(Option<RejectionKind>, bool)> {
    let keys = Arc::new(JwtKeys::new(key(1)));
    let stack = TestStack::with_keys(Arc::clone(&keys), patient(), |builder| {
        builder.cached_tokens(cached_tokens)
    });
    let token = stack.sign_in().await;
    let mut seen = Vec::new();
    for minutes in [0, 0, 29, 31, 31, 59, 60, 60, 59, 58, 57] {
        match minutes {
            58 => keys.rotate(key(2)).expect("another name"),
            57 => keys.remove("1").expect("listed"),
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
async fn a_session_lives_the_same_however_many_tokens_are_remembered() {
    let forgetful = life(0).await;
    let (good, bad) = ((None, false), (INVALID, false));
    assert_eq!(forgetful[..4], [good, bad, good, bad]);
    assert_eq!(forgetful[20..], [bad, bad], "the key is gone");
    for cached_tokens in [1, 100, TokenVerifier::DEFAULT_CACHED_TOKENS] {
        assert_eq!(life(cached_tokens).await, forgetful, "{cached_tokens}");
    }
}
