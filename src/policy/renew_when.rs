//! When a token is due for renewal.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::number_text::number_text;

/// The word for [`RenewWhen::Always`] in configuration.
const ALWAYS: &str = "always";

/// When a token is due for renewal.
///
/// Serializes as a number or `"always"`; deserializes from the same, and from the number as a
/// string. Whether the number is a share is checked by [`PolicyBuilder::build`].
///
/// [`PolicyBuilder::build`]: super::PolicyBuilder::build
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RenewWhen {
    /// As soon as less than this share of the token's lifetime is left: more than 0, at most 1.
    Threshold(f64),
    /// At any age.
    Always,
}

impl RenewWhen {
    /// The share of a token's lifetime, at its end, in which the token is due.
    pub(crate) fn share(self) -> f64 {
        match self {
            Self::Threshold(share) => share,
            Self::Always => 1.0,
        }
    }

    /// Parses a number or `always`.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text == ALWAYS {
            return Ok(Self::Always);
        }
        text.parse()
            .map(Self::Threshold)
            .map_err(|_| "write a number greater than 0 and at most 1, or always")
    }
}

impl Serialize for RenewWhen {
    fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        match self {
            Self::Threshold(share) => serializer.serialize_f64(*share),
            Self::Always => serializer.serialize_str(ALWAYS),
        }
    }
}

impl<'de> Deserialize<'de> for RenewWhen {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_any(ShareOrAlways)
    }
}

struct ShareOrAlways;

impl<'de> de::Visitor<'de> for ShareOrAlways {
    type Value = RenewWhen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number greater than 0 and at most 1, or \"always\"")
    }

    fn visit_str<E>(self, text: &str) -> Result<RenewWhen, E>
    where
        E: de::Error,
    {
        RenewWhen::parse(text.trim()).map_err(|e| E::custom(format_args!("renew_threshold: {e}")))
    }

    fn visit_f64<E>(self, share: f64) -> Result<RenewWhen, E> {
        Ok(RenewWhen::Threshold(share))
    }

    fn visit_u64<E>(self, share: u64) -> Result<RenewWhen, E> {
        // 1 is the only whole number that is a share; `build` refuses 0, which stands for the rest.
        Ok(RenewWhen::Threshold(if share == 1 { 1.0 } else { 0.0 }))
    }

    fn visit_i64<E>(self, share: i64) -> Result<RenewWhen, E> {
        Ok(RenewWhen::Threshold(if share == 1 { 1.0 } else { 0.0 }))
    }

    fn visit_map<A>(self, map: A) -> Result<RenewWhen, A::Error>
    where
        A: de::MapAccess<'de>,
    {
        self.visit_str(&number_text(map)?)
    }
}
