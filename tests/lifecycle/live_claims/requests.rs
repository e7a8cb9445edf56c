//! Which requests with stale claims ask, and which responses carry the successor.

use std::sync::Arc;

use http::{Method, Response};
use tokio::task::JoinSet;
use tower_sliding_session::{PathRules, RejectionKind, store::Exempt};

use super::{BOUND, Says, change, editor, get, role_of, roles_of, show_role};
use crate::{
    client::{ada, details, signs_out},
    empty_stores::Store,
    test_stack::{MILLI, MINUTE, by, claims, ok, rejected, renewed, text, with},
};

pub(crate) async fn p37_parallel_requests_ask_once(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    change(&stack, &roles, "reader").await;
    roles.say(Says::RoleLater);
    let stack = Arc::new(stack);
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let (stack, token) = (Arc::clone(&stack), grant.access_token().to_owned());
        requests.spawn(async move { role_of(&stack, &token).await });
    }
    roles.was_asked().await;
    roles.answer();
    assert!(requests.join_all().await.iter().all(|role| role == "reader"));
    assert_eq!(role_of(&stack, grant.access_token()).await, "reader", "its answer is kept");
    assert_eq!(roles.asked(), 1);
    change(&stack, &roles, "admin").await;
    roles.say(Says::Role);
    assert_eq!(role_of(&stack, grant.access_token()).await, "admin");
    assert_eq!(roles.asked(), 1, "one for each change");
}

/// Each response carries a successor, and all of them the same one.
pub(crate) async fn p06_p37_parallel_responses_carry_one_successor(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    change(&stack, &roles, "reader").await;
    let stack = Arc::new(stack);
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let (stack, token) = (Arc::clone(&stack), grant.access_token().to_owned());
        requests.spawn(async move { renewed(&get(&stack, &token).await).expect("a successor") });
    }
    let successors = requests.join_all().await;
    assert!(successors.iter().all(|successor| *successor == successors[0]));
    assert_eq!(details(&stack, "session_renewed").await.len(), 1);

    // A token of a refresh is another predecessor, and the next change another question.
    let later = async |token: &str| renewed(&get(&stack, token).await).expect("a successor");
    let first = later(grant.access_token()).await;
    assert_eq!(first, successors[0]);
    stack.clock.advance(MINUTE);
    let second = later(grant.access_token()).await;
    assert_ne!(second, first, "the min interval has passed");
    change(&stack, &roles, "admin").await;
    let third = later(grant.access_token()).await;
    assert_eq!(claims(&third)["role"], "admin");
    let of_successor = later(&second).await;
    assert_ne!(claims(&of_successor)["jti"], claims(&third)["jti"], "of another token");
}

/// The successor of a background response says when the user was active last; another one does not.
pub(crate) async fn p17_p37_a_background_response_shares_no_successor_with_later_activity(
    store: Store,
) {
    let (stack, roles, grant) = editor(&store).await;
    stack.at(MINUTE);
    change(&stack, &roles, "reader").await;
    let send = async |activity: &str| {
        let request = by(Method::GET, grant.access_token()).header("session-activity", activity);
        let response = stack.send(request.body(()).expect("a request")).await;
        claims(&renewed(&response).expect("a successor"))
    };
    let background = send("background").await;
    assert!(background["seen"].is_u64());
    assert_eq!(send("background").await["jti"], background["jti"]);
    let user = send("user").await;
    assert_eq!(user.get("seen"), None);
    assert_ne!(user["jti"], background["jti"]);
    assert_eq!(send("background").await["jti"], user["jti"], "it is later than the activity");
}

pub(crate) async fn p37_a_background_request_asks_and_a_public_one_does_not(store: Store) {
    let path_rules = PathRules::new().public("/login").background("/poll");
    let (stack, roles) = roles_of(&store, |builder| builder.path_rules(path_rules));
    let grant = ada(&stack).await;
    stack.at(60_000 * MILLI);
    change(&stack, &roles, "reader").await;
    roles.asked();
    let at = |path: &str| {
        let mut request = with(grant.access_token());
        *request.uri_mut() = path.parse().expect("a path");
        request
    };
    assert_eq!(renewed(&stack.send(at("/login")).await), None);
    assert_eq!(roles.asked(), 0);
    let response = stack.send_to(show_role, at("/poll")).await;
    let successor = renewed(&response).expect("the response carries the successor");
    assert_eq!((text(response).await.as_str(), roles.asked()), ("reader", 1));
    let seen = (claims(&successor)["seen"].as_u64(), claims(&grant_token(&grant))["iat"].as_u64());
    assert_eq!(seen.0, seen.1, "its mint is no activity");
}

