use super::*;
use crate::{
    policy::Policy,
    rules::{SessionClaims, Timeouts},
};

fn token(payload: &str) -> VerifiedToken {
    VerifiedToken::trusted("ada", "s1", Timestamp::from_secs(1), payload).expect("well-formed")
}

fn times(iat: u64, exp: u64) -> rules::TokenTimes {
    let policy = Policy::builder()
        .token_lifetime(std::time::Duration::from_secs(exp - iat))
        .idle_timeout(std::time::Duration::from_secs(1))
        .renew_min_interval(std::time::Duration::ZERO)
        .build()
        .expect("legal");
    let at = Timestamp::from_secs(iat);
    rules::successor_times(&SessionClaims::new("ada", "s1", at, at), &policy, at)
}

fn limits() -> Timeouts {
    let claims = SessionClaims::new("ada", "s1", Timestamp::EPOCH, Timestamp::EPOCH);
    Timeouts::effective(&claims, &Policy::builder().build().expect("legal"))
}

fn succeed(payload: &str, seen: Seen, app: Option<&AppClaims>) -> String {
    succeed_in(payload, seen, app, token(payload).claims().generation)
}

fn succeed_in(payload: &str, seen: Seen, app: Option<&AppClaims>, generation: u32) -> String {
    let claims = GrantedClaims { app: app.cloned(), ..GrantedClaims::from_token(&token(payload)) };
    succeed_with(payload, seen, &claims, generation)
}

fn succeed_with(payload: &str, seen: Seen, claims: &GrantedClaims, generation: u32) -> String {
    let (times, limits) = (times(70, 90), limits());
    let succession = Succession { times, seen, limits, claims, id: "JTI", generation };
    successor_payload(&token(payload), succession)
}

