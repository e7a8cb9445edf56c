//! The levels of log lines: no request logs at INFO.

use crate::test_stack::{HOUR, MILLI, TestStack, patient, recorded_log::RecordedLog, renewed};

#[tokio::test]
async fn a_renewal_is_logged_at_debug() {
    let (log, _recording) = RecordedLog::start();
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    assert!(renewed(&stack.at(HOUR / 2 + MILLI).get(&token).await).is_some());
    stack.sessions.audit_queue().expect("an audit queue").flush().await;
    let text = log.text();
    let levels = |event: &str| -> Vec<bool> {
        let lines = text.lines().filter(|line| line.contains(event));
        lines.map(|line| line.contains("INFO session_audit:")).collect()
    };
    assert_eq!(levels("\"session_started\""), [true], "{text}");
    assert_eq!(levels("\"session_renewed\""), [false], "{text}");
}
