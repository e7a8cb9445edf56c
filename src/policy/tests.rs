//! Policies that can be built, and policies that cannot.

mod configuration;
mod description;

use std::time::Duration;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const CENTURY: Duration = Duration::from_secs(36_525 * 86_400);

fn default() -> Policy {
    Policy::builder().build().unwrap()
}

fn problems(builder: PolicyBuilder) -> Vec<String> {
    builder.build().map_or_else(|e| e.problems().to_vec(), |policy| panic!("built {policy:?}"))
}

#[test]
fn the_defaults() {
    let policy = default();
    assert_eq!(policy.idle_timeout(), 20 * MINUTE);
    assert_eq!(policy.absolute_timeout(), 12 * HOUR);
    assert_eq!(policy.token_lifetime(), HOUR);
    assert!(policy.renews());
    assert_eq!(policy.renew_when(), RenewWhen::Threshold(0.5));
    assert_eq!(policy.renew_min_interval(), MINUTE);
    assert_eq!(policy.leeway(), Duration::ZERO);
    assert_eq!(policy.max_clock_skew(), Duration::from_secs(5));
    assert!(policy.records_activity());
}

#[test]
fn a_single_contradiction_is_the_only_problem() {
    let instant = Duration::from_millis(999);
    let with_fraction = Duration::from_millis(2500);
    let over_two_minutes = Duration::from_millis(120_001);
    let b = Policy::builder;
    let sliding = || Policy::sliding(HOUR, DAY).unwrap().to_builder();
    let cases = [
        ("idle_timeout (13h) is longer", b().idle_timeout(13 * HOUR)),
        ("token_lifetime (13h) is longer", b().token_lifetime(13 * HOUR)),
        ("renew_min_interval (31m)", b().renew_min_interval(31 * MINUTE)),
        ("renew_min_interval (1h 1m)", b().renew_always().renew_min_interval(HOUR + MINUTE)),
        ("renew_min_interval (1m)", b().renew_threshold(0.01)),
        ("renew_min_interval (1m)", b().token_lifetime(MINUTE)),
        ("idle_timeout (999ms) is too short", b().idle_timeout(instant)),
        ("idle_timeout (0s) is too short", b().idle_timeout(Duration::ZERO)),
        ("token_lifetime (999ms) is too short", b().token_lifetime(instant).renew(false)),
        ("idle_timeout (2s 500ms) has a fraction", b().idle_timeout(with_fraction)),
        ("token_lifetime (2s 500ms) has", b().token_lifetime(with_fraction).renew(false)),
        ("absolute_timeout (12h 500ms) has", b().absolute_timeout(12 * HOUR + MINUTE / 120)),
        ("token_lifetime (2s 500ms) has", sliding().token_lifetime(with_fraction).renew(false)),
        ("renew_threshold", b().renew_threshold(0.0)),
        ("renew_threshold", b().renew_threshold(-0.5)),
        ("renew_threshold", b().renew_threshold(1.000_001)),
        ("renew_threshold", b().renew_threshold(f64::NAN)),
        ("renew_threshold", b().renew_threshold(f64::INFINITY)),
        ("renew_threshold", b().renew_threshold(f64::NEG_INFINITY)),
        ("leeway is too long", b().leeway(over_two_minutes)),
        ("max_clock_skew is too long", b().max_clock_skew(over_two_minutes)),
        ("absolute_timeout is too long", b().absolute_timeout(CENTURY + instant)),
        ("absolute_timeout is too long", b().absolute_timeout(Duration::MAX)),
        ("renew_min_interval is too long", b().renew(false).renew_min_interval(Duration::MAX)),
        ("idle_timeout is set for a policy that", sliding().idle_timeout(20 * MINUTE)),
    ];
    for (expected, builder) in cases {
        let named = problems(builder);
        assert_eq!(named.len(), 1, "{expected}: {named:?}");
        assert!(named[0].starts_with(expected), "{expected}: {named:?}");
        assert!(named[0].contains(": "), "what to change? {named:?}");
    }
}

#[test]
fn a_timeout_out_of_its_bounds_can_be_out_of_order_too() {
    let b = Policy::builder;
    let sliding = || Policy::sliding(HOUR, DAY).unwrap().to_builder();
    let long = || b().absolute_timeout(CENTURY);
    let cases = [
        (["absolute_timeout", "token_lifetime"], sliding().absolute_timeout(MINUTE / 100)),
        (["idle_timeout", "idle_timeout"], long().idle_timeout(Duration::MAX)),
        (["token_lifetime", "token_lifetime"], long().token_lifetime(Duration::MAX).renew_always()),
    ];
    for (expected, builder) in cases {
        let named = problems(builder);
        let about: Vec<&str> =
            named.iter().filter_map(|problem| problem.split(' ').next()).collect();
        assert_eq!(about, expected, "{named:?}");
    }
}

