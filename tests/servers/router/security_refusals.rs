//! What `PATCH /auth/security` refuses, by field, value and bound.

use serde_json::{Value, json};
use tower_sliding_session::Grant;

use super::service::{Answer, Service, by, problem};

const IDLE: &str = "idle_timeout_minutes";
const ABSOLUTE: &str = "absolute_timeout_minutes";

/// Sends the JSON unchanged.
async fn patch(service: &Service, owner: &Grant, body: &str) -> Answer {
    let request = by("PATCH /security", owner).header("content-type", "application/json");
    service.send(request, body.to_owned()).await
}

/// The errors of a change that is refused and changes nothing.
async fn refused(body: &str) -> Vec<Value> {
    let service = Service::new();
    let owner = service.owner("ada", "acme").await;
    let before = service.call("GET /security", &owner).await.ok();
    let answer = patch(&service, &owner, body).await;
    assert_eq!(answer.problem(), problem(422, "invalid_settings"), "{body}");
    assert_eq!(service.call("GET /security", &owner).await.ok(), before, "{body}");
    let errors = answer.json()["errors"].as_array().expect("a list").clone();
    for error in &errors {
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    }
    errors
}

async fn refused_alone(body: &str) -> (String, Value, Value) {
    let errors = refused(body).await;
    assert_eq!(errors.len(), 1, "{body}");
    let field = errors[0]["field"].as_str().expect("a field").to_owned();
    (field, errors[0]["value"].clone(), errors[0]["bound"].clone())
}

#[tokio::test]
async fn one_minute_out_of_bounds_is_refused() {
    for (body, field, value, bound) in [
        (r#"{"idle_timeout_minutes":4}"#, IDLE, 4, json!({ "min": 5 })),
        (r#"{"idle_timeout_minutes":0}"#, IDLE, 0, json!({ "min": 5 })),
        (r#"{"absolute_timeout_minutes":59}"#, ABSOLUTE, 59, json!({ "min": 60 })),
        (r#"{"absolute_timeout_minutes":20161}"#, ABSOLUTE, 20_161, json!({ "max": 20_160 })),
        (
            r#"{"idle_timeout_minutes":4321,"absolute_timeout_minutes":20160}"#,
            IDLE,
            4321,
            json!({ "max": 4320 }),
        ),
        (r#"{"absolute_timeout_minutes":4319}"#, ABSOLUTE, 4319, json!({ "min": 4320 })),
        (
            r#"{"idle_timeout_minutes":61,"absolute_timeout_minutes":60}"#,
            IDLE,
            61,
            json!({ "max": 60 }),
        ),
    ] {
        assert_eq!(refused_alone(body).await, (field.to_owned(), json!(value), bound), "{body}");
    }
}

#[tokio::test]
async fn only_whole_numbers_of_minutes_are_accepted() {
    let range = json!({ "min": 5, "max": 4320 });
    let least = json!({ "min": 5 });
    let most = json!({ "max": 4320 });
    for (value, bound) in [
        ("60.5", &range),
        ("60.0", &range),
        ("6e1", &range),
        ("\"60\"", &range),
        ("\"\"", &range),
        ("\"sechzig 🦀\"", &range),
        ("true", &range),
        ("[60]", &range),
        ("{\"minutes\":60}", &range),
        ("-1", &least),
        ("-0", &least),
        ("-1.5", &least),
        ("-99999999999999999999999999", &least),
        ("4294967296", &most),
        ("18446744073709551615", &most),
        ("18446744073709551616", &most),
        ("307445734561825861", &most),
        ("99999999999999999999999999999999", &most),
    ] {
        let (field, value_shown, bound_shown) =
            refused_alone(&format!("{{\"{IDLE}\":{value}}}")).await;
        let value: Value = serde_json::from_str(value).expect("JSON");
        assert_eq!((&*field, &value_shown, &bound_shown), (IDLE, &value, bound));
    }
}

#[tokio::test]
async fn a_value_that_json_cannot_hold_is_repeated_as_text_or_omitted() {
    for value in ["1e999", "-1e999", r#""\ud800""#] {
        let (field, value_shown, _) = refused_alone(&format!("{{\"{IDLE}\":{value}}}")).await;
        assert_eq!((&*field, &value_shown), (IDLE, &json!(value)));
    }
    for value in ["9".repeat(8_000), "[".repeat(4_000) + &"]".repeat(4_000)] {
        let (field, value_shown, _) = refused_alone(&format!("{{\"{IDLE}\":{value}}}")).await;
        assert_eq!((&*field, value_shown), (IDLE, Value::Null));
    }
}

#[tokio::test]
async fn unknown_fields_are_named() {
    let body = r#"{"idle_timeout":60,"IDLE_TIMEOUT_MINUTES":60,"größe":null,"":[]}"#;
    let mut fields: Vec<_> =
        refused(body).await.iter().map(|error| error["field"].clone()).collect();
    fields.sort_by_key(Value::to_string);
    assert_eq!(fields, ["", "IDLE_TIMEOUT_MINUTES", "größe", "idle_timeout"]);
}

#[tokio::test]
async fn every_error_is_listed() {
    let errors = refused(r#"{"idle_timeout_minutes":4,"absolute_timeout_minutes":59}"#).await;
    assert_eq!(errors.len(), 2);
    let errors = refused(r#"{"idle_timeout_minutes":"x","absolute_timeout_minutes":-1}"#).await;
    assert_eq!(errors.len(), 2);
    let errors = refused(r#"{"idle_timeout_minutes":60,"absolute_timeout_minutes":"x"}"#).await;
    assert_eq!(errors.len(), 1);
}

#[tokio::test]
async fn a_body_that_is_not_an_object_is_refused() {
    for body in ["[]", "[60,600]", "null", "60", "\"x\""] {
        assert_eq!(refused(body).await.len(), 1, "{body}");
    }
}
