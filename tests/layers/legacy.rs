//! Tokens without `sid` and `auth_time`: rejected, or adopted by the function of the app.

use http::Request;
use serde::Deserialize;
use tower_sliding_session::{
    Policy, RejectionKind, Session,
    token::{AdoptedSession, LegacyTokens},
};

use crate::test_stack::{
    BEGIN, HOUR, MILLI, SECRET, TestStack, claims, forge, ok, patient, payload, rejected, renewed,
    signed, text, with,
};

const INVALID: Option<RejectionKind> = Some(RejectionKind::InvalidToken);

#[derive(Deserialize)]
struct Old {
    purpose: String,
}

fn adopting(policy: Policy) -> TestStack {
    TestStack::with(policy, |builder| {
        builder.legacy_tokens(LegacyTokens::adopt(|claims| {
            let Old { purpose } = claims.parse()?;
            if purpose == "access" { Some(AdoptedSession::new(claims.id("sub")?)) } else { None }
        }))
    })
}

/// A legacy token with `more` members.
fn old(more: &str) -> String {
    let now = BEGIN.as_secs();
    signed(&format!(r#"{{"sub":"ada","iat":{now},"exp":{}{more}}}"#, now + 3600))
}

fn access() -> String {
    old(r#","purpose":"access""#)
}

/// The `sid` that a handler sees.
async fn sid(stack: &TestStack, token: &str) -> String {
    let handler = async |request: Request<()>| {
        let session = request.extensions().get::<Session>().expect("authenticated");
        assert_eq!(session.session_claims().auth_time, BEGIN, "`auth_time` is `iat`");
        http::Response::new(session.id().to_owned())
    };
    let response = stack.send_to(handler, with(token)).await;
    assert_eq!(rejected(&response), None);
    text(response).await
}

#[tokio::test]
async fn a_legacy_token_is_rejected_unless_the_app_adopts_it() {
    let now = BEGIN.as_secs();
    for token in [
        access(),
        old(r#","sid":"s1","purpose":"access""#),
        old(&format!(r#","auth_time":{now},"purpose":"access""#)),
    ] {
        assert_eq!(rejected(&TestStack::new(patient()).get(&token).await), INVALID);
        let rejecting =
            TestStack::with(patient(), |builder| builder.legacy_tokens(LegacyTokens::default()));
        assert_eq!(rejected(&rejecting.get(&token).await), INVALID);
        assert_eq!(rejected(&adopting(patient()).get(&token).await), None);
    }
}

#[tokio::test]
async fn a_token_for_another_purpose_does_not_become_a_session() {
    let stack = adopting(patient());
    for purpose in [r#","purpose":"password-reset""#, r#","purpose":1"#, ""] {
        assert_eq!(rejected(&stack.get(&old(purpose)).await), INVALID, "{purpose}");
    }
    let forged = forge(r#"{"alg":"HS256","typ":"JWT"}"#, &payload(&access()), &[9; 32]);
    assert_eq!(rejected(&stack.get(&forged).await), INVALID);
}

#[tokio::test]
async fn a_session_of_this_crate_is_not_adopted() {
    let stack = adopting(patient());
    let token = stack.sign_in().await;
    assert_eq!(rejected(&stack.get(&token).await), None);
}

#[tokio::test]
async fn the_sid_is_the_same_at_each_request_and_on_each_node() {
    let (stack, token) = (adopting(patient()), access());
    let first = sid(&stack, &token).await;
    assert_eq!(sid(&stack, &token).await, first);
    assert_eq!(sid(&adopting(patient()), &token).await, first);
    let other = old(r#","purpose":"access","device":2"#);
    assert_ne!(sid(&stack, &other).await, first);
    assert_eq!(sid(&stack, &old(r#","sid":"s1","purpose":"access""#)).await, "s1");
}

#[tokio::test]
async fn a_renewal_keeps_the_sid_and_a_revocation_applies_to_both_tokens() {
    let (stack, token) = (adopting(patient()), access());
    let adopted = sid(&stack, &token).await;
    let successor = renewed(&stack.at(HOUR / 2 + MILLI).get(&token).await).expect("renewal is due");
    assert_eq!(claims(&successor)["sid"], adopted);
    assert_eq!(claims(&successor)["auth_time"], BEGIN.as_secs());
    assert_eq!(claims(&successor)["purpose"], "access");
    let stranger = TestStack::new(patient());
    let seen = sid(stranger.at(HOUR / 2 + MILLI), &successor).await;
    assert_eq!(seen, adopted, "renewed like any other token");
    stack.sessions.revoke(&adopted).await.expect("the session is revoked");
    for token in [token, successor] {
        let response = stack.get(&token).await;
        assert_eq!(rejected(&response), Some(RejectionKind::SessionRevoked));
    }
}

#[tokio::test]
async fn timeouts_are_written_at_the_first_renewal_only() {
    let token = access();
    assert_eq!(claims(&token).get("idle_max"), None);
    let stack = adopting(patient());
    let first = renewed(&stack.at(HOUR / 2 + MILLI).get(&token).await).expect("renewal is due");
    for limit in ["idle_max", "abs_max"] {
        assert_eq!(claims(&first)[limit], 12 * 3600, "{limit}");
    }
    let longer = Policy::builder()
        .idle_timeout(24 * HOUR)
        .absolute_timeout(48 * HOUR)
        .build()
        .expect("a legal configuration");
    let stack = adopting(longer);
    let second = renewed(&stack.at(HOUR + MILLI).get(&first).await).expect("renewal is due");
    for limit in ["idle_max", "abs_max"] {
        assert_eq!(claims(&second)[limit], claims(&first)[limit], "{limit}");
    }
}

#[tokio::test]
async fn p01_an_adopted_session_expires_at_its_absolute_deadline() {
    let policy = Policy::builder()
        .idle_timeout(HOUR)
        .absolute_timeout(HOUR)
        .token_lifetime(HOUR)
        .build()
        .expect("a legal configuration");
    for (after, expected) in
        [(HOUR - MILLI, None), (HOUR, Some(RejectionKind::SessionExpiredAbsolute))]
    {
        let stack = adopting(policy.clone());
        assert_eq!(rejected(&stack.at(after).get(&access()).await), expected, "{after:?}");
    }
}

/// A deployment signs nobody out: the token of an earlier system has a lifetime of its own.
#[tokio::test]
async fn p33_an_adopted_token_that_is_days_old_is_active_and_renewed() {
    let policy = Policy::builder().absolute_timeout(720 * HOUR).build().expect("legal");
    let iat = BEGIN.as_secs();
    let token = |days: u64| {
        let exp = iat + days * 86_400;
        signed(&format!(r#"{{"sub":"ada","iat":{iat},"exp":{exp},"purpose":"access"}}"#))
    };
    let stack = adopting(policy);
    let response = stack.at(7 * 24 * HOUR).get(&token(30)).await;
    assert_eq!(rejected(&response), None);
    let next = renewed(&response).expect("a token of this crate replaces it");
    assert_eq!(claims(&next)["exp"], (BEGIN + 169 * HOUR).as_secs());
    assert_eq!(rejected(&stack.get(&next).await), None);
    let expired = Some(RejectionKind::TokenExpired);
    assert_eq!(rejected(&stack.get(&token(7)).await), expired);
    let idle = Some(RejectionKind::SessionExpiredIdle);
    assert_eq!(rejected(&stack.at(7 * 24 * HOUR + HOUR / 3).get(&token(30)).await), idle);
}

#[tokio::test]
async fn a_legacy_token_without_iat_is_rejected() {
    let exp = BEGIN.as_secs() + 3600;
    let token = signed(&format!(r#"{{"sub":"ada","exp":{exp},"purpose":"access"}}"#));
    assert_eq!(rejected(&adopting(patient()).get(&token).await), INVALID);
}

#[tokio::test]
async fn a_handler_sees_the_old_claims() {
    let stack = adopting(patient());
    let handler = async |request: Request<()>| {
        let session = request.extensions().get::<Session>().expect("authenticated");
        assert_eq!(session.claims::<Old>().expect("matching claims").purpose, "access");
        ok()
    };
    let untyped = forge(r#"{"alg":"HS256"}"#, &payload(&access()), &SECRET);
    assert_eq!(rejected(&stack.send_to(handler, with(&untyped)).await), None);
}
