//! Reads a policy from configuration: environment variables and serde.

use std::{ffi::OsString, fmt, time::Duration};

use serde::{Deserialize, Deserializer, de};

use super::{Policy, PolicyBuilder, RenewWhen, number_text::number_text};
use crate::policy::parse_duration;

type SetDuration = fn(PolicyBuilder, Duration) -> PolicyBuilder;

const DURATIONS: [(&str, SetDuration); 6] = [
    ("IDLE_TIMEOUT", PolicyBuilder::idle_timeout),
    ("ABSOLUTE_TIMEOUT", PolicyBuilder::absolute_timeout),
    ("TOKEN_LIFETIME", PolicyBuilder::token_lifetime),
    ("RENEW_MIN_INTERVAL", PolicyBuilder::renew_min_interval),
    ("LEEWAY", PolicyBuilder::leeway),
    ("MAX_CLOCK_SKEW", PolicyBuilder::max_clock_skew),
];

impl PolicyBuilder {
    /// Applies the settings of the process environment; a variable that is not set changes nothing.
    ///
    /// | variable | value |
    /// |---|---|
    /// | `{prefix}_IDLE_TIMEOUT` | a duration, like `20m` |
    /// | `{prefix}_ABSOLUTE_TIMEOUT` | a duration, like `12h` |
    /// | `{prefix}_TOKEN_LIFETIME` | a duration, like `1h` |
    /// | `{prefix}_RENEW` | `on` or `off` |
    /// | `{prefix}_RENEW_THRESHOLD` | a number greater than 0 and at most 1, or `always` |
    /// | `{prefix}_RENEW_MIN_INTERVAL` | a duration, like `60s`; `0s` for no limit |
    /// | `{prefix}_LEEWAY` | a duration, at most `120s` |
    /// | `{prefix}_MAX_CLOCK_SKEW` | a duration, at most `120s` |
    ///
    /// Durations are read by [`parse_duration`]. A value that cannot be read, such as an empty one,
    /// is an error of [`PolicyBuilder::build`] that names the variable and never its value.
    pub fn env(self, prefix: &str) -> Self {
        self.overlay(prefix, |name| std::env::var_os(name))
    }

    /// As [`PolicyBuilder::env`], with variables from another source: `lookup` is called once for
    /// each full name.
    ///
    /// ```
    /// use std::{collections::HashMap, time::Duration};
    /// use tower_sliding_session::Policy;
    ///
    /// let settings = HashMap::from([("SESSION_IDLE_TIMEOUT", "5m")]);
    /// let policy = Policy::builder().overlay("SESSION", |name| settings.get(name)).build()?;
    /// assert_eq!(policy.idle_timeout(), Duration::from_secs(300));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn overlay<V: Into<OsString>>(
        mut self,
        prefix: &str,
        lookup: impl Fn(&str) -> Option<V>,
    ) -> Self {
        for (suffix, set) in DURATIONS {
            self = self.overlay_one(&format!("{prefix}_{suffix}"), &lookup, |builder, text| {
                parse_duration(text)
                    .map(|duration| set(builder, duration))
                    .map_err(|e| e.to_string())
            });
        }
        self = self.overlay_one(&format!("{prefix}_RENEW"), &lookup, |builder, text| {
            parse_switch(text).map(|on| builder.renew(on)).map_err(str::to_owned)
        });
        self.overlay_one(&format!("{prefix}_RENEW_THRESHOLD"), &lookup, |builder, text| {
            RenewWhen::parse(text).map(|when| builder.renew_when(when)).map_err(str::to_owned)
        })
    }

    fn overlay_one<V: Into<OsString>>(
        mut self,
        name: &str,
        lookup: impl Fn(&str) -> Option<V>,
        set: impl Fn(Self, &str) -> Result<Self, String>,
    ) -> Self {
        let Some(value) = lookup(name) else { return self };
        let read = match value.into().to_str() {
            Some(text) => set(self.clone(), text.trim()),
            None => Err("the value is not Unicode".to_owned()),
        };
        read.unwrap_or_else(|why| {
            self.unreadable(format!("{name} cannot be read: {why}"));
            self
        })
    }

    fn renew_when(self, when: RenewWhen) -> Self {
        match when {
            RenewWhen::Threshold(share) => self.renew_threshold(share),
            RenewWhen::Always => self.renew_always(),
        }
    }
}

fn parse_switch(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("write on or off"),
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Fields::deserialize(deserializer)?
            .overlay(Self::builder())
            .build()
            .map_err(de::Error::custom)
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename = "Policy")]
struct Fields {
    idle_timeout: Option<ReadDuration>,
    absolute_timeout: Option<ReadDuration>,
    token_lifetime: Option<ReadDuration>,
    renew: Option<bool>,
    renew_threshold: Option<RenewWhen>,
    renew_min_interval: Option<ReadDuration>,
    leeway: Option<ReadDuration>,
    max_clock_skew: Option<ReadDuration>,
}

impl Fields {
    fn overlay(self, mut builder: PolicyBuilder) -> PolicyBuilder {
        let durations: [(Option<ReadDuration>, SetDuration); 6] = [
            (self.idle_timeout, PolicyBuilder::idle_timeout),
            (self.absolute_timeout, PolicyBuilder::absolute_timeout),
            (self.token_lifetime, PolicyBuilder::token_lifetime),
            (self.renew_min_interval, PolicyBuilder::renew_min_interval),
            (self.leeway, PolicyBuilder::leeway),
            (self.max_clock_skew, PolicyBuilder::max_clock_skew),
        ];
        for (read, set) in durations {
            if let Some(ReadDuration(duration)) = read {
                builder = set(builder, duration);
            }
        }
        if let Some(on) = self.renew {
            builder = builder.renew(on);
        }
        if let Some(when) = self.renew_threshold {
            builder = builder.renew_when(when);
        }
        builder
    }
}

struct ReadDuration(Duration);

impl<'de> Deserialize<'de> for ReadDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationVisitor).map(Self)
    }
}

struct DurationVisitor;

impl<'de> de::Visitor<'de> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration: a string like \"20m\", or whole seconds")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        parse_duration(text).map_err(|e| E::custom(format_args!("not a duration: {e}")))
    }

    fn visit_u64<E: de::Error>(self, secs: u64) -> Result<Duration, E> {
        Ok(Duration::from_secs(secs))
    }

    fn visit_i64<E: de::Error>(self, secs: i64) -> Result<Duration, E> {
        u64::try_from(secs)
            .map(Duration::from_secs)
            .map_err(|_| E::invalid_value(de::Unexpected::Signed(secs), &self))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Duration, A::Error> {
        let text = number_text(map)?;
        text.parse()
            .map(Duration::from_secs)
            .map_err(|_| de::Error::invalid_value(de::Unexpected::Str(&text), &self))
    }
}