fn grant_token(grant: &tower_sliding_session::Grant) -> String {
    grant.access_token().to_owned()
}

pub(crate) async fn p37_a_failed_response_carries_the_successor(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    for status in [200, 201, 404, 409, 500, 503] {
        change(&stack, &roles, &status.to_string()).await;
        let response = Response::builder().status(status).body(String::new()).expect("a response");
        let response = stack.get_from(response, grant.access_token()).await;
        let successor = renewed(&response).unwrap_or_else(|| panic!("{status}"));
        assert_eq!(claims(&successor)["role"], status.to_string());
    }
    let response = Response::builder().header("grpc-status", "5").body(String::new());
    let response = stack.get_from(response.expect("a response"), grant.access_token()).await;
    assert!(renewed(&response).is_some(), "trailers only");
}

pub(crate) async fn p37_where_no_successor_may_go_the_next_request_brings_it(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    change(&stack, &roles, "reader").await;
    roles.asked();
    for response in [
        Response::builder().status(304),
        Response::builder().status(101),
        Response::builder().status(302),
        Response::builder().header("cache-control", "public, max-age=60"),
        Response::builder().header("x-refreshed-token", "the app's own"),
    ] {
        let response = response.body(String::new()).expect("a response");
        let response = stack.get_from(response, grant.access_token()).await;
        let header = renewed(&response);
        assert!(header.is_none_or(|token| token == "the app's own"));
    }
    let response = get(&stack, grant.access_token()).await;
    let successor = renewed(&response).expect("the response carries the successor");
    assert_eq!(claims(&successor)["role"], "reader");
    assert_eq!(roles.asked(), 1);
}

pub(crate) async fn p37_a_conditional_request_reaches_the_handler_without_its_conditions(
    store: Store,
) {
    let (stack, roles, grant) = editor(&store).await;
    change(&stack, &roles, "reader").await;
    let request = by(Method::GET, grant.access_token()).header("if-none-match", "\"1\"");
    let handler = async |request: http::Request<()>| {
        assert!(!request.headers().contains_key("if-none-match"));
        ok()
    };
    let response = stack.send_to(handler, request.body(()).expect("a request")).await;
    assert!(renewed(&response).is_some());
}

pub(crate) async fn p04_p37_a_handler_that_signs_out_gets_no_successor(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    change(&stack, &roles, "reader").await;
    signs_out(&stack, &grant).await;
    let response = get(&stack, grant.access_token()).await;
    assert_eq!(rejected(&response), Some(RejectionKind::SessionRevoked));
    assert_eq!(roles.asked(), 1, "an ended session asks nobody");
}

pub(crate) async fn p04_p37_a_session_that_ends_while_the_source_answers_is_refused(store: Store) {
    for is_bulk in [false, true] {
        let (stack, roles, grant) = editor(&store).await;
        change(&stack, &roles, "reader").await;
        roles.say(Says::RoleLater);
        let revoked = async {
            roles.was_asked().await;
            let scope = stack.sessions.user_scope(Some("acme"), "ada");
            if is_bulk {
                let revoked = stack.sessions.revoke_all(scope, Exempt::None).await;
                assert!(revoked.expect("the store answers") > 0);
            } else {
                let revoked = stack.sessions.revoke(grant.session_id()).await;
                revoked.expect("the session is revoked");
            }
            roles.answer();
        };
        let (response, ()) = tokio::join!(get(&stack, grant.access_token()), revoked);
        assert_eq!(rejected(&response), Some(RejectionKind::SessionRevoked), "{is_bulk}");
    }
}

/// The source has read the role before the second change, and answers after it.
pub(crate) async fn p37_a_change_while_the_source_answers_is_asked_for_again(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    change(&stack, &roles, "reader").await;
    roles.say(Says::RoleLater);
    let changed = async {
        roles.was_asked().await;
        change(&stack, &roles, "admin").await;
        roles.answer();
        roles.was_asked().await;
        roles.answer();
    };
    let (role, ()) = tokio::join!(role_of(&stack, grant.access_token()), changed);
    assert_eq!((role.as_str(), roles.asked()), ("admin", 2));
}

/// A request asks eight questions at most.
pub(crate) async fn p37_claims_that_change_during_each_answer_are_a_503(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    change(&stack, &roles, "reader").await;
    roles.say(Says::RoleLater);
    let changed = async {
        for _ in 0..8 {
            roles.was_asked().await;
            change(&stack, &roles, "admin").await;
            roles.answer();
        }
    };
    let answered = async { tokio::join!(get(&stack, grant.access_token()), changed).0 };
    let response = tokio::time::timeout(BOUND, answered).await.expect("the request is answered");
    assert_eq!(rejected(&response), Some(RejectionKind::StoreUnavailable));
}
