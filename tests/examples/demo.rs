//! The example `demo`: its policies, its page below any path, and its policy explorer.

#[path = "../../examples/demo.rs"]
#[expect(dead_code, reason = "a test does not run `main`")]
mod example;

use std::{collections::HashMap, ffi::OsString, time::Duration};

use axum::{Router, http::StatusCode};
use serde_json::{Value, json};

use self::example::{PAGE, app, explorer::MAX_REQUESTS, policies::Policies};
use crate::client::{Answer, Client, bearer, claims};

const JSON: (&str, &str) = ("content-type", "application/json");

fn policies(settings: &[(&str, &str)]) -> Policies {
    let settings: HashMap<_, _> = settings.iter().copied().collect();
    Policies::read(|name| settings.get(name).map(OsString::from)).expect("policies")
}

fn client() -> Client {
    Client::new(|clock| app(&policies(&[]), clock))
}

async fn sign_in(client: &Client, profile: &str) -> Value {
    let body = json!({ "user": "ada", "profile": profile }).to_string();
    client.send("POST /login", &[JSON], &body).await.json()
}

async fn call(client: &Client, line: &str, grant: &Value) -> Answer {
    let token = grant["access_token"].as_str().expect("a token");
    client.send(line, &[("authorization", &bearer(token))], "").await
}

#[tokio::test]
async fn the_session_of_one_minute_is_renewed_after_five_seconds() {
    let client = client();
    let grant = sign_in(&client, "short").await;
    client.wait(Duration::from_secs(5));
    assert_eq!(call(&client, "GET /me", &grant).await.header("x-refreshed-token"), None);
    client.wait(Duration::from_millis(1));
    let renewed = call(&client, "GET /me", &grant).await;
    let token = renewed.header("x-refreshed-token").expect("a renewal");
    let (old, new) = (claims(grant["access_token"].as_str().expect("a token")), claims(token));
    assert_eq!(new["exp"].as_u64(), old["exp"].as_u64().map(|exp| exp + 5));
}

#[tokio::test]
async fn the_token_expires_before_the_session_and_is_refreshed() {
    let client = client();
    let grant = sign_in(&client, "short").await;
    client.wait(Duration::from_secs(10));
    assert_eq!(call(&client, "GET /me", &grant).await.json()["code"], "token_expired");
    let body = json!({ "refresh_token": grant["refresh_token"] }).to_string();
    let refreshed = client.send("POST /auth/refresh", &[JSON], &body).await;
    assert_eq!(call(&client, "GET /me", &refreshed.json()).await.status, StatusCode::OK);
    client.wait(Duration::from_secs(20));
    let body = json!({ "refresh_token": refreshed.json()["refresh_token"] }).to_string();
    let ended = client.send("POST /auth/refresh", &[JSON], &body).await;
    assert_eq!(ended.json()["code"], "session_expired_idle");
}

