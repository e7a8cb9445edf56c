use super::*;

#[test]
fn the_description_contains_every_setting() {
    let policy = Policy::builder()
        .idle_timeout(25 * MINUTE)
        .absolute_timeout(11 * HOUR)
        .token_lifetime(40 * MINUTE)
        .renew_threshold(0.75)
        .renew_min_interval(Duration::from_secs(45))
        .leeway(Duration::from_secs(3))
        .max_clock_skew(Duration::from_secs(7))
        .build()
        .unwrap();
    let text = policy.describe();
    for figure in ["25m", "11h", "40m", "0.75", "(30m)", "45s", "3s", "7s", "AAL2"] {
        assert!(text.contains(figure), "{figure}: {text}");
    }
    assert!(!text.contains('\n'), "one paragraph: {text}");
}

#[test]
fn the_description_compares_with_nist() {
    let compared = |policy: Policy| policy.describe();
    assert!(compared(Policy::nist_aal3()).contains("for AAL3 (15m of inactivity, 12h overall)"));
    assert!(compared(Policy::nist_aal2()).contains("for AAL2 (1h of inactivity, 24h overall)"));
    let weeks = Policy::sliding(7 * DAY, 30 * DAY).unwrap();
    assert!(compared(weeks).contains("justify the deviation"));
}

#[test]
fn the_description_of_a_sliding_policy_says_how_inexact_it_is() {
    let text = Policy::sliding(4 * HOUR, DAY).unwrap().describe();
    assert!(text.contains("an idle session can end as early as 2h after"), "{text}");
    let fixed = Policy::sliding(4 * HOUR, DAY).unwrap().to_builder().renew(false).build().unwrap();
    assert!(fixed.describe().contains("do not prolong it"), "{}", fixed.describe());
}

#[test]
fn the_default_policy_and_the_one_of_the_readme_have_no_warning() {
    let of_the_readme = Policy::builder()
        .idle_timeout(20 * MINUTE)
        .absolute_timeout(12 * HOUR)
        .token_lifetime(HOUR)
        .renew_threshold(0.5)
        .build()
        .unwrap();
    for policy in [default(), of_the_readme] {
        assert_eq!(policy.warnings(), Vec::<String>::new());
        assert_eq!(policy.warnings_with_refresh_tokens(), Vec::<String>::new());
        assert!(!policy.describe().contains("Warning"), "{}", policy.describe());
    }
    assert!(Policy::long_lived().warnings_with_refresh_tokens().is_empty());
}

#[test]
fn each_surprising_setting_has_a_warning_and_a_line_in_the_description() {
    let b = Policy::builder;
    let surprising = [
        ("renewals are off", b().renew(false)),
        ("a token can expire 30m after", b().idle_timeout(31 * MINUTE)),
        ("renew_min_interval is 0", b().renew_min_interval(Duration::ZERO)),
    ];
    for (expected, builder) in surprising {
        let policy = builder.build().unwrap();
        let warnings = policy.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with(expected), "{warnings:?}");
        assert!(warnings[0].contains(": "), "what to change? {warnings:?}");
        assert_eq!(policy.describe().lines().count(), 2);
        assert!(policy.describe().contains(warnings[0].as_str()));
    }
}

#[test]
fn a_warning_is_gone_after_its_advice_was_followed() {
    let b = || Policy::builder().idle_timeout(31 * MINUTE);
    for builder in [
        b().token_lifetime(62 * MINUTE),
        b().renew_threshold(0.52),
        b().renew_always(),
        b().idle_timeout(30 * MINUTE),
        b().renew_min_interval(Duration::from_secs(5)).idle_timeout(20 * MINUTE),
        Policy::sliding(HOUR, DAY).unwrap().to_builder(),
    ] {
        let warnings = builder.build().unwrap().warnings();
        assert!(warnings.is_empty(), "{warnings:?}");
    }
    assert!(b().build().unwrap().warnings_with_refresh_tokens().is_empty());
}
