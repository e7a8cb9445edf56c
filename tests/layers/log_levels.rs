//! The levels of log lines: no request logs at INFO.

use std::time::Duration;

use tower_sliding_session::{Policy, policy::OverrideBounds, sessions::SlidingSessionsBuilder};

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

#[tokio::test]
async fn bounds_that_weaken_the_policy_are_a_warning_and_a_line_of_the_description() {
    let weaker = || OverrideBounds::new().dangerous_longer_than_policy();
    let (idle, absolute) = (Duration::from_secs(20 * 60), 12 * HOUR);
    let minute = Duration::from_secs(60);
    let policy = Policy::builder().idle_timeout(idle).absolute_timeout(absolute);
    let policy = policy.build().expect("a legal policy");
    for (bounds, expected) in [
        (OverrideBounds::new(), None),
        (weaker().idle(minute..=idle).absolute(HOUR..=absolute), None),
        (weaker(), Some("an idle timeout of 30d and an absolute timeout of 90d")),
        (weaker().idle(minute..=idle), Some("to an absolute timeout of 90d")),
        (weaker().absolute(HOUR..=absolute).idle(minute..=HOUR), Some("to an idle timeout of 1h")),
    ] {
        let (log, guard) = RecordedLog::start();
        let stack = TestStack::with(policy.clone(), |it| it.override_bounds(bounds.clone()));
        drop(guard);
        let described = stack.sessions.describe();
        let warnings = |text: &str, mark: &str| {
            let lines = text.lines().filter(|line| line.contains(mark));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        for warnings in [warnings(&log.text(), "WARN"), warnings(described, "Warning: ")] {
            assert_eq!(warnings.len(), usize::from(expected.is_some()), "{bounds:?}: {warnings:?}");
            for (warning, expected) in warnings.iter().zip(expected) {
                assert!(warning.contains(expected), "{warning}");
                assert!(warning.contains("dangerous_longer_than_policy"), "{warning}");
            }
        }
    }
}

#[tokio::test]
async fn the_description_has_each_profile_and_only_warnings_that_apply() {
    let policy = Policy::builder().renew(false).build().expect("a legal policy");
    let stack = |set: fn(SlidingSessionsBuilder) -> SlidingSessionsBuilder| {
        TestStack::with(policy.clone(), |it| set(it).profile("guest", patient()))
    };
    let described = stack(|it| it).sessions.describe().to_owned();
    for part in ["Profile `normal`: ", "Profile `guest`: ", "Warning: renewals are off"] {
        assert!(described.contains(part), "{part}: {described}");
    }
    let with_refresh_tokens = stack(SlidingSessionsBuilder::refresh_tokens);
    let described = with_refresh_tokens.sessions.describe();
    assert!(!described.contains("Warning"), "{described}");
}
