//! Settings of a policy that contradict each other or are out of bounds.

use std::time::Duration;

use super::{Policy, RenewWhen};
use crate::policy::duration::readable;

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(100 * 31_557_600);
const MAX_TOLERANCE: Duration = Duration::from_secs(120);

/// Lists every contradiction in `policy`, each with what to change.
pub(super) fn contradictions(policy: &Policy) -> Vec<String> {
    let mut problems = out_of_bounds(policy);
    problems.extend(fractions_of_a_second(policy));
    problems.extend(threshold_out_of_bounds(policy.renew_when));
    problems.extend(timeouts_out_of_order(policy));
    problems.extend(interval_too_long(policy));
    problems
}

fn out_of_bounds(policy: &Policy) -> Vec<String> {
    let zero = Duration::ZERO;
    let bounds = [
        ("idle_timeout", own_idle_timeout(policy), SHORTEST, LONGEST),
        ("absolute_timeout", Some(policy.absolute_timeout), SHORTEST, LONGEST),
        ("token_lifetime", Some(policy.token_lifetime), SHORTEST, LONGEST),
        ("renew_min_interval", Some(policy.renew_min_interval), zero, LONGEST),
        ("leeway", Some(policy.leeway), zero, MAX_TOLERANCE),
        ("max_clock_skew", Some(policy.max_clock_skew), zero, MAX_TOLERANCE),
    ];
    let mut problems = Vec::new();
    for (name, value, min, max) in bounds {
        let Some(value) = value else { continue };
        if value < min {
            let (value, min) = (readable(value), readable(min));
            problems.push(format!("{name} ({value}) is too short: set it to {min} or more"));
        } else if value > max {
            let max = if max == LONGEST { "100 years".to_owned() } else { readable(max) };
            problems.push(format!("{name} is too long: set it to {max} or less"));
        }
    }
    problems
}

/// Tokens contain whole seconds, which are compared with the policy at each request: the shorter of
/// both counts.
fn fractions_of_a_second(policy: &Policy) -> Vec<String> {
    let durations = [
        ("idle_timeout", own_idle_timeout(policy)),
        ("absolute_timeout", Some(policy.absolute_timeout)),
        ("token_lifetime", Some(policy.token_lifetime)),
    ];
    let is_legal =
        |value: &Duration| value.subsec_nanos() == 0 || *value < SHORTEST || *value > LONGEST;
    let fractions = durations.into_iter().filter_map(|(name, value)| Some((name, value?)));
    fractions
        .filter(|(_, value)| !is_legal(value))
        .map(|(name, value)| {
            let (value, whole) = (readable(value), readable(Duration::from_secs(value.as_secs())));
            format!(
                "{name} ({value}) has a fraction of a second, and tokens contain whole seconds: set it to \
                 {whole} or another whole number of seconds"
            )
        })
        .collect()
}

fn threshold_out_of_bounds(when: RenewWhen) -> Option<String> {
    (!is_a_share(when.share())).then(|| {
        "renew_threshold is not a share of a lifetime: set it to a number greater than 0 and at most 1"
            .to_owned()
    })
}

fn timeouts_out_of_order(policy: &Policy) -> Vec<String> {
    let absolute = policy.absolute_timeout;
    let mut problems = Vec::new();
    let timeouts = [
        ("idle_timeout", own_idle_timeout(policy)),
        ("token_lifetime", Some(policy.token_lifetime)),
    ];
    for (name, value) in timeouts {
        if let Some(value) = value.filter(|value| *value > absolute) {
            problems.push(format!(
                "{name} ({}) is longer than absolute_timeout ({}): shorten {name} or lengthen \
                 absolute_timeout",
                readable(value),
                readable(absolute),
            ));
        }
    }
    if !policy.records_activity && policy.idle_timeout != policy.token_lifetime {
        problems.push(
            "idle_timeout is set for a policy that does not record activity, in which it equals \
             token_lifetime: set token_lifetime instead, or start from Policy::builder()"
                .to_owned(),
        );
    }
    problems
}

fn interval_too_long(policy: &Policy) -> Option<String> {
    let (share, interval) = (policy.renew_when.share(), policy.renew_min_interval);
    if !policy.renews || !is_a_share(share) {
        return None;
    }
    // A lifetime over LONGEST is another problem; the cap prevents an overflow here.
    let window = policy.token_lifetime.min(LONGEST).mul_f64(share);
    (interval > window).then(|| {
        format!(
            "renew_min_interval ({}) is longer than the part of the token lifetime in which renewal \
             is due ({}), so tokens would expire before they are renewed: shorten renew_min_interval, lengthen \
             token_lifetime or raise renew_threshold",
            readable(interval),
            readable(window),
        )
    })
}

/// The idle timeout; `None` if activity is not recorded, when it equals the token lifetime.
fn own_idle_timeout(policy: &Policy) -> Option<Duration> {
    policy.records_activity.then_some(policy.idle_timeout)
}

fn is_a_share(share: f64) -> bool {
    share > 0.0 && share <= 1.0
}
