//! What a policy cannot mean.

use std::time::Duration;

use super::{Policy, RenewWhen};
use crate::policy::duration::readable;

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(100 * 31_557_600);
const MOST_TOLERANCE: Duration = Duration::from_secs(120);

/// Every contradiction in `policy`, each with what to change.
pub(super) fn contradictions(policy: &Policy) -> Vec<String> {
    let mut problems = out_of_bounds(policy);
    problems.extend(threshold_out_of_bounds(policy.renew_when));
    problems.extend(limits_out_of_order(policy));
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
        ("leeway", Some(policy.leeway), zero, MOST_TOLERANCE),
        ("max_clock_skew", Some(policy.max_clock_skew), zero, MOST_TOLERANCE),
    ];
    let mut problems = Vec::new();
    for (name, value, least, most) in bounds {
        let Some(value) = value else { continue };
        if value < least {
            let (value, least) = (readable(value), readable(least));
            problems.push(format!("{name} ({value}) is too short: set it to {least} or more"));
        } else if value > most {
            let most = if most == LONGEST { "100 years".to_owned() } else { readable(most) };
            problems.push(format!("{name} is too long: set it to {most} or less"));
        }
    }
    problems
}

fn threshold_out_of_bounds(when: RenewWhen) -> Option<String> {
    (!is_a_share(when.share())).then(|| {
        "renew_threshold is no share of a lifetime: set it to a number over 0 and at most 1"
            .to_owned()
    })
}

fn limits_out_of_order(policy: &Policy) -> Vec<String> {
    let absolute = policy.absolute_timeout;
    let mut problems = Vec::new();
    let limits = [
        ("idle_timeout", own_idle_timeout(policy)),
        ("token_lifetime", Some(policy.token_lifetime)),
    ];
    for (name, value) in limits {
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
            "idle_timeout is set for a policy that records no activity, where it is the token \
             lifetime: set token_lifetime instead, or start from Policy::builder()"
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
    // A lifetime near Duration::MAX is refused already; here it must only not overflow.
    let window = policy.token_lifetime.min(LONGEST).mul_f64(share);
    (interval > window).then(|| {
        format!(
            "renew_min_interval ({}) is longer than the part of the token lifetime in which renewal \
             is due ({}), so tokens would expire waiting: shorten renew_min_interval, lengthen \
             token_lifetime or raise renew_threshold",
            readable(interval),
            readable(window),
        )
    })
}

/// The idle timeout, where it is not merely the token lifetime by another name.
fn own_idle_timeout(policy: &Policy) -> Option<Duration> {
    policy.records_activity.then_some(policy.idle_timeout)
}

fn is_a_share(share: f64) -> bool {
    share > 0.0 && share <= 1.0
}
