//! `GET /auth/config`.

use serde_json::json;
use tower_sliding_session::{Policy, Profiles};

use super::service::{Service, request};

#[tokio::test]
async fn the_config_needs_no_token() {
    let service = Service::new();
    let answer = service.send(request("GET /config"), "").await;
    assert_eq!(
        answer.ok(),
        json!({
            "idle_timeout": 259_200,
            "absolute_timeout": 1_209_600,
            "token_lifetime": 900,
            "renew": true,
            "renew_threshold": 0.5,
            "renewed_token_header": "x-refreshed-token",
            "features": { "inactivity_based_expiration": true, "refresh_tokens": true },
        })
    );
    assert_eq!(answer.headers["content-type"], "application/json");
}

#[test]
fn the_config_shows_the_settings_of_the_app() {
    use tower_sliding_session::{JwtKeys, SlidingSessions};

    let policy = Policy::builder().renew_always().build().expect("a legal configuration");
    assert_eq!(Profiles::new(policy.clone()).normal(), &policy);
    let sessions = SlidingSessions::builder(
        JwtKeys::hs256([7; 32]).expect("a secret of at least 32 bytes"),
        policy,
    )
    .renewed_token_header("x-next".parse().expect("a header name"))
    .build()
    .expect("a legal configuration");
    let config = serde_json::to_value(sessions.client_config()).expect("JSON");
    assert_eq!(config["renew_threshold"], "always");
    assert_eq!(config["renewed_token_header"], "x-next");
    assert_eq!(config["features"]["refresh_tokens"], false);
}
