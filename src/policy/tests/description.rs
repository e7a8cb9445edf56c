use super::*;

#[test]
fn the_description_has_every_figure() {
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
fn the_description_of_a_sliding_policy_owns_up_to_its_inaccuracy() {
    let text = Policy::sliding(4 * HOUR, DAY).unwrap().describe();
    assert!(text.contains("an idle session can end 2h after"), "{text}");
    let fixed = Policy::sliding(4 * HOUR, DAY).unwrap().to_builder().renew(false).build().unwrap();
    assert!(fixed.describe().contains("do not prolong it"), "{}", fixed.describe());
}

#[test]
fn each_surprise_has_a_warning_and_a_line() {
    let b = Policy::builder;
    let surprises = [
        ("an active user could be logged out", b()),
        ("renewals are off", b().renew(false)),
        ("a token may have no more than 30m left", b().idle_timeout(31 * MINUTE)),
        ("renew_min_interval is 0", b().renew_min_interval(Duration::ZERO)),
    ];
    for (expected, builder) in surprises {
        let policy = builder.build().unwrap();
        let warnings = policy.warnings();
        assert!(warnings.iter().any(|warning| warning.contains(expected)), "{warnings:?}");
        assert_eq!(policy.describe().lines().count(), 1 + warnings.len());
        for warning in &warnings {
            assert!(warning.contains(": "), "what to change? {warning}");
            assert!(policy.describe().contains(warning.as_str()));
        }
    }
}

#[test]
fn a_warning_is_quiet_once_its_advice_is_taken() {
    let warning = default().warnings().join("\n");
    assert!(
        warning.contains("raise renew_threshold to 0.67, or shorten token_lifetime to 40m"),
        "{warning}"
    );
    let b = Policy::builder;
    let off = || b().renew(false);
    assert!(off().build().unwrap().warnings()[1].contains("shorten token_lifetime to 20m"));
    for (left, builder) in [
        (0, b().renew_threshold(0.67)),
        (0, b().token_lifetime(40 * MINUTE)),
        (0, b().renew_always()),
        (0, b().idle_timeout(30 * MINUTE)),
        (1, off().token_lifetime(20 * MINUTE)),
        (0, Policy::sliding(HOUR, DAY).unwrap().to_builder()),
    ] {
        let warnings = builder.build().unwrap().warnings();
        assert_eq!(warnings.len(), left, "{warnings:?}");
    }
}
