//! The successor of a token: the same payload with new times and a new `jti`.

use std::time::Duration;

use http::{Method, Request};
use tower_sliding_session::Session;

use crate::test_stack::{
    BEGIN, HOUR, MILLI, MINUTE, SECRET, TestStack, by, claims, ok, patient, payload, renewed,
    signed, with,
};

const HALF: Duration = Duration::from_secs(1800);
const APP: &str = r#""big":18446744073709551615,"price":1.10,"exponent":1e2, "nested" : {"b":[1,{"a":null}],"exp":1,"iat":2},"b":"\u00e9\/","a":true"#;

fn token(seen: &str) -> String {
    let now = BEGIN.as_secs();
    signed(&format!(
        r#"{{"sub":"ada",{APP},"iat":{now},{seen}"jti":"first","exp":{},"sid":"s1","auth_time":{now}}}"#,
        now + 3600
    ))
}

fn jti(token: &str) -> String {
    claims(token)["jti"].as_str().expect("a name").to_owned()
}

fn expected(at: Duration, seen: &str, successor: &str) -> String {
    let (now, iat) = (BEGIN.as_secs(), (BEGIN + at).as_secs());
    format!(
        r#"{{"sub":"ada",{APP},"iat":{iat},{seen}"jti":"{}","exp":{},"sid":"s1","auth_time":{now}}}"#,
        jti(successor),
        iat + 3600
    )
}

#[tokio::test]
async fn every_other_claim_stays_byte_for_byte_and_in_order() {
    let stack = TestStack::new(patient());
    let at = HALF + Duration::from_millis(1999);
    let successor = renewed(&stack.at(at).get(&token("")).await).expect("renewal is due");
    assert_eq!(payload(&successor), expected(at, "", &successor));
    assert_ne!(jti(&successor), "first");
    let again =
        renewed(&stack.at(at + HALF + MILLI).get(&successor).await).expect("renewal is due");
    assert_eq!(payload(&again), expected(at + HALF + MILLI, "", &again));
    assert_ne!(jti(&again), jti(&successor));
}

#[tokio::test]
#[cfg(feature = "rust_crypto")]
async fn another_implementation_accepts_it() {
    // With both backends compiled in, jsonwebtoken cannot choose one and panics.
    let _ = jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER.install_default();
    let stack = TestStack::new(patient());
    let first = stack.sign_in().await;
    let successor = renewed(&stack.at(HALF + MILLI).get(&first).await).expect("renewal is due");
    let key = jsonwebtoken::DecodingKey::from_secret(&SECRET);
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    validation.validate_exp = false;
    let read = jsonwebtoken::decode::<serde_json::Value>(&successor, &key, &validation);
    let read = read.expect("a good signature").claims;
    assert_eq!(read["iat"], (BEGIN + HALF).as_secs());
    assert_eq!(read["exp"], (BEGIN + HALF + HOUR).as_secs());
    for kept in ["sub", "sid", "auth_time", "idle_max", "abs_max", "epoch"] {
        assert_eq!(read[kept], claims(&first)[kept], "{kept}");
    }
}

#[tokio::test]
async fn p17_a_mint_by_activity_drops_seen() {
    let stack = TestStack::new(patient());
    let old = token(&format!(r#""seen":{},"#, BEGIN.as_secs() + 7));
    let at = HALF + MILLI;
    let successor = renewed(&stack.at(at).get(&old).await).expect("renewal is due");
    assert_eq!(payload(&successor), expected(at, "", &successor));
}

async fn replaced_in_the_background(stack: &TestStack, token: &str) -> String {
    let handler = async |request: Request<()>| {
        let session = request.extensions().get::<Session>().expect("authenticated");
        session.replace_claims(&serde_json::json!({ "role": "reader" })).expect("an object");
        ok()
    };
    let poll = by(Method::GET, token).header("session-activity", "background").body(());
    renewed(&stack.send_to(handler, poll.expect("a request")).await).expect("minted at once")
}

#[tokio::test]
async fn p17_a_mint_without_activity_writes_seen() {
    let stack = TestStack::new(patient());
    let first = stack.sign_in().await;
    let active = Duration::from_millis(60_900);
    assert_eq!(stack.at(active).get(&first).await.status(), 200);
    let second = replaced_in_the_background(stack.at(10 * MINUTE), &first).await;
    assert_eq!(claims(&second)["seen"], (BEGIN + active).as_secs());
    assert_eq!(claims(&second)["iat"], (BEGIN + 10 * MINUTE).as_secs());
    let third = replaced_in_the_background(stack.at(20 * MINUTE), &second).await;
    assert_eq!(claims(&third)["seen"], (BEGIN + active).as_secs(), "seen is unchanged");
}

#[tokio::test]
async fn p02_replaced_claims_are_minted_at_once_and_leave_the_session_alone() {
    let stack = TestStack::new(patient());
    let first = stack.sign_in().await;
    let handler = async |request: Request<()>| {
        let session = request.extensions().get::<Session>().expect("authenticated");
        assert!(session.replace_claims(&serde_json::json!({ "sid": "stolen" })).is_err());
        assert!(session.replace_claims(&serde_json::json!(["role"])).is_err());
        session.replace_claims(&serde_json::json!({ "role": "reader" })).expect("an object");
        ok()
    };
    for round in 0..2 {
        let response = stack.send_to(handler, with(&first)).await;
        let second = renewed(&response).expect("renewed whatever the limiter says");
        assert_eq!(claims(&second)["role"], "reader", "round {round}");
        for kept in ["sub", "sid", "auth_time", "idle_max", "abs_max", "epoch"] {
            assert_eq!(claims(&second)[kept], claims(&first)[kept], "{kept}");
        }
    }
}
