//! A policy in words: for the auditor, and for whoever set it.

use std::{fmt::Write, time::Duration};

use super::{Policy, RenewWhen};
use crate::policy::duration::readable;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// NIST SP 800-63B-4, sections 2.2.3 and 2.3.3: level, most inactivity, longest session, strictest
/// first.
const NIST_LIMITS: [(&str, Duration, Duration); 2] = [
    ("AAL3", Duration::from_secs(15 * MINUTE), Duration::from_secs(12 * HOUR)),
    ("AAL2", Duration::from_secs(HOUR), Duration::from_secs(24 * HOUR)),
];

impl Policy {
    /// The paragraph that an auditor asks for (OWASP ASVS 5.0, requirement 7.1.1): what ends a
    /// session and when, how tokens are renewed, how the timeouts compare with NIST SP 800-63B-4.
    /// After it a line for each of [`Policy::warnings`].
    ///
    /// For people: the wording may change with any version.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text =
            [self.describe_end(), self.describe_tokens(), self.describe_renewal(), self.compare()]
                .join(" ");
        for warning in self.warnings() {
            let _ = write!(text, "\nWarning: {warning}.");
        }
        text
    }

    /// What is legal but may surprise, each with what to change; empty for a policy without
    /// surprises.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.warnings_of(true)
    }

    /// As [`warnings`](Self::warnings), but for what refresh tokens make up for.
    #[must_use]
    pub fn warnings_with_refresh_tokens(&self) -> Vec<String> {
        self.warnings_of(false)
    }

    fn warnings_of(&self, without_refresh: bool) -> Vec<String> {
        [
            self.warn_of_no_renewal().filter(|_| without_refresh),
            self.warn_of_restart(),
            self.warn_of_pause().filter(|_| without_refresh),
            self.warn_of_no_interval(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn describe_end(&self) -> String {
        let (idle, absolute) = (readable(self.idle_timeout), readable(self.absolute_timeout));
        if self.records_activity {
            return format!(
                "A session ends {idle} after the user's last activity, and {absolute} after sign-in \
                 whatever happens; then the user signs in again. An authenticated request is \
                 activity unless it is classed as background, and so is a refresh of the user's."
            );
        }
        let unrecorded = if self.renews {
            let earliest = readable(self.renewal_window());
            format!("an idle session can end {earliest} after the user's last request already")
        } else {
            "the user's requests do not prolong it".to_owned()
        };
        format!(
            "A session ends {idle} after its last renewal or its sign-in, and {absolute} after \
             sign-in whatever happens; then the user signs in again. Activity is not recorded: \
             {unrecorded}."
        )
    }

    fn describe_tokens(&self) -> String {
        let lifetime = readable(self.token_lifetime);
        let skew = readable(self.max_clock_skew);
        let late = if self.leeway.is_zero() {
            "not accepted after that".to_owned()
        } else {
            format!("accepted for {} after that", readable(self.leeway))
        };
        format!("A token is valid for {lifetime} and {late}; clocks may differ by {skew}.")
    }

    fn describe_renewal(&self) -> String {
        if !self.renews {
            return "Tokens are not renewed.".to_owned();
        }
        let when = match self.renew_when {
            RenewWhen::Always => "at any age".to_owned(),
            RenewWhen::Threshold(share) => {
                let window = readable(self.renewal_window());
                format!("once less than {share} of its lifetime ({window}) is left")
            }
        };
        let rate = if self.renew_min_interval.is_zero() {
            "as often as that happens".to_owned()
        } else {
            format!("at most once in {}", readable(self.renew_min_interval))
        };
        format!("A token is renewed by a successful user request {when}, {rate}.")
    }

    fn compare(&self) -> String {
        let kept = NIST_LIMITS
            .into_iter()
            .find(|(_, idle, whole)| self.idle_timeout <= *idle && self.absolute_timeout <= *whole);
        match kept {
            Some((level, idle, whole)) => format!(
                "Both timeouts are within those of NIST SP 800-63B-4 for {level} ({} of inactivity, \
                 {} overall).",
                readable(idle),
                readable(whole),
            ),
            None => {
                "The timeouts exceed those of NIST SP 800-63B-4 for AAL2 (1h of inactivity, 24h \
                     overall): where that level applies, justify the deviation."
                    .to_owned()
            }
        }
    }

    fn warn_of_no_renewal(&self) -> Option<String> {
        (!self.renews).then(|| {
            format!(
                "renewals are off, so a token ends {} after it was minted however active its user \
                 is: switch renew on, or issue refresh tokens",
                readable(self.token_lifetime),
            )
        })
    }

    fn warn_of_restart(&self) -> Option<String> {
        let oldest = if self.renews {
            self.token_lifetime.saturating_sub(self.renewal_window())
        } else {
            self.token_lifetime
        };
        if !self.records_activity || oldest <= self.idle_timeout {
            return None;
        }
        Some(format!(
            "where the record of activity is lost in a restart, an active user could be logged out, \
             as a token not yet due for renewal can be {} old, longer than idle_timeout ({}): use a \
             store that survives restarts, or {}",
            readable(oldest),
            readable(self.idle_timeout),
            self.ways_to_survive_a_restart(),
        ))
    }

    fn ways_to_survive_a_restart(&self) -> String {
        match self.renew_when {
            RenewWhen::Threshold(share) if self.renews => {
                let needed = 1.0 - self.idle_timeout.div_duration_f64(self.token_lifetime);
                let lifetime = self.idle_timeout.div_f64(1.0 - share).as_secs();
                format!(
                    "raise renew_threshold to {}, or shorten token_lifetime to {}",
                    (needed * 100.0).ceil() / 100.0,
                    readable(Duration::from_secs(lifetime)),
                )
            }
            _ => format!("shorten token_lifetime to {}", readable(self.idle_timeout)),
        }
    }

    fn warn_of_pause(&self) -> Option<String> {
        let window = self.renewal_window();
        (self.records_activity && self.renews && window < self.idle_timeout).then(|| {
            format!(
                "a token may have no more than {} left when its user pauses, less than idle_timeout \
                 ({}), so it can expire before the session does: issue refresh tokens, lengthen \
                 token_lifetime, raise renew_threshold or shorten idle_timeout",
                readable(window),
                readable(self.idle_timeout),
            )
        })
    }

    fn warn_of_no_interval(&self) -> Option<String> {
        (self.renews && self.renew_min_interval.is_zero()).then(|| {
            "renew_min_interval is 0, so parallel requests each renew the token: set it to some \
             seconds"
                .to_owned()
        })
    }
}
