//! Sessions of an earlier system: a deployment signs nobody out, and they end like others.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tower_sliding_session::{
    JwtKeys, Policy, RejectionKind,
    store::{Exempt, ListQuery, SessionRecord},
    token::{AdoptedSession, Algorithm, LegacyClaims, LegacyTokens, VerifyingKey},
};

use crate::{
    client::{DAY, refresh_token, refused, service_of, session},
    empty_stores::Store,
    test_stack::{
        Answer, BEGIN, HOUR, MILLI, MINUTE, SECRET, TestStack, claims, forge, ok, rejected,
        renewed, signed, with,
    },
    unreliable_store::{State, UnreliableStore},
};

const IDLE: Option<RejectionKind> = Some(RejectionKind::SessionExpiredIdle);
const REVOKED: Option<RejectionKind> = Some(RejectionKind::SessionRevoked);

/// What an app writes that migrates.
fn adopt(claims: &LegacyClaims<'_>) -> Option<AdoptedSession> {
    if claims.text("purpose").is_some_and(|purpose| purpose == "password-reset") {
        return None;
    }
    let user = claims.id("user_id").or_else(|| claims.id("sub"))?;
    let mut session = AdoptedSession::new(user);
    if let Some(sid) = claims.id("login") {
        session = session.sid(sid);
    }
    if let Some(at) = claims.time("login_at") {
        session = session.auth_time(at);
    }
    Some(session)
}

/// The policy of the front page: 20 minutes, 12 hours, tokens of 1 hour.
fn policy() -> Policy {
    Policy::builder().build().expect("a legal configuration")
}

fn stack(store: &Store) -> TestStack {
    let legacy = LegacyTokens::adopt(adopt).adopt_refresh(adopt);
    service_of(policy(), store, |builder| builder.legacy_tokens(legacy))
}

/// An old token of `ada`, minted `age` hours ago and valid for 30 days after that.
fn old(age: u64) -> String {
    old_of("ada", age)
}

fn old_of(sub: &str, age: u64) -> String {
    let iat = BEGIN.as_secs() - age * 3600;
    signed(&format!(
        r#"{{"sub":"{sub}","iat":{iat},"exp":{},"purpose":"access"}}"#,
        iat + 30 * 86_400
    ))
}

async fn records(stack: &TestStack, tenant: Option<&str>, sub: &str) -> Vec<SessionRecord> {
    let scope = stack.sessions.user_scope(tenant, sub);
    let page = stack.sessions.sessions(scope, ListQuery::first(9)).await;
    page.expect("the store answers").items
}

/// The sessions of a user, once the store has recorded one.
async fn recorded(stack: &TestStack, sub: &str) -> Vec<SessionRecord> {
    loop {
        let records = records(stack, None, sub).await;
        if !records.is_empty() {
            return records;
        }
        tokio::task::yield_now().await;
    }
}

/// Sends a request whose handler signs out.
async fn signs_out(stack: &TestStack, token: &str) -> Answer {
    let handler = async |request| {
        session(&request).sign_out().await.expect("the session ends");
        ok()
    };
    stack.send_to(handler, with(token)).await
}

/// A kind of old token, the user that it names, the members that its successor keeps, and its account.
struct Kind(&'static str, &'static str, &'static str, Option<&'static str>);

