//! The grants of `Policy::long_lived()`, and what a refresh keeps.

use serde_json::json;
use tower_sliding_session::store::ListQuery;

use crate::{
    client::{DAY, ada, asked, refresh_token, refreshed, service},
    empty_stores::Store,
    test_stack::{BEGIN, HOUR, claims},
};

pub(crate) async fn a_grant_has_both_deadlines(store: Store) {
    let stack = service(&store);
    let grant = ada(&stack).await;
    let grant_json = serde_json::to_value(&grant).expect("JSON");
    assert_eq!(grant_json["idle_expires_at"], "2027-01-18T08:00:00Z");
    assert_eq!(grant_json["absolute_expires_at"], "2027-01-29T08:00:00Z");
    assert_eq!(
        (&grant_json["token_type"], &grant_json["expires_in"]),
        (&json!("Bearer"), &json!(900))
    );
    assert_eq!(grant_json["session_id"], grant.session_id());
    assert_eq!(grant_json["access_token"], grant.access_token());
    assert_eq!(grant_json["refresh_token"], refresh_token(&grant));
}

pub(crate) async fn both_tokens_carry_the_timeouts(store: Store) {
    let stack = service(&store);
    let grant = ada(&stack).await;
    let now = BEGIN.as_secs();
    let [access, refresh] = [grant.access_token(), refresh_token(&grant)].map(claims);
    for token in [&access, &refresh] {
        assert_eq!((&token["idle_max"], &token["abs_max"]), (&json!(259_200), &json!(1_209_600)));
        assert_eq!((&token["auth_time"], &token["iat"]), (&json!(now), &json!(now)));
        assert_eq!((&token["sub"], &token["tenant"]), (&json!("ada"), &json!("acme")));
        assert_eq!((&token["sid"], &token["epoch"]), (&access["sid"], &json!(BEGIN.as_millis())));
    }
    assert_eq!((&access["exp"], &refresh["exp"]), (&json!(now + 900), &json!(now + 14 * 86_400)));
    assert_ne!(access["jti"], refresh["jti"]);
}

pub(crate) async fn a_refresh_keeps_sign_in_time_timeouts_and_claims(store: Store) {
    let stack = service(&store);
    let start = stack.sessions.start("ada").tenant("acme");
    let first = start.claims(&json!({ "role": "editor" })).await.expect("the session starts");
    let mut grant = first.clone();
    for turn in 1..=2 {
        stack.at(turn * HOUR);
        let next = refreshed(&stack, &grant).await;
        assert_eq!(asked(&stack, &next).await, None);
        let now = (BEGIN + turn * HOUR).as_secs();
        for (old, new, exp) in [
            (first.access_token(), next.access_token(), now + 900),
            (refresh_token(&first), refresh_token(&next), (BEGIN + 14 * DAY).as_secs()),
        ] {
            let (mut old, new) = (claims(old), claims(new));
            assert_ne!(old["jti"], new["jti"]);
            old["jti"] = new["jti"].clone();
            (old["iat"], old["exp"]) = (json!(now), json!(exp));
            old["refresh_gen"] = json!(turn);
            assert_eq!(old, new);
        }
        assert_eq!(next.session_id(), first.session_id());
        assert_ne!(next.refresh_token(), grant.refresh_token());
        grant = next;
    }
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    let page =
        stack.sessions.sessions(scope, ListQuery::first(9)).await.expect("the store answers");
    assert_eq!(page.items.len(), 1);
    assert_eq!((page.items[0].auth_time, page.items[0].ends_at), (BEGIN, BEGIN + 14 * DAY));
}
