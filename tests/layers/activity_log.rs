//! Which requests have an entry in the activity log.

use std::sync::{Arc, Mutex};

use http::{Method, Request};
use tower_sliding_session::{
    MaybeReady, PathRules,
    audit::{ActivityEntry, AuditRecord, AuditSink},
};

use crate::test_stack::{
    TestStack, by,
    faulty_store::{FaultyStore, StoreBehavior},
    patient,
};

/// An audit sink that keeps the class, method and status of activity entries.
#[derive(Clone, Default)]
struct Entries(Arc<Mutex<Vec<String>>>);

impl AuditSink for Entries {
    fn record(&self, _: Arc<[AuditRecord]>) -> MaybeReady<()> {
        MaybeReady::ready(Ok(()))
    }

    fn record_activity(&self, entries: Arc<[ActivityEntry]>) -> MaybeReady<()> {
        let entries = entries.iter().map(|entry| {
            let ActivityEntry { class, method, status, .. } = entry;
            format!("{} {method} {status}", class.as_str())
        });
        self.0.lock().expect("not poisoned").extend(entries);
        MaybeReady::ready(Ok(()))
    }
}

/// A stack whose activity entries are kept, over a store whose answers are ready or not.
fn logged(behavior: StoreBehavior) -> (TestStack, Entries) {
    let entries = Entries::default();
    let store = Arc::new(FaultyStore::new(behavior));
    let rules = PathRules::new().background("/background").public("/public");
    let stack = TestStack::with(patient(), |builder| {
        builder.store(store).audit_sink(entries.clone()).activity_log().path_rules(rules)
    });
    (stack, entries)
}

async fn taken(stack: &TestStack, entries: &Entries) -> Vec<String> {
    stack.sessions.audit_queue().expect("an audit queue").flush().await;
    std::mem::take(&mut entries.0.lock().expect("not poisoned"))
}

#[tokio::test]
async fn p40_a_request_that_may_write_is_logged_whatever_its_class() {
    for behavior in [StoreBehavior::Ready, StoreBehavior::Pending] {
        let (stack, entries) = logged(behavior);
        let token = stack.sign_in().await;
        for (method, path, declared, logged) in [
            ("GET", "/", false, Some("user GET 200")),
            ("HEAD", "/", true, None),
            ("GET", "/", true, None),
            ("GET", "/background", false, None),
            ("POST", "/", true, Some("background POST 200")),
            ("PUT", "/background", false, Some("background PUT 200")),
            ("DELETE", "/background", true, Some("background DELETE 200")),
            ("OPTIONS", "/", false, Some("background OPTIONS 200")),
            ("TRACE", "/", true, Some("background TRACE 200")),
            ("get", "/", true, Some("background OTHER 200")),
            // No session.
            ("POST", "/public", true, None),
        ] {
            let method: Method = method.parse().expect("a method");
            let mut request = by(method, &token).uri(path);
            if declared {
                request = request.header("session-activity", "background");
            }
            stack.send(request.body(()).expect("a request")).await;
            let logged: Vec<_> = logged.map(str::to_owned).into_iter().collect();
            assert_eq!(taken(&stack, &entries).await, logged, "{behavior:?}");
        }
    }
}

/// The client closes the connection, and the server drops the response future.
#[tokio::test]
async fn p40_a_request_without_a_response_is_logged() {
    for behavior in [StoreBehavior::Ready, StoreBehavior::Pending] {
        let (stack, entries) = logged(behavior);
        let token = stack.sign_in().await;
        let reached = Arc::new(tokio::sync::Notify::new());
        let handler = async |_: Request<()>| {
            reached.notify_one();
            std::future::pending().await
        };
        let request = by(Method::POST, &token).header("session-activity", "background");
        let request = request.body(()).expect("a request");
        tokio::select! {
            _ = stack.send_to(handler, request) => unreachable!("the handler never responds"),
            () = reached.notified() => {}
        }
        assert_eq!(taken(&stack, &entries).await, ["background POST 0"], "{behavior:?}");
    }
}
