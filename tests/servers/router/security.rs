//! `GET` and `PATCH /auth/security`.

use serde_json::{Value, json};

use super::service::{BEGIN, DAY, MINUTE, Service, problem};

fn timeouts(idle: u64, absolute: u64) -> Value {
    json!({ "idle_timeout_minutes": idle, "absolute_timeout_minutes": absolute })
}

#[tokio::test]
async fn a_new_account_has_the_defaults() {
    let service = Service::new();
    service.engineer("bob", "acme").await;
    service.owner("eve", "globex").await;
    service.clock.advance(MINUTE);
    service.owner("ada", "acme").await;
    service.clock.advance(MINUTE);
    let owner = service.owner("ada", "acme").await;
    assert_eq!(
        service.call("GET /security", &owner).await.ok(),
        json!({
            "idle_timeout_minutes": null,
            "absolute_timeout_minutes": null,
            "effective": timeouts(4320, 20_160),
            "defaults": timeouts(4320, 20_160),
            "bounds": {
                "idle_timeout_minutes": { "min": 5, "max": 4320 },
                "absolute_timeout_minutes": { "min": 60, "max": 20_160 },
            },
            "active_users": [
                {
                    "user_id": "ada",
                    "name": "Ada Lovelace",
                    "email": "ada@acme.example",
                    "last_login_at": (BEGIN + 2 * MINUTE).to_string(),
                },
                {
                    "user_id": "bob",
                    "name": null,
                    "email": null,
                    "last_login_at": BEGIN.to_string(),
                },
            ],
        })
    );
}

#[tokio::test]
async fn a_change_applies_to_new_sessions() {
    let service = Service::new();
    let owner = service.owner("ada", "acme").await;
    let line = "PATCH /security";
    let changed = service.send_json(line, &owner, &timeouts(1440, 10_080)).await.ok();
    assert_eq!(changed["idle_timeout_minutes"], 1440);
    assert_eq!(changed["absolute_timeout_minutes"], 10_080);
    assert_eq!(changed["effective"], timeouts(1440, 10_080));
    assert_eq!(changed["defaults"], timeouts(4320, 20_160));
    assert_eq!(service.call("GET /security", &owner).await.ok(), changed);
    let next = service.engineer("bob", "acme").await;
    assert_eq!(next.idle_expires_at(), BEGIN + DAY);
    assert_eq!(next.absolute_expires_at(), BEGIN + 7 * DAY);
    let stranger = service.owner("eve", "globex").await;
    assert_eq!(stranger.idle_expires_at(), BEGIN + 3 * DAY);
    let theirs = service.call("GET /security", &stranger).await.ok();
    assert_eq!(theirs["idle_timeout_minutes"], Value::Null);
}

#[tokio::test]
async fn null_removes_a_timeout_and_an_absent_field_keeps_it() {
    let service = Service::new();
    let owner = service.owner("ada", "acme").await;
    let change = async |body: Value| {
        let answer = service.send_json("PATCH /security", &owner, &body).await.ok();
        [answer["idle_timeout_minutes"].clone(), answer["absolute_timeout_minutes"].clone()]
    };
    assert_eq!(change(timeouts(60, 600)).await, [json!(60), json!(600)]);
    assert_eq!(change(json!({})).await, [json!(60), json!(600)]);
    assert_eq!(change(json!({ "idle_timeout_minutes": 30 })).await, [json!(30), json!(600)]);
    let cleared = json!({ "absolute_timeout_minutes": null });
    assert_eq!(change(cleared).await, [json!(30), Value::Null]);
    assert_eq!(change(json!({ "idle_timeout_minutes": null })).await, [Value::Null, Value::Null]);
    let nothing = service.send_json("PATCH /security", &owner, &json!({})).await.ok();
    assert_eq!(nothing["idle_timeout_minutes"], Value::Null);
}

#[tokio::test]
async fn bounds_are_inclusive() {
    let service = Service::new();
    let owner = service.owner("ada", "acme").await;
    for (idle, absolute) in [(5, 60), (60, 60), (4320, 4320), (4320, 20_160), (5, 20_160)] {
        let answer = service.send_json("PATCH /security", &owner, &timeouts(idle, absolute)).await;
        assert_eq!(answer.ok()["effective"], timeouts(idle, absolute));
    }
}

#[tokio::test]
async fn the_security_settings_require_the_owner_role() {
    let service = Service::new();
    let engineer = service.engineer("bob", "acme").await;
    let without_account = service.start("zoe", None, "owner").await;
    for grant in [&engineer, &without_account] {
        let answer = service.call("GET /security", grant).await;
        assert_eq!(answer.problem(), problem(403, "forbidden"));
        for body in [timeouts(60, 600), json!({ "idle_timeout_minutes": "x" }), json!([])] {
            let answer = service.send_json("PATCH /security", grant, &body).await;
            assert_eq!(answer.problem(), problem(403, "forbidden"), "{body}");
        }
    }
    let owner = service.owner("ada", "acme").await;
    let settings = service.call("GET /security", &owner).await.ok();
    assert_eq!(settings["idle_timeout_minutes"], Value::Null);
}

#[tokio::test]
async fn a_change_is_audited_once() {
    let service = Service::new();
    let owner = service.owner("ada", "acme").await;
    for _ in 0..2 {
        service.send_json("PATCH /security", &owner, &timeouts(60, 600)).await.ok();
    }
    let line = "GET /activity?category=security&scope=account";
    let rows = service.call(line, &owner).await.ok();
    let rows = rows["rows"].as_array().expect("rows").iter();
    let updates: Vec<_> = rows.filter(|row| row["event"] == "session_policy_update").collect();
    assert_eq!(updates.len(), 1);
    let limits = |idle: Value, absolute: Value| json!({ "idle_timeout": idle, "absolute_timeout": absolute });
    assert_eq!(updates[0]["detail"]["old"], limits(Value::Null, Value::Null));
    assert_eq!(updates[0]["detail"]["new"], limits(json!(3600), json!(36_000)));
    assert_eq!(updates[0]["detail"]["effective_old"], limits(json!(259_200), json!(1_209_600)));
}