#[test]
fn every_contradiction_is_listed() {
    let error = Policy::builder()
        .idle_timeout(13 * HOUR)
        .token_lifetime(14 * HOUR)
        .renew_min_interval(8 * HOUR)
        .leeway(HOUR)
        .max_clock_skew(HOUR)
        .build()
        .unwrap_err();
    assert_eq!(error.problems().len(), 5, "{error}");
    for problem in error.problems() {
        assert!(error.to_string().contains(problem), "{error}");
    }
    let tiny = Policy::builder()
        .idle_timeout(Duration::ZERO)
        .absolute_timeout(Duration::ZERO)
        .token_lifetime(Duration::ZERO)
        .renew_threshold(2.0);
    assert_eq!(problems(tiny).len(), 4);
}

#[test]
fn the_bounds_are_inclusive() {
    let second = Duration::from_secs(1);
    let b = Policy::builder;
    let legal = [
        b().idle_timeout(12 * HOUR),
        b().token_lifetime(12 * HOUR),
        b().idle_timeout(2 * HOUR).token_lifetime(HOUR),
        b().renew_min_interval(30 * MINUTE),
        b().renew_always().renew_min_interval(HOUR),
        b().renew_threshold(1.0).renew_min_interval(HOUR),
        b().renew_threshold(0.1).token_lifetime(10 * MINUTE),
        b().renew_threshold(f64::MIN_POSITIVE).renew_min_interval(Duration::ZERO),
        b().renew_min_interval(Duration::from_millis(1)),
        b().renew(false).renew_min_interval(2 * HOUR),
        b().leeway(2 * MINUTE).max_clock_skew(2 * MINUTE),
        b().max_clock_skew(Duration::ZERO),
        b().absolute_timeout(CENTURY),
        b().idle_timeout(second)
            .absolute_timeout(second)
            .token_lifetime(second)
            .renew_min_interval(Duration::ZERO),
    ];
    for builder in legal {
        let text = format!("{builder:?}");
        assert!(builder.build().is_ok(), "{text}");
    }
}

#[test]
fn the_idle_timeout_of_a_sliding_policy_is_its_token_lifetime() {
    let policy = Policy::sliding(HOUR, DAY).unwrap();
    assert_eq!((policy.idle_timeout(), policy.token_lifetime()), (HOUR, HOUR));
    assert_eq!(policy.absolute_timeout(), DAY);
    assert!(policy.renews() && !policy.records_activity());

    let longer = policy.to_builder().token_lifetime(2 * HOUR).build().unwrap();
    assert_eq!(longer.idle_timeout(), 2 * HOUR);
    assert!(!longer.records_activity());
}

#[test]
fn a_short_sliding_policy_has_a_shorter_min_interval() {
    let policy = Policy::sliding(Duration::from_secs(30), HOUR).unwrap();
    assert_eq!(policy.renew_min_interval(), Duration::from_secs(15));
    assert_eq!(Policy::sliding(2 * MINUTE, HOUR).unwrap().renew_min_interval(), MINUTE);
}

#[test]
fn a_sliding_policy_lists_each_problem_once() {
    let named =
        |lifetime, absolute| Policy::sliding(lifetime, absolute).unwrap_err().problems().len();
    assert_eq!(named(2 * DAY, DAY), 1);
    assert_eq!(named(Duration::ZERO, DAY), 1);
    assert_eq!(named(Duration::MAX, DAY), 2);
}

#[test]
fn a_policy_equals_the_one_built_from_its_own_builder() {
    let all_set = Policy::builder()
        .idle_timeout(MINUTE)
        .absolute_timeout(DAY)
        .token_lifetime(2 * HOUR)
        .renew(false)
        .renew_always()
        .renew_min_interval(Duration::ZERO)
        .leeway(MINUTE)
        .max_clock_skew(Duration::ZERO)
        .build()
        .unwrap();
    for policy in [default(), all_set, Policy::sliding(MINUTE, DAY).unwrap(), Policy::nist_aal2()] {
        assert_eq!(policy.to_builder().build(), Ok(policy));
    }
}

#[test]
fn the_presets_are_valid_and_have_no_warning() {
    let presets = [
        (Policy::nist_aal2(), HOUR, 24 * HOUR),
        (Policy::nist_aal3(), 15 * MINUTE, 12 * HOUR),
        (Policy::pci_dss(), 15 * MINUTE, 12 * HOUR),
    ];
    for (preset, idle, absolute) in presets {
        assert_eq!((preset.idle_timeout(), preset.absolute_timeout()), (idle, absolute));
        assert_eq!(preset.warnings(), Vec::<String>::new());
        assert_eq!(preset.to_builder().build(), Ok(preset));
    }
}