#[test]
fn every_other_byte_is_copied() {
    let app = r#""big":18446744073709551615,"price":1.10,"e":1e2, "n" : {"iat":5,"a":[1, 2]}"#;
    let payload =
        format!(r#"{{"role":"\u0061dmin","iat":50,{app},"exp":60.5,"jti":"old","z":null}}"#);
    assert_eq!(
        succeed(&payload, Seen::AtMint, None),
        format!(r#"{{"role":"\u0061dmin","iat":70,{app},"exp":90,"jti":"JTI","z":null}}"#),
    );
}

#[test]
fn p17_an_activity_drops_seen_and_any_other_mint_writes_it() {
    let earlier = Seen::Earlier(Timestamp::from_millis(55_999));
    let cases = [
        (r#"{"iat":50,"exp":60,"jti":"x"}"#, Seen::AtMint, r#"{"iat":70,"exp":90,"jti":"JTI"}"#),
        (
            r#"{"iat":50,"exp":60,"jti":"x"}"#,
            earlier,
            r#"{"iat":70,"exp":90,"jti":"JTI","seen":55}"#,
        ),
        (
            r#"{"seen":52,"iat":50,"exp":60,"jti":"x"}"#,
            Seen::AtMint,
            r#"{"iat":70,"exp":90,"jti":"JTI"}"#,
        ),
        (
            r#"{"iat":50,"exp":60,"jti":"x" , "seen":52 }"#,
            Seen::AtMint,
            r#"{"iat":70,"exp":90,"jti":"JTI"  }"#,
        ),
        (
            r#"{"iat":50,"seen" : 52 ,"exp":60,"jti":"x"}"#,
            Seen::AtMint,
            r#"{"iat":70,"exp":90,"jti":"JTI"}"#,
        ),
        (
            r#"{"iat":50,"seen":52,"exp":60,"jti":"x"}"#,
            earlier,
            r#"{"iat":70,"seen":55,"exp":90,"jti":"JTI"}"#,
        ),
    ];
    for (payload, seen, expected) in cases {
        assert_eq!(succeed(payload, seen, None), expected);
    }
}

#[test]
fn a_token_without_jti_gets_one() {
    assert_eq!(
        succeed(r#"{"iat":50,"exp":60}"#, Seen::AtMint, None),
        r#"{"iat":70,"exp":90,"jti":"JTI"}"#
    );
}

#[test]
fn p02_the_claims_of_the_application_are_replaced_and_ours_are_kept() {
    let app = AppClaims::new(&serde_json::json!({ "role": "engineer" })).expect("an object");
    let payload = r#"{"role":"admin","iat":50,"admin":true,"exp":60,"jti":"x","tenant":"acme"}"#;
    assert_eq!(
        succeed(payload, Seen::AtMint, Some(&app)),
        r#"{"iat":70,"exp":90,"jti":"JTI","tenant":"acme","role":"engineer"}"#
    );
    let nothing = AppClaims::from_json(" { } ").expect("an object");
    assert_eq!(
        succeed(payload, Seen::AtMint, Some(&nothing)),
        r#"{"iat":70,"exp":90,"jti":"JTI","tenant":"acme"}"#
    );
}

#[test]
fn p21_an_application_cannot_set_claims_of_the_session() {
    for name in RESERVED {
        let json = format!(r#"{{"role":"a","{name}":1}}"#);
        assert!(AppClaims::from_json(&json).is_err(), "{name}");
    }
    assert!(AppClaims::from_json(r#"{"\u0073ub":"eve"}"#).is_err());
    assert!(AppClaims::from_json("[1]").is_err());
    assert!(AppClaims::new("text").is_err());
}

#[test]
fn a_refresh_writes_its_generation_and_a_renewal_copies_it() {
    let first = r#"{"iat":50,"exp":60,"jti":"x","role":1}"#;
    let second = r#"{"iat":70,"exp":90,"jti":"JTI","role":1,"refresh_gen":1}"#;
    assert_eq!(succeed_in(first, Seen::AtMint, None, 1), second);
    assert_eq!(succeed(second, Seen::AtMint, None), second);
    let third = r#"{"refresh_gen":4294967295,"iat":50,"exp":60,"jti":"x"}"#;
    assert_eq!(
        succeed_in(third, Seen::AtMint, None, 7),
        r#"{"refresh_gen":7,"iat":70,"exp":90,"jti":"JTI"}"#
    );
}

#[test]
fn p37_a_successor_has_the_number_of_its_claims() {
    let at = Timestamp::from_millis;
    for (payload, claims_at, expected) in [
        (r#"{"iat":50,"exp":60,"jti":"x"}"#, None, r#"{"iat":70,"exp":90,"jti":"JTI"}"#),
        (
            r#"{"iat":50,"exp":60,"jti":"x"}"#,
            Some(at(777)),
            r#"{"iat":70,"exp":90,"jti":"JTI","claims_at":777}"#,
        ),
        (
            r#"{"claims_at":5,"iat":50,"exp":60,"jti":"x"}"#,
            Some(at(777)),
            r#"{"claims_at":777,"iat":70,"exp":90,"jti":"JTI"}"#,
        ),
        (
            r#"{"iat":50,"exp":60,"jti":"x", "claims_at" : 5}"#,
            None,
            r#"{"iat":70,"exp":90,"jti":"JTI", "claims_at" : 5}"#,
        ),
    ] {
        let claims = GrantedClaims { app: None, claims_at };
        assert_eq!(succeed_with(payload, Seen::AtMint, &claims, 0), expected);
        let carried = GrantedClaims::from_token(&token(payload)).claims_at;
        let current = token(payload).with_claims(&claims);
        assert_eq!(current.claims().claims_at, claims_at.or(carried), "{payload}");
    }
}

#[test]
fn p37_the_claims_that_a_handler_sees_are_those_of_the_successor() {
    let payload = r#"{"iat":50,"role":"admin","exp":60,"jti":"x","seen":3}"#;
    let app = AppClaims::from_json(r#"{"role":"reader","team":[7]}"#).expect("an object");
    let claims = GrantedClaims { app: Some(app), claims_at: Some(Timestamp::from_millis(9)) };
    let current = token(payload).with_claims(&claims);
    let expected =
        r#"{"iat":50,"exp":60,"jti":"x","seen":3,"claims_at":9,"role":"reader","team":[7]}"#;
    assert_eq!(current.payload(), expected);
    assert_eq!(current.session_key(), token(payload).session_key());
    let kept = GrantedClaims::from_token(&current);
    let (times, limits) = (times(70, 90), limits());
    let claims = &kept;
    let succession =
        Succession { times, seen: Seen::AtMint, limits, claims, id: "JTI", generation: 0 };
    assert_eq!(
        successor_payload(&current, succession),
        r#"{"iat":70,"exp":90,"jti":"JTI","claims_at":9,"role":"reader","team":[7]}"#
    );
    let bare = VerifiedToken::bare(SessionClaims::new("a", "s", Timestamp::EPOCH, Timestamp::MAX));
    assert_eq!(bare.with_claims(&kept).payload(), r#"{"claims_at":9}"#);
}
