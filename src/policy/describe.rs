//! Describes a policy in words, and warns of settings that are legal but surprising.

use std::{fmt::Write, time::Duration};

use super::{Policy, RenewWhen};
use crate::policy::duration::readable;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// NIST SP 800-63B-4, sections 2.2.3 and 2.3.3: level, idle timeout, absolute timeout; the shortest
/// first.
const NIST_LIMITS: [(&str, Duration, Duration); 2] = [
    ("AAL3", Duration::from_secs(15 * MINUTE), Duration::from_secs(12 * HOUR)),
    ("AAL2", Duration::from_secs(HOUR), Duration::from_secs(24 * HOUR)),
];

impl Policy {
    /// Returns the paragraph that OWASP ASVS 5.0, requirement 7.1.1, asks for: when a session ends,
    /// how tokens are renewed, how the timeouts compare with NIST SP 800-63B-4. A line for each of
    /// [`Policy::warnings`] follows.
    ///
    /// The wording may change with any version.
    #[must_use]
    pub fn describe(&self) -> String {
        self.describe_with(&self.warnings())
    }

    /// As [`describe`](Self::describe), with these warnings.
    pub(crate) fn describe_with(&self, warnings: &[String]) -> String {
        let mut text =
            [self.describe_end(), self.describe_tokens(), self.describe_renewal(), self.compare()]
                .join(" ");
        for warning in warnings {
            let _ = write!(text, "\nWarning: {warning}.");
        }
        text
    }

    /// Lists settings that are legal but surprising, each with what to change. Empty for the default
    /// policy.
    ///
    /// A policy without warnings keeps its promise to active users: a session with at least one
    /// request per idle timeout does not end before its absolute timeout.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.warnings_of(true)
    }

    /// As [`warnings`](Self::warnings), without those that refresh tokens make void.
    #[must_use]
    pub fn warnings_with_refresh_tokens(&self) -> Vec<String> {
        self.warnings_of(false)
    }

    fn warnings_of(&self, without_refresh: bool) -> Vec<String> {
        [
            self.warn_of_no_renewal().filter(|_| without_refresh),
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
                "A session ends {idle} after the user's last activity, and in any case {absolute} \
                 after sign-in; then the user signs in again. An authenticated request and a \
                 refresh are activity unless they are classed as background."
            );
        }
        let unrecorded = if self.renews {
            let earliest = readable(self.renewal_window());
            format!("an idle session can end as early as {earliest} after the user's last request")
        } else {
            "the user's requests do not prolong it".to_owned()
        };
        format!(
            "A session ends {idle} after its last renewal or its sign-in, and in any case {absolute} \
             after sign-in; then the user signs in again. Activity is not recorded: {unrecorded}."
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
                format!("as soon as less than {share} of its lifetime ({window}) is left")
            }
        };
        let rate = if self.renew_min_interval.is_zero() {
            "without a minimum interval".to_owned()
        } else {
            format!("at most once per {}", readable(self.renew_min_interval))
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
                     overall): justify the deviation if that level applies."
                    .to_owned()
            }
        }
    }

    fn warn_of_no_renewal(&self) -> Option<String> {
        (!self.renews).then(|| {
            format!(
                "renewals are off, so a token expires {} after it was minted even if its user is \
                 active: switch renew on, or issue refresh tokens",
                readable(self.token_lifetime),
            )
        })
    }

    fn warn_of_pause(&self) -> Option<String> {
        let window = self.renewal_window();
        (self.records_activity && self.renews && window < self.idle_timeout).then(|| {
            format!(
                "a token can expire {} after the user's last activity, before idle_timeout ({}) has \
                 passed: issue refresh tokens, lengthen token_lifetime, raise renew_threshold or \
                 shorten idle_timeout",
                readable(window),
                readable(self.idle_timeout),
            )
        })
    }

    fn warn_of_no_interval(&self) -> Option<String> {
        (self.renews && self.renew_min_interval.is_zero()).then(|| {
            "renew_min_interval is 0, so each of several parallel requests renews the token: set it \
             to some seconds"
                .to_owned()
        })
    }
}
