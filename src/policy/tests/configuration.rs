use std::collections::HashMap;

use super::*;

fn overlaid(settings: &[(&str, &str)]) -> PolicyBuilder {
    let settings: HashMap<&str, &str> = settings.iter().copied().collect();
    Policy::builder().overlay("APP", |name| settings.get(name))
}

fn read(json: &str) -> Result<Policy, String> {
    serde_json::from_str(json).map_err(|e| e.to_string())
}

#[test]
fn the_environment_replaces_the_defaults() {
    assert_eq!(overlaid(&[]).build(), Ok(default()));
    let policy = overlaid(&[
        ("APP_IDLE_TIMEOUT", "5m"),
        ("APP_ABSOLUTE_TIMEOUT", "1.5d"),
        ("APP_TOKEN_LIFETIME", " 0.5h "),
        ("APP_RENEW", "off"),
        ("APP_RENEW_THRESHOLD", "0.25"),
        ("APP_RENEW_MIN_INTERVAL", "0s"),
        ("APP_LEEWAY", "1500ms"),
        ("APP_MAX_CLOCK_SKEW", "1m"),
        ("OTHER_IDLE_TIMEOUT", "nonsense"),
    ]);
    let expected = Policy::builder()
        .idle_timeout(5 * MINUTE)
        .absolute_timeout(36 * HOUR)
        .token_lifetime(30 * MINUTE)
        .renew(false)
        .renew_threshold(0.25)
        .renew_min_interval(Duration::ZERO)
        .leeway(Duration::from_millis(1500))
        .max_clock_skew(MINUTE);
    assert_eq!(policy.build(), expected.build());
    let always =
        overlaid(&[("APP_RENEW", "on"), ("APP_RENEW_THRESHOLD", "always")]).build().unwrap();
    assert!(always.renews());
    assert_eq!(always.renew_when(), RenewWhen::Always);
}

#[test]
fn every_unreadable_variable_is_named_and_no_value_is_repeated() {
    let settings = [
        ("APP_IDLE_TIMEOUT", "hunter2"),
        ("APP_ABSOLUTE_TIMEOUT", "hunter2"),
        ("APP_TOKEN_LIFETIME", "3600"),
        ("APP_RENEW", "hunter2"),
        ("APP_RENEW_THRESHOLD", "hunter2"),
        ("APP_RENEW_MIN_INTERVAL", ""),
        ("APP_LEEWAY", "-1s"),
        ("APP_MAX_CLOCK_SKEW", "hunter2"),
    ];
    let error = overlaid(&settings).build().unwrap_err();
    assert_eq!(error.problems().len(), settings.len(), "{error}");
    for (name, _) in settings {
        let start = format!("{name} cannot be read: ");
        assert!(error.problems().iter().any(|problem| problem.starts_with(&start)), "{name}");
    }
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn unreadable_and_contradictory_settings_are_listed_together() {
    let builder =
        overlaid(&[("APP_RENEW", "yes"), ("APP_LEEWAY", "1h"), ("APP_RENEW_THRESHOLD", "1.5")]);
    assert_eq!(problems(builder).len(), 3);
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_unicode_is_unreadable() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};

    let garbled = |name: &str| (name == "APP_RENEW").then(|| OsString::from_vec(vec![b'o', 0xff]));
    let named = problems(Policy::builder().overlay("APP", garbled));
    assert_eq!(named, ["APP_RENEW cannot be read: the value is not Unicode"]);
}

#[test]
fn an_environment_without_variables_gives_the_default_policy() {
    assert_eq!(Policy::from_env("A_PREFIX_THAT_NOBODY_SETS"), Ok(default()));
}

#[test]
fn a_policy_is_read_from_a_map() {
    assert_eq!(read("{}"), Ok(default()));
    let all = read(
        r#"{"idle_timeout": "5m", "absolute_timeout": 86400, "token_lifetime": "0.5h", "renew": false,
            "renew_threshold": 0.25, "renew_min_interval": 0, "leeway": "1500ms", "max_clock_skew": 60}"#,
    );
    let expected = Policy::builder()
        .idle_timeout(5 * MINUTE)
        .absolute_timeout(DAY)
        .token_lifetime(30 * MINUTE)
        .renew(false)
        .renew_threshold(0.25)
        .renew_min_interval(Duration::ZERO)
        .leeway(Duration::from_millis(1500))
        .max_clock_skew(MINUTE)
        .build()
        .unwrap();
    assert_eq!(all, Ok(expected));
    let when = |json| read(json).map(|policy| policy.renew_when());
    assert_eq!(when(r#"{"renew_threshold": "always"}"#), Ok(RenewWhen::Always));
    assert_eq!(when(r#"{"renew_threshold": "0.75"}"#), Ok(RenewWhen::Threshold(0.75)));
    assert_eq!(when(r#"{"renew_threshold": 1}"#), Ok(RenewWhen::Threshold(1.0)));
}

#[test]
fn an_invalid_map_is_refused() {
    let refused = [
        (r#"{"idle": "5m"}"#, "unknown field"),
        (r#"{"idle_timeout": "5"}"#, "no unit"),
        (r#"{"idle_timeout": -5}"#, "whole seconds"),
        (r#"{"idle_timeout": 5.5}"#, "whole seconds"),
        (r#"{"idle_timeout": true}"#, "whole seconds"),
        (r#"{"idle_timeout": 18446744073709551615}"#, "100 years"),
        (r#"{"renew": "maybe"}"#, "boolean"),
        (r#"{"renew_threshold": "often"}"#, "always"),
        (r#"{"renew_threshold": 0}"#, "renew_threshold"),
        (r#"{"renew_threshold": -1}"#, "renew_threshold"),
        (r#"{"renew_threshold": 18446744073709551615}"#, "renew_threshold"),
        (r#"{"renew_threshold": null, "idle_timeout": []}"#, "whole seconds"),
    ];
    for (json, expected) in refused {
        let error = read(json).unwrap_err();
        assert!(error.contains(expected), "{json}: {error}");
    }
}

#[test]
fn a_contradictory_map_lists_every_problem() {
    let error =
        read(r#"{"idle_timeout": "13h", "token_lifetime": "13h", "leeway": 121}"#).unwrap_err();
    for field in ["idle_timeout (13h)", "token_lifetime (13h)", "leeway"] {
        assert!(error.contains(field), "{error}");
    }
}

#[test]
fn renew_when_serializes_as_a_number_or_always() {
    for (when, json) in [(RenewWhen::Threshold(0.25), "0.25"), (RenewWhen::Always, r#""always""#)] {
        assert_eq!(serde_json::to_string(&when).unwrap(), json);
        assert_eq!(serde_json::from_str::<RenewWhen>(json).unwrap(), when);
    }
}
