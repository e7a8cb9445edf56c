//! What an old token may and may not become.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use tower_sliding_session::{
    JwtKeys, Policy, RejectionKind,
    rejection::InvalidTokenReason::{
        self, LegacyToken, MalformedClaim, MalformedPayload, MissingClaim,
    },
    store::{Exempt, ListQuery, MemoryStore, SessionRecord},
    token::{AdoptedSession, LegacyClaims, LegacyTokens, TokenVerifier},
};

use crate::test_stack::{
    BEGIN, HOUR, MINUTE, SECRET, TestStack, claims, patient, rejected, renewed, signed,
};

const NOW: u64 = BEGIN.as_secs();

/// What an app's function returns for any token.
type Adopt = fn(&LegacyClaims<'_>) -> AdoptedSession;

fn adopt(claims: &LegacyClaims<'_>) -> Option<AdoptedSession> {
    if claims.text("purpose").is_some_and(|purpose| purpose == "password-reset") {
        return None;
    }
    Some(AdoptedSession::new(claims.id("sub")?))
}

fn verifier<F>(adopt: F) -> TokenVerifier
where
    F: Fn(&LegacyClaims<'_>) -> Option<AdoptedSession> + Send + Sync + 'static,
{
    let keys = Arc::new(JwtKeys::hs256(SECRET).expect("long enough"));
    TokenVerifier::new(keys).legacy(LegacyTokens::adopt(adopt))
}

/// Why a token with these members is not adopted.
fn refusal<F>(adopt: F, members: &str) -> Option<InvalidTokenReason>
where
    F: Fn(&LegacyClaims<'_>) -> Option<AdoptedSession> + Send + Sync + 'static,
{
    let verified = verifier(adopt).verify(signed(&format!("{{{members}}}")), BEGIN);
    verified.err().map(|invalid| invalid.reason())
}

#[test]
fn p14_a_user_is_a_string_or_a_whole_number() {
    for (sub, expected) in [
        ("7", None),
        ("0", None),
        (r#""ada""#, None),
        ("99999999999999999999999999999999", None),
        ("7.0", Some(LegacyToken)),
        ("7e0", Some(LegacyToken)),
        ("-7", Some(LegacyToken)),
        ("true", Some(LegacyToken)),
        ("null", Some(LegacyToken)),
        ("{}", Some(LegacyToken)),
        (r#"{"$serde_json::private::Number":"7"}"#, Some(LegacyToken)),
        ("[7]", Some(LegacyToken)),
        (r#""""#, Some(LegacyToken)),
        ("07", Some(MalformedPayload)),
        (r#"7,"sub":7"#, Some(MalformedPayload)),
        (r#"7,"\u0073ub":8"#, Some(MalformedPayload)),
        (r#"7,"role":1,"role":2"#, Some(MalformedPayload)),
        (r#"7,"sid":"a","sid":"b""#, Some(MalformedPayload)),
        (r#"7,"purpose":"password-reset""#, Some(LegacyToken)),
    ] {
        let members = format!(r#""sub":{sub},"iat":{NOW},"exp":{}"#, NOW + 60);
        assert_eq!(refusal(adopt, &members), expected, "{sub}");
    }
    assert_eq!(refusal(adopt, &format!(r#""iat":{NOW},"exp":{}"#, NOW + 60)), Some(LegacyToken));
}

#[test]
fn p13_times_are_read_as_those_of_any_token() {
    let exp = NOW + 60;
    for (members, expected) in [
        (format!(r#""iat":{NOW},"exp":{exp}"#), None),
        (format!(r#""iat":{NOW}.999,"exp":{exp}.5,"nbf":{NOW}.25"#), None),
        (format!(r#""iat":{NOW},"exp":{exp},"nbf":null"#), None),
        (format!(r#""iat":-1,"exp":{exp}"#), Some(MalformedClaim("iat"))),
        (format!(r#""iat":"{NOW}","exp":{exp}"#), Some(MalformedClaim("iat"))),
        (format!(r#""iat":{NOW}000,"exp":{exp}"#), Some(MalformedClaim("iat"))),
        (format!(r#""iat":{NOW},"exp":-1"#), Some(MalformedClaim("exp"))),
        (format!(r#""iat":{NOW},"exp":1e300"#), Some(MalformedClaim("exp"))),
        (format!(r#""iat":{NOW},"exp":{exp},"nbf":false"#), Some(MalformedClaim("nbf"))),
        (format!(r#""iat":{NOW},"exp":null"#), Some(MissingClaim("exp"))),
        (format!(r#""iat":{NOW}"#), Some(MissingClaim("exp"))),
        (format!(r#""exp":{exp}"#), Some(MissingClaim("iat"))),
        (format!(r#""iat":null,"exp":{exp}"#), Some(MissingClaim("iat"))),
        (format!(r#""iat":{NOW},"exp":{exp},"iss":7"#), Some(MalformedClaim("iss"))),
    ] {
        assert_eq!(refusal(adopt, &format!(r#""sub":7,{members}"#)), expected, "{members}");
    }
}

#[test]
fn p14_what_names_nobody_is_no_session() {
    let members = format!(r#""sub":"ada","iat":{NOW},"exp":{}"#, NOW + 60);
    let cases: [(Adopt, _); 5] = [
        (|_| AdoptedSession::new(""), Some(MalformedClaim("sub"))),
        (|_| AdoptedSession::new("ada").sid(""), Some(MalformedClaim("sid"))),
        (|_| AdoptedSession::new("a\"\u{0}\\").sid("x".repeat(300)), None),
        (|_| AdoptedSession::new("ada").profile(r#"x","sid":"y"#), None),
        (|_| AdoptedSession::new("ada").auth_time(tower_sliding_session::Timestamp::MAX), None),
    ];
    for (number, (adopt, expected)) in cases.into_iter().enumerate() {
        assert_eq!(refusal(move |claims| Some(adopt(claims)), &members), expected, "{number}");
    }
    let later = |_: &LegacyClaims<'_>| {
        Some(AdoptedSession::new("ada").auth_time(tower_sliding_session::Timestamp::MAX))
    };
    let members = format!(r#""exp":{}"#, NOW + 60);
    assert_eq!(refusal(later, &members), Some(MalformedClaim("auth_time")));
}

/// A token that names a session is one of this crate, or of no use.
#[test]
fn p21_a_token_that_names_a_session_never_reaches_the_function() {
    let (asked, count) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let own = format!(r#""sub":"ada","sid":"s","auth_time":{NOW},"iat":{NOW},"exp":{}"#, NOW + 60);
    for (more, expected) in [
        ("", None),
        (r#","nbf":null"#, Some(MalformedClaim("nbf"))),
        (r#","jti":7"#, Some(MalformedClaim("jti"))),
        (r#","tenant":7"#, Some(MalformedClaim("tenant"))),
        (r#","epoch":"x""#, Some(MalformedClaim("epoch"))),
    ] {
        let counted = Arc::clone(&asked);
        let adopt = move |_: &LegacyClaims<'_>| {
            counted.fetch_add(1, SeqCst);
            Some(AdoptedSession::new("eve"))
        };
        assert_eq!(refusal(adopt, &format!("{own}{more}")), expected, "{more}");
    }
    assert_eq!(asked.load(SeqCst), 0);
    let counted = Arc::clone(&count);
    let other = move |claims: &LegacyClaims<'_>| {
        counted.fetch_add(1, SeqCst);
        adopt(claims)
    };
    let verifier = verifier(other).issuer("us").audience("api");
    for parties in [r#""iss":"them","aud":"api""#, r#""iss":"us","aud":"web""#, r#""iss":"us""#] {
        let members = format!(r#"{{{parties},"sub":7,"iat":{NOW},"exp":{}}}"#, NOW + 60);
        assert!(verifier.verify(signed(&members), BEGIN).is_err(), "{parties}");
    }
    assert_eq!(count.load(SeqCst), 0, "a token for others");
}

#[test]
fn p21_a_successor_has_the_sign_in_and_the_session_that_the_function_names() {
    let verify = |adopt: Adopt, members: &str| {
        let verifier = verifier(move |claims| Some(adopt(claims)));
        let token = format!(r#"{{"sub":"ada","exp":{}{members}}}"#, NOW + 60);
        verifier.verify(signed(&token), BEGIN).expect("adopted")
    };
    let iat = format!(r#","iat":{NOW}"#);
    let at = |secs| tower_sliding_session::Timestamp::from_secs(secs);
    for (adopt, members, expected) in [
        (
            (|_| AdoptedSession::new("ada").auth_time(BEGIN - HOUR)) as Adopt,
            iat.clone(),
            NOW - 3600,
        ),
        (|_| AdoptedSession::new("ada").auth_time(BEGIN + HOUR), iat.clone(), NOW),
        (|_| AdoptedSession::new("ada"), iat.clone(), NOW),
        (|_| AdoptedSession::new("ada"), format!(r#"{iat},"auth_time":{}"#, NOW - 9), NOW - 9),
        (|_| AdoptedSession::new("ada"), format!(r#"{iat},"auth_time":{}"#, NOW + 9), NOW),
        (|_| AdoptedSession::new("ada"), format!(r#","auth_time":{}"#, NOW - 9), NOW - 9),
    ] {
        let token = verify(adopt, &members);
        assert_eq!(token.claims().auth_time, at(expected), "{members}");
        assert!(token.claims().iat >= token.claims().auth_time, "{members}");
    }
    let sid = |adopt, members: &str| verify(adopt, &format!("{iat}{members}")).claims().sid.clone();
    assert_eq!(&*sid(|_| AdoptedSession::new("ada").sid("given"), r#","sid":"own""#), "given");
    assert_eq!(&*sid(|_| AdoptedSession::new("ada"), r#","sid":"own""#), "own");
    assert_eq!(sid(|_| AdoptedSession::new("ada"), r#","sid":7"#).len(), 22, "a digest");
    let profile = |adopt| {
        verify(adopt, &format!(r#"{iat},"session_profile":"guest""#))
            .claims()
            .session_profile
            .clone()
    };
    assert_eq!(profile(|_| AdoptedSession::new("ada").profile("kiosk")).as_deref(), Some("kiosk"));
    assert_eq!(profile(|_| AdoptedSession::new("ada").profile("normal")), None);
    assert_eq!(profile(|_| AdoptedSession::new("ada")), None);
}

/// The claims that this crate adds are its own: an old token cannot bring an `epoch` that no
/// revocation reaches, or a generation that no refresh follows.
#[test]
fn p14_claims_of_this_crate_are_not_read_from_an_old_token() {
    let members =
        r#""epoch":253402300799000,"seen":1,"refresh_gen":4294967295,"idle_max":1,"abs_max":1"#;
    let token = signed(&format!(r#"{{"sub":7,"iat":{NOW},"exp":{},{members}}}"#, NOW + 60));
    let token = verifier(adopt).verify(token, BEGIN).expect("adopted");
    let claims = token.claims();
    assert_eq!((claims.epoch, claims.seen, claims.generation), (None, None, 0));
    assert_eq!((claims.idle_max, claims.abs_max), (None, None));
    let expected = format!(
        r#"{{"sub":"7","iat":{NOW},"exp":{},"sid":"{}","auth_time":{NOW}}}"#,
        NOW + 60,
        claims.sid
    );
    assert_eq!(token.payload(), expected);
}

async fn records(stack: &TestStack, sub: &str) -> Vec<SessionRecord> {
    let scope = stack.sessions.user_scope(None, sub);
    stack.sessions.sessions(scope, ListQuery::first(9)).await.expect("the store answers").items
}

/// Where no records are kept, an ended session stays ended until its token has expired.
#[tokio::test]
async fn p22_p33_an_ended_session_is_not_forgotten_before_its_old_token_expires() {
    let policy = Policy::builder().build().expect("a legal configuration");
    let stack = TestStack::with(policy, |builder| {
        // A small table, which a few thousand new entries sweep.
        builder.store(MemoryStore::with_capacity(4096)).legacy_tokens(LegacyTokens::adopt(adopt))
    });
    let exp = NOW + 30 * 86_400;
    let [idle, signed_out] =
        [7, 8].map(|sub| signed(&format!(r#"{{"sub":{sub},"iat":{NOW},"exp":{exp}}}"#)));
    assert_eq!(rejected(&stack.get(&idle).await), None);
    let handler = async |request: http::Request<()>| {
        let session = request.extensions().get::<tower_sliding_session::Session>();
        session.expect("authenticated").sign_out().await.expect("the session ends");
        crate::test_stack::ok()
    };
    let response = stack.send_to(handler, crate::test_stack::with(&signed_out)).await;
    assert_eq!(rejected(&response), None);
    stack.at(100 * HOUR);
    // Their entries make the store remove those that are no longer needed.
    for number in 0..3000 {
        stack.sign_in_as(&number.to_string()).await;
    }
    let expired = Some(RejectionKind::SessionExpiredIdle);
    assert_eq!(rejected(&stack.get(&idle).await), expired);
    let revoked = Some(RejectionKind::SessionRevoked);
    assert_eq!(rejected(&stack.get(&signed_out).await), revoked);
}

/// A cutoff is kept until the last old token that it ends has expired.
#[tokio::test]
async fn p22_a_cutoff_is_not_forgotten_before_old_tokens_expire() {
    let stack =
        TestStack::with(patient(), |builder| builder.legacy_tokens(LegacyTokens::adopt(adopt)));
    let exp = NOW + 1000 * 86_400;
    let token = signed(&format!(r#"{{"sub":7,"iat":{NOW},"exp":{exp}}}"#));
    stack.at(MINUTE);
    let revoke_all = async |sub: &str| {
        let scope = stack.sessions.user_scope(None, sub);
        stack.sessions.revoke_all(scope, Exempt::None).await.expect("the store answers");
    };
    revoke_all("7").await;
    stack.at(999 * 24 * HOUR);
    // One in 1024 removes the cutoffs that have expired.
    for number in 100..1200 {
        revoke_all(&number.to_string()).await;
    }
    assert_eq!(rejected(&stack.get(&token).await), Some(RejectionKind::SessionRevoked));
}

#[tokio::test]
async fn p33_replaced_claims_are_not_delivered_past_the_absolute_timeout() {
    let stack =
        TestStack::with(patient(), |builder| builder.legacy_tokens(LegacyTokens::adopt(adopt)));
    let token = signed(&format!(r#"{{"sub":7,"iat":{NOW},"exp":{}}}"#, NOW + 30 * 86_400));
    let handler = async |request: http::Request<()>| {
        let session = request.extensions().get::<tower_sliding_session::Session>();
        let session = session.expect("authenticated");
        session.replace_claims(&serde_json::json!({ "role": "admin" })).expect("an object");
        crate::test_stack::ok()
    };
    for (at, expected) in [(MINUTE, true), (12 * HOUR, false)] {
        let request = crate::test_stack::with(&token);
        let response = stack.at(at).send_to(handler, request).await;
        assert_eq!(rejected(&response), None);
        let next = renewed(&response);
        assert_eq!(next.is_some(), expected, "{at:?}");
        if let Some(next) = next {
            assert_eq!(claims(&next)["role"], "admin");
        }
    }
    assert_eq!(records(&stack, "7").await.len(), 1);
}