const KINDS: [Kind; 15] = [
    Kind(r#""sub":7001"#, "7001", "", None),
    Kind(r#""sub":"x","user_id":7002"#, "7002", r#","user_id":7002"#, None),
    Kind(r#""user_id" : "7003""#, "7003", r#","user_id" : "7003""#, None),
    Kind(r#""sub":"7004","nbf":null"#, "7004", "", None),
    Kind(r#""sub":"7005","jti":12"#, "7005", "", None),
    Kind(r#""sub":"7006","tenant":41"#, "7006", r#","tenant":"41""#, Some("41")),
    Kind(r#""sub":"7007","tenant":{"id":41}"#, "7007", "", None),
    Kind(r#""sub":"7008","tenant":"acme""#, "7008", r#","tenant":"acme""#, Some("acme")),
    Kind(r#""sub":170141183460469231731687303715884105728"#, HUGE, "", None),
    Kind(r#""sub":"7010","sid":5,"auth_time":"noon""#, "7010", "", None),
    Kind(r#""sub":"7011","sid":null,"auth_time":null"#, "7011", "", None),
    Kind(r#""sub":"7012","iss":null,"aud":null,"jti":{}"#, "7012", "", None),
    Kind(
        r#""sub":"7013","epoch":"v3","seen":true,"refresh_gen":"x","idle_max":{},"abs_max":null,"session_profile":5"#,
        "7013",
        "",
        None,
    ),
    Kind(
        r#""\u0073ub":7014,"price":1.10,"big":18446744073709551617,"n": [1, {"sub":2}]"#,
        "7014",
        r#","price":1.10,"big":18446744073709551617,"n": [1, {"sub":2}]"#,
        None,
    ),
    Kind(r#""sub":"7015","login_at":NOW.75,"iat":null"#, "7015", r#","login_at":NOW.75"#, None),
];
const HUGE: &str = "170141183460469231731687303715884105728";

pub(crate) async fn p33_an_old_token_of_every_kind_becomes_a_session(store: Store) {
    let stack = stack(&store);
    let minted = BEGIN.as_secs() - 6 * 3600;
    for Kind(members, sub, kept, tenant) in KINDS {
        let [members, kept] = [members, kept].map(|it| it.replace("NOW", &minted.to_string()));
        let iat =
            if members.contains("iat") { String::new() } else { format!(r#","iat":{minted}"#) };
        let exp = minted + 30 * 86_400;
        let token = signed(&format!(r#"{{{members}{iat},"exp":{exp}.5,"purpose":"access"}}"#));
        let response = stack.at(Duration::ZERO).get(&token).await;
        assert_eq!(rejected(&response), None, "{members}");
        let next = renewed(&response).unwrap_or_else(|| panic!("a successor of {members}"));
        let read = claims(&next);
        assert_eq!(read["sub"], sub, "{members}");
        assert_eq!(read["auth_time"], minted, "{members}");
        assert_eq!(
            (&read["iat"], &read["exp"]),
            (&json!(BEGIN.as_secs()), &json!(BEGIN.as_secs() + 3600))
        );
        assert_eq!((&read["idle_max"], &read["abs_max"]), (&json!(1200), &json!(43_200)));
        assert!(read["jti"].is_string() && read["sid"].is_string(), "{members}");
        assert_eq!(
            others(&crate::test_stack::payload(&next)),
            format!(r#"{kept},"purpose":"access""#)
        );

        let records = records(&stack, tenant, sub).await;
        let [record] = &*records else { panic!("{members}: {records:?}") };
        assert_eq!(Value::from(&*record.sid), read["sid"], "{members}");
        assert_eq!(record.last_seen, BEGIN);
        for token in [&token, &next] {
            assert_eq!(rejected(&stack.at(MINUTE).get(token).await), None, "{members}");
        }
        assert_eq!(signs_out(&stack, &next).await.status(), 200);
        for token in [&token, &next] {
            assert_eq!(rejected(&stack.get(token).await), REVOKED, "{members}");
        }
    }
}

/// The members of `payload` that are no claims of this crate, but for `tenant`, as they are written.
fn others(payload: &str) -> String {
    const OWN: [&str; 8] = ["sub", "sid", "auth_time", "iat", "exp", "jti", "idle_max", "abs_max"];
    let mut kept = payload.trim_matches(['{', '}']).to_owned();
    for name in OWN {
        let start = kept.find(&format!(r#""{name}":"#)).expect("a claim of ours");
        let end = kept[start..].find(',').map_or(kept.len(), |length| start + length + 1);
        kept.replace_range(start..end, "");
    }
    format!(",{}", kept.trim_matches(','))
}

pub(crate) async fn p33_two_tokens_of_one_sign_in_are_one_session(store: Store) {
    let stack = stack(&store);
    let iat = BEGIN.as_secs() - 600;
    let token = |header, purpose| {
        let payload = format!(
            r#"{{"sub":7,"login":99,"iat":{iat},"exp":{},"purpose":"{purpose}"}}"#,
            iat + 86_400
        );
        forge(header, &payload, &SECRET)
    };
    let access = token(r#"{"alg":"HS256","typ":"JWT"}"#, "access");
    let refresh = token(r#"{"alg":"HS256","typ":"rt+jwt"}"#, "refresh");
    assert_eq!(rejected(&stack.get(&access).await), None);
    assert_eq!(recorded(&stack, "7").await.len(), 1);
    let grant = stack.sessions.refresh(&refresh).await.expect("the token is adopted");
    assert_eq!(grant.session_id(), "99");
    let records = records(&stack, None, "7").await;
    assert_eq!(records.iter().map(|record| &*record.sid).collect::<Vec<_>>(), ["99"]);
    assert_eq!(signs_out(&stack, grant.access_token()).await.status(), 200);
    for token in [&*access, grant.access_token()] {
        assert_eq!(rejected(&stack.get(token).await), REVOKED);
    }
    for token in [&*refresh, refresh_token(&grant)] {
        assert_eq!(refused(&stack, token).await, RejectionKind::InvalidRefreshToken);
    }
}

pub(crate) async fn p33_an_old_token_past_the_absolute_timeout_is_active_until_its_exp(
    store: Store,
) {
    let stack = stack(&store);
    let token = old(7 * 24);
    for minutes in [0, 10, 29] {
        let response = stack.at(minutes * MINUTE).get(&token).await;
        assert_eq!((rejected(&response), renewed(&response)), (None, None), "{minutes}");
        if minutes == 0 {
            let records = recorded(&stack, "ada").await;
            assert_eq!(records[0].auth_time, BEGIN - 7 * DAY);
        }
    }
    let last = 29 * MINUTE;
    assert_eq!(rejected(&stack.at(last + 20 * MINUTE).get(&token).await), IDLE);
    assert!(self::records(&stack, None, "ada").await.is_empty());
    let expired = Some(RejectionKind::SessionExpiredAbsolute);
    let (last, end) = (old(24 * 30 - 1), HOUR);
    assert_eq!(rejected(&stack.at(end - MILLI).get(&last).await), None);
    assert_eq!(rejected(&stack.at(end).get(&last).await), expired);
    let response = stack.at(Duration::ZERO).get(&old(12)).await;
    assert_eq!((rejected(&response), renewed(&response)), (None, None), "at the deadline");
}

pub(crate) async fn p33_a_refresh_past_the_absolute_timeout_ends_no_old_access_token(store: Store) {
    let stack = stack(&store);
    let iat = BEGIN.as_secs() - 13 * 3600;
    let payload = |purpose| {
        let exp = iat + 30 * 86_400;
        format!(r#"{{"sub":"ada","login":"s","iat":{iat},"exp":{exp},"purpose":"{purpose}"}}"#)
    };
    let refresh = forge(r#"{"alg":"HS256","typ":"rt+jwt"}"#, &payload("refresh"), &SECRET);
    for _ in 0..2 {
        assert_eq!(refused(&stack, &refresh).await, RejectionKind::SessionExpiredAbsolute);
    }
    assert_eq!(rejected(&stack.get(&signed(&payload("access"))).await), None);
}

pub(crate) async fn p22_a_signed_out_session_stays_ended_until_its_old_token_expires(store: Store) {
    let stack = stack(&store);
    // By the old token, by its successor, and by its name.
    for (sub, age) in [("old", 5), ("successor", 6), ("sid", 7), ("late sid", 24 * 7)] {
        let token = old_of(sub, age);
        let response = stack.at(MINUTE).get(&token).await;
        assert_eq!(rejected(&response), None, "{sub}");
        let record = recorded(&stack, sub).await.remove(0);
        match sub {
            "old" => drop(signs_out(&stack, &token).await),
            "successor" => {
                drop(signs_out(&stack, &renewed(&response).expect("a successor")).await);
            }
            _ => stack.sessions.revoke(&record.sid).await.expect("the session ends"),
        }
        let exp = 30 * DAY - u32::try_from(age).expect("hours") * HOUR;
        for later in [2 * MINUTE, 13 * HOUR, 20 * DAY, exp - MILLI] {
            // Each sign-in makes the memory store remove a few expired entries.
            for number in 0..if later == 13 * HOUR { 100 } else { 0 } {
                stack.sessions.start(number.to_string()).await.expect("the session starts");
            }
            assert_eq!(rejected(&stack.at(later).get(&token).await), REVOKED, "{sub} {later:?}");
        }
    }
}

pub(crate) async fn p22_a_bulk_revocation_applies_until_every_old_token_has_expired(store: Store) {
    let stack = stack(&store);
    let (seen, unseen) = (old(1), old(24 * 7));
    assert_eq!(rejected(&stack.get(&seen).await), None);
    assert_eq!(recorded(&stack, "ada").await.len(), 1);
    let scope = stack.sessions.user_scope(None, "ada");
    let count = stack.sessions.revoke_all(scope, Exempt::None).await.expect("the store answers");
    assert_eq!(count, 1, "it is counted");
    for later in [MINUTE, 13 * HOUR, 14 * DAY] {
        for token in [&seen, &unseen] {
            assert_eq!(rejected(&stack.at(later).get(token).await), REVOKED, "{later:?}");
        }
        assert!(records(&stack, None, "ada").await.is_empty());
    }
}

pub(crate) async fn p23_a_session_that_could_not_be_recorded_is_recorded_later(store: Store) {
    let unreliable = UnreliableStore::new(store);
    let as_store: Store = Arc::clone(&unreliable) as _;
    let stack = stack(&as_store);
    let token = old(6);
    unreliable.set_state(State::RefusingRecords);
    for _ in 0..2 {
        let response = stack.get(&token).await;
        assert_eq!((rejected(&response), renewed(&response)), (None, None), "no successor yet");
    }
    unreliable.set_state(State::Up);
    let response = stack.at(2 * MINUTE).get(&token).await;
    assert!(renewed(&response).is_some());
    assert_eq!(records(&stack, None, "ada").await.len(), 1);
}

pub(crate) async fn p24_a_session_is_recorded_at_its_first_activity_only(store: Store) {
    let unreliable = UnreliableStore::new(store);
    let as_store: Store = Arc::clone(&unreliable) as _;
    let keys = JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes");
    let foreign = VerifyingKey::hmac(Algorithm::HS256, [9; 32]).expect("a secret of 32 bytes");
    keys.add_issuer_key("idp", foreign).expect("a free kid");
    let stack = TestStack::with_keys(keys, policy(), |builder| {
        builder.lifecycle_store(as_store).legacy_tokens(LegacyTokens::adopt(adopt))
    });
    let now = BEGIN.as_secs();
    let foreign = format!(r#"{{"iss":"idp","sub":"ada","iat":{now},"exp":{}}}"#, now + 3600);
    let foreign = forge(r#"{"alg":"HS256"}"#, &foreign, &[9; 32]);
    // The store does not know the session of another issuer, and has lost the one of before.
    let lost = TestStack::new(policy()).sign_in_as("bob").await;
    let old = old(24 * 7);
    for seconds in 0..20 {
        for token in [&old, &lost, &foreign] {
            let response = stack.at(seconds * 1000 * MILLI).get(token).await;
            assert_eq!(rejected(&response), None);
        }
    }
    assert_eq!(recorded(&stack, "ada").await.len(), 1);
    assert_eq!(unreliable.adoptions(), 1);
}