#[tokio::test]
async fn p37_a_role_that_is_changed_is_in_the_next_request_of_each_session() {
    let client = client();
    let (grant, other) = (sign_in(&client, "normal").await, sign_in(&client, "normal").await);
    assert_eq!(call(&client, "GET /me", &grant).await.json()["role"], "reader");
    let bearer = bearer(grant["access_token"].as_str().expect("a token"));
    let headers = [JSON, ("authorization", bearer.as_str())];
    let changed = client.send("POST /role", &headers, r#"{"role":"editor"}"#).await;
    assert_eq!((changed.status, changed.json()), (StatusCode::OK, json!({ "role": "editor" })));
    for grant in [&grant, &other] {
        let answer = call(&client, "GET /me", grant).await;
        let successor = answer.header("x-refreshed-token").expect("the token with the new role");
        assert_eq!(claims(successor)["role"], "editor");
        assert_eq!(answer.json()["role"], "editor");
    }
    for body in [r#"{"role":""}"#, r#"{"role":"<b>"}"#, "{}"] {
        let answer = client.send("POST /role", &headers, body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
}

#[tokio::test]
async fn a_session_whose_token_has_expired_signs_out() {
    let client = client();
    let grant = sign_in(&client, "short").await;
    client.wait(Duration::from_secs(11));
    assert_eq!(call(&client, "POST /logout", &grant).await.status, StatusCode::NO_CONTENT);
    let body = json!({ "refresh_token": grant["refresh_token"] }).to_string();
    let refreshed = client.send("POST /auth/refresh", &[JSON], &body).await;
    assert_eq!(refreshed.json()["code"], "invalid_refresh_token");
}

#[tokio::test]
async fn the_policy_of_each_profile_is_listed_the_short_one_first() {
    let answer = client().send("GET /policies", &[], "").await.json();
    let short = json!({
        "name": "short", "idle_timeout": 20.0, "absolute_timeout": 60.0, "token_lifetime": 10.0,
        "renew": true, "renew_threshold": 0.5, "renew_min_interval": 0.0,
    });
    assert_eq!(answer["profiles"][0], short);
    let idle = |list: &str, name: &str| {
        let list = answer[list].as_array().expect("policies");
        list.iter().find(|policy| policy["name"] == name).expect(name)["idle_timeout"].clone()
    };
    assert_eq!(idle("profiles", "normal"), 1200.0);
    assert_eq!(idle("profiles", "remember_me"), 7.0 * 86_400.0);
    assert_eq!(idle("profiles", "guest"), 3600.0);
    assert_eq!(idle("presets", "nist_aal3"), 900.0);
}

#[test]
fn demo_short_makes_the_normal_session_one_minute() {
    let short = policies(&[("DEMO_SHORT", "1")]);
    assert_eq!(short.normal, short.short);
    let set = policies(&[("DEMO_SHORT", "1"), ("SESSION_IDLE_TIMEOUT", "30s")]);
    assert_eq!(set.normal.idle_timeout(), Duration::from_secs(30));
    assert_eq!(policies(&[("DEMO_SHORT", "0")]).normal, policies(&[]).normal);
    let error = Policies::read(|name| (name == "DEMO_SHORT").then(|| "yes".into())).err();
    assert_eq!(error.expect("an error").to_string(), "DEMO_SHORT is 1 or 0");
}

#[tokio::test]
async fn an_unknown_profile_is_an_error() {
    let body = json!({ "user": "ada", "profile": "forever" }).to_string();
    let answer = client().send("POST /login", &[JSON], &body).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn the_page_works_below_any_path() {
    let client = Client::new(|clock| {
        // As a proxy that removes the prefix.
        Ok(Router::new().nest_service("/some/prefix", app(&policies(&[]), clock)?))
    });
    for file in PAGE {
        let path = file.path;
        let answer = client.send(&format!("GET /some/prefix{path}"), &[], "").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header("content-type"), Some(file.media_type), "{path}");
        // An address that begins with a slash or a scheme leaves the prefix or the server.
        for address in ["src=\"/", "href=\"/", "'/", "`/", "https://", "url(/"] {
            assert!(!file.content.contains(address), "{path} has the address {address}");
        }
    }
    let grant = client.send("POST /some/prefix/login", &[JSON], r#"{"user": "ada"}"#).await;
    assert_eq!(call(&client, "GET /some/prefix/me", &grant.json()).await.status, StatusCode::OK);
}

/// Sends a policy and requests to the explorer.
async fn explore(policy: Value, refresh_tokens: bool, requests: &[(u64, bool)]) -> Value {
    let requests: Vec<_> = requests
        .iter()
        .map(|(at, background)| json!({ "at": at, "background": background }))
        .collect();
    let body = json!({ "policy": policy, "refresh_tokens": refresh_tokens, "requests": requests });
    let answer = client().send("POST /explore", &[JSON], &body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.json()
}

fn short() -> Value {
    json!({
        "idle_timeout": 20, "absolute_timeout": 60, "token_lifetime": 10, "renew_threshold": 0.5,
        "renew_min_interval": 0,
    })
}

#[tokio::test]
async fn the_explorer_shows_renewals_and_the_absolute_end_of_an_active_user() {
    let every_three: Vec<_> = (1..=30).map(|n| (3 * n, false)).collect();
    let explored = explore(short(), false, &every_three).await;
    assert_eq!(explored["sign_in"], json!({ "token": 10.0, "idle": 20.0, "absolute": 60.0 }));
    let requests = explored["requests"].as_array().expect("requests");
    let renewed: Vec<_> = requests
        .iter()
        .filter(|sent| sent["renewed"] == true)
        .map(|sent| (sent["at"].as_f64().unwrap_or(0.0), sent["deadlines"]["token"].clone()))
        .collect();
    // The last token lasts until the absolute deadline, so nothing prolongs it.
    let (at, until): (Vec<_>, Vec<_>) = renewed.into_iter().unzip();
    assert_eq!(at, [6.0, 12.0, 18.0, 24.0, 30.0, 36.0, 42.0, 48.0, 54.0]);
    assert_eq!(until, [16.0, 22.0, 28.0, 34.0, 40.0, 46.0, 52.0, 58.0, 60.0]);
    assert_eq!(explored["end"], json!({ "at": 60.0, "code": "session_expired_absolute" }));
    let last = requests.last().expect("a request");
    assert_eq!((&last["at"], &last["code"]), (&json!(60.0), &json!("session_expired_absolute")));
    // From 12 s to 57 s.
    assert_eq!(explored["fixed_token"], json!({ "until": 10.0, "rejected": 16 }));
}

#[tokio::test]
async fn the_explorer_shows_the_end_of_a_user_who_leaves() {
    let leaves = [(4, false), (8, false)];
    let explored = explore(short(), true, &leaves).await;
    assert_eq!(explored["end"], json!({ "at": 28.0, "code": "session_expired_idle" }));
    // Polls refresh the token and do not prolong the session.
    let polls =
        [(4, false), (8, false), (15, true), (21, true), (27, true), (28, true), (40, true)];
    let explored = explore(short(), true, &polls).await;
    assert_eq!(explored["end"], json!({ "at": 28.0, "code": "session_expired_idle" }));
    let requests = explored["requests"].as_array().expect("requests");
    let refreshed: Vec<_> = requests.iter().map(|sent| sent["refreshed"] == true).collect();
    assert_eq!(refreshed, [false, false, false, true, false, false]);
    // Without a refresh token the session ends with the token, which the policy warns of.
    let explored = explore(short(), false, &leaves).await;
    assert_eq!(explored["end"], json!({ "at": 18.0, "code": "token_expired" }));
    let warnings = explored["warnings"].as_array().expect("warnings");
    assert!(
        warnings.iter().any(|text| text.as_str().is_some_and(|it| it.contains("refresh tokens")))
    );
}

#[tokio::test]
async fn the_explorer_ends_a_session_at_its_earliest_deadline() {
    for (requests, refresh_tokens, at, code) in [
        (vec![], true, 20.0, "session_expired_idle"),
        (vec![(19, false)], true, 39.0, "session_expired_idle"),
        (vec![(19, false), (38, false)], true, 58.0, "session_expired_idle"),
        (vec![(19, false), (38, false), (57, false)], true, 60.0, "session_expired_absolute"),
        (vec![(500, false)], true, 20.0, "session_expired_idle"),
        (vec![(9, false), (10, false)], false, 19.0, "token_expired"),
        (vec![(10, false)], false, 10.0, "token_expired"),
    ] {
        let explored = explore(short(), refresh_tokens, &requests).await;
        assert_eq!(explored["end"], json!({ "at": at, "code": code }), "{requests:?}");
    }
}

#[tokio::test]
async fn the_explorer_takes_every_listed_policy_and_the_longest() {
    let listed = client().send("GET /policies", &[], "").await.json();
    let lists =
        ["profiles", "presets"].map(|list| listed[list].as_array().expect("a list").clone());
    for mut policy in lists.concat() {
        let members = policy.as_object_mut().expect("an object");
        members.remove("name");
        for (_, value) in members.iter_mut() {
            if let Some(seconds) = value.as_f64().filter(|seconds| *seconds >= 1.0) {
                *value = json!(format!("{seconds}s"));
            }
        }
        members.insert("renew_min_interval".to_owned(), json!(0));
        explore(policy, true, &[(1, false)]).await;
    }
    let century =
        json!({ "idle_timeout": "100y", "absolute_timeout": "100y", "token_lifetime": "100y" });
    let latest = 100 * 31_557_600;
    let explored = explore(century, true, &[(latest, false)]).await;
    assert_eq!(explored["end"]["at"], 3_155_760_000.0);
}

#[tokio::test]
async fn the_explorer_says_what_to_change() {
    let client = client();
    let too_many: Vec<_> = (0..=MAX_REQUESTS).map(|at| json!({ "at": at })).collect();
    for (body, title) in [
        ("{".to_owned(), "EOF while parsing an object at line 1 column 1"),
        (json!({ "requests": [] }).to_string(), "missing field `policy`"),
        (
            json!({ "policy": { "idle_timeout": 0 }, "requests": [] }).to_string(),
            "idle_timeout (0s) is too short: set it to 1s or more",
        ),
        (
            json!({ "policy": { "token_lifetime": "13h" }, "requests": [] }).to_string(),
            "shorten token_lifetime or lengthen absolute_timeout",
        ),
        (
            json!({ "policy": { "renew_threshold": 2 }, "requests": [] }).to_string(),
            "set it to a number greater than 0 and at most 1",
        ),
        (
            json!({ "policy": { "lifetime": 2 }, "requests": [] }).to_string(),
            "unknown field `lifetime`, expected one of",
        ),
        (json!({ "policy": {}, "requests": too_many }).to_string(), "send at most 500"),
        (
            json!({ "policy": {}, "requests": [{ "at": 2 }, { "at": 1 }] }).to_string(),
            "sort them by `at`",
        ),
        (
            json!({ "policy": {}, "requests": [{ "at": u64::MAX }] }).to_string(),
            "at most 3155760000 seconds after sign-in",
        ),
        (json!({ "policy": {}, "requests": [{ "at": -1 }] }).to_string(), "invalid value"),
        (json!({ "policy": {}, "requests": [{ "at": 1.5 }] }).to_string(), "invalid type"),
        ("[".repeat(30_000), "invalid type: sequence"),
        (" ".repeat(40_000), "send at most 32768 bytes"),
        ("\u{0}<script>".to_owned(), "expected value"),
        (String::new(), "EOF while parsing a value"),
    ] {
        let answer = client.send("POST /explore", &[JSON], &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{title}");
        let problem = answer.json();
        assert_eq!(problem["code"], "invalid_exploration");
        let told = problem["title"].as_str().expect("a title");
        assert!(told.contains(title), "{told} does not contain {title}");
    }
}

#[tokio::test]
async fn p38_a_ticket_opens_the_events_once() {
    let client = client();
    let grant = sign_in(&client, "normal").await;
    let token = grant["access_token"].as_str().expect("a token");
    let body = json!({ "path": "/ticket" }).to_string();
    let headers = [JSON, ("authorization", &bearer(token))];
    let issued = client.send("POST /ticket", &headers, &body).await;
    assert_eq!((issued.status, issued.header("cache-control")), (StatusCode::OK, Some("no-store")));
    assert_eq!(issued.json()["expires_in"], 30);
    // For another path, another method, and without a ticket.
    let ticket = issued.json()["ticket"].as_str().expect("a ticket").to_owned();
    for line in [format!("GET /events?ticket={ticket}"), format!("POST /ticket?ticket={ticket}")] {
        assert_eq!(client.send(&line, &[JSON], &body).await.json()["code"], "invalid_token");
    }
    assert_eq!(client.send("GET /events", &[], "").await.json()["code"], "missing_token");
    assert_eq!(client.send("POST /ticket", &[JSON], &body).await.json()["code"], "missing_token");
    let body = json!({ "path": "events" }).to_string();
    let refused = client.send("POST /ticket", &headers, &body).await;
    assert_eq!(refused.json()["code"], "invalid_path");
    // Anybody with a ticket for the path reads the events, once.
    let body = json!({ "path": "/events" }).to_string();
    let issued = client.send("POST /ticket", &headers, &body).await.json();
    let line = format!("GET /events?ticket={}", issued["ticket"].as_str().expect("a ticket"));
    let first = client.first_frame(&line).await;
    assert_eq!(first, "event: tick\nid: 0\ndata: 0\n\n");
    assert_eq!(client.send(&line, &[], "").await.json()["code"], "invalid_token");
}
