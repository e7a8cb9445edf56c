//! Labels: what an app shows of a session in lists.

use serde_json::{Value, json};
use tower_sliding_session::{
    Grant, SlidingSessions, StartError,
    store::{LabelError, ListQuery, MemoryStore},
};

use crate::{
    client::{details, record, refreshed, service, session},
    empty_stores::Store,
    test_stack::{
        MINUTE, TestStack, claims, ok, patient, recorded_log::RecordedLog, rejected, with,
    },
};

async fn sign_in(stack: &TestStack, label: &Value) -> Grant {
    stack.sessions.start("ada").tenant("acme").label(label).await.expect("the session starts")
}

async fn label_of(stack: &TestStack, grant: &Grant) -> Option<Value> {
    let label = record(stack, grant).await.expect("the session is active").label?;
    Some(serde_json::from_str(label.as_json()).expect("JSON"))
}

/// A session in place of that of `grant`, by a handler that may set a label.
async fn stepped_up(stack: &TestStack, grant: &Grant, label: Option<&Value>) -> Grant {
    let new = std::sync::Mutex::new(None);
    let handler = async |request| {
        let old = session(&request);
        let start = stack.sessions.reauthenticate(&old);
        let start = if let Some(label) = label { start.label(label) } else { start };
        let started = start.await.expect("the session starts");
        *new.lock().expect("not poisoned") = Some(started);
        ok()
    };
    assert_eq!(rejected(&stack.send_to(handler, with(grant.access_token())).await), None);
    new.into_inner().expect("not poisoned").expect("the handler was called")
}

pub(crate) async fn a_label_is_listed_with_its_session(store: Store) {
    let stack = service(&store);
    let laptop = json!({ "device": "Laptop \u{1F4BB}", "place": "K\u{f6}ln", "nul": "\u{0}" });
    let labels = [Some(laptop), None, Some(json!("phone")), Some(Value::Null)];
    for label in &labels {
        let start = stack.sessions.start("ada").tenant("acme");
        let start = if let Some(label) = label { start.label(label) } else { start };
        start.await.expect("the session starts");
        stack.clock.advance(MINUTE);
    }
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    let page = stack.sessions.sessions(scope, ListQuery::first(9)).await;
    let listed = page.expect("the store answers").items.into_iter().rev();
    let listed: Vec<_> = listed.map(|it| it.label.map(|it| it.as_json().to_owned())).collect();
    assert_eq!(listed, labels.map(|it| it.map(|it| it.to_string())));
}

pub(crate) async fn a_label_is_kept_by_requests_and_refreshes(store: Store) {
    let stack = service(&store);
    let label = json!({ "device": "Laptop" });
    let mut grant = sign_in(&stack, &label).await;
    for minute in 1..4 {
        stack.at(minute * 10 * MINUTE);
        assert_eq!(rejected(&stack.get(grant.access_token()).await), None);
        grant = refreshed(&stack, &grant).await;
        assert_eq!(label_of(&stack, &grant).await.as_ref(), Some(&label));
    }
}

pub(crate) async fn a_step_up_keeps_the_label_unless_it_sets_another(store: Store) {
    let stack = service(&store);
    let (laptop, phone) = (json!({ "device": "Laptop" }), json!({ "device": "Phone" }));
    let first = sign_in(&stack, &laptop).await;
    let second = stepped_up(stack.at(MINUTE), &first, None).await;
    assert_eq!(label_of(&stack, &second).await.as_ref(), Some(&laptop));
    let third = stepped_up(stack.at(2 * MINUTE), &second, Some(&phone)).await;
    assert_eq!(label_of(&stack, &third).await.as_ref(), Some(&phone));
    let causes = details(&stack, "session_ended").await;
    assert_eq!(causes, [json!({ "cause": "replaced" }), json!({ "cause": "replaced" })]);
}

pub(crate) async fn p10_a_label_is_in_no_token_and_in_no_audit_record(store: Store) {
    let (log, _recording) = RecordedLog::start();
    let stack = service(&store);
    let grant = sign_in(&stack, &json!({ "device": "secret-laptop" })).await;
    let grant = stepped_up(stack.at(MINUTE), &grant, None).await;
    for token in [Some(grant.access_token()), grant.refresh_token()] {
        let claims = claims(token.expect("refresh tokens are on")).to_string();
        assert!(!claims.contains("secret") && !claims.contains("label"), "{claims}");
    }
    let started = format!("{:?}", details(&stack, "session_started").await);
    assert!(!started.contains("secret"), "{started}");
    let record = record(&stack, &grant).await.expect("the session is active");
    assert!(!format!("{record:?} {:?}", record.label).contains("secret"));
    assert!(!log.text().contains("secret"));
}

pub(crate) async fn p15_a_label_that_is_too_long_starts_no_session(store: Store) {
    let stack = service(&store);
    sign_in(&stack, &"x".repeat(510).into()).await;
    let old = sign_in(&stack, &json!("x")).await;
    let long = Value::from("x".repeat(511));
    let refused = stack.sessions.start("ada").label(&long).await.expect_err("too long");
    let StartError::Label(LabelError::TooLong { len: 513, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(!format!("{refused} {refused:?}").contains("xx"));
    let handler = async |request| {
        let old = session(&request);
        let refused = stack.sessions.reauthenticate(&old).label(&long).await;
        assert!(matches!(refused, Err(StartError::Label(_))));
        ok()
    };
    stack.send_to(handler, with(old.access_token())).await;
    assert_eq!(rejected(&stack.get(old.access_token()).await), None, "nothing has ended");
    assert_eq!(details(&stack, "session_started").await.len(), 2);
}

#[tokio::test]
async fn a_label_without_a_lifecycle_store_is_not_kept() {
    let stack = TestStack::with(patient(), |builder| builder.store(MemoryStore::new()));
    let sessions: &SlidingSessions = &stack.sessions;
    sessions.start("ada").label("phone").await.expect("the session starts");
    let refused = sessions.start("ada").label(&"x".repeat(511)).await;
    assert!(matches!(refused, Err(StartError::Label(_))), "checked all the same");
}
