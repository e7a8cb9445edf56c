//! The body of `PATCH /security`: timeouts in whole minutes. Numbers are read from the text of the
//! JSON, so that an error can name a number of any size.

use std::{collections::BTreeMap, time::Duration};

use serde_json::value::{RawValue, to_raw_value};

use crate::{
    extract::{ABSOLUTE_TIMEOUT, AllowedRange, FieldError, IDLE_TIMEOUT, Minutes},
    policy::{OverrideBounds, TimeoutOverrides},
    router::body::JsonBody,
};

const MINUTE: u64 = 60;

/// A longer value is not repeated in the error, in bytes.
const MAX_REPEATED: usize = 128;

/// The changes of both timeouts.
#[derive(Clone, Copy, Default)]
pub(super) struct Settings {
    idle: Change,
    absolute: Change,
}

#[derive(Clone, Copy, Default)]
enum Change {
    #[default]
    Keep,
    ToDefault,
    To(Duration),
}

impl Change {
    fn applied_to(self, old: Option<Duration>) -> Option<Duration> {
        match self {
            Self::Keep => old,
            Self::ToDefault => None,
            Self::To(new) => Some(new),
        }
    }
}

impl Settings {
    pub(super) fn read(body: &JsonBody, bounds: &OverrideBounds) -> Result<Self, Vec<FieldError>> {
        let Some(fields) = body.object::<BTreeMap<String, Box<RawValue>>>() else {
            let message = "The body must be a JSON object.";
            return Err(vec![FieldError::from_text("", "", AllowedRange::default(), message)]);
        };
        let (mut settings, mut errors) = (Self::default(), Vec::new());
        for (field, value) in fields {
            let (change, bounds) = match &*field {
                IDLE_TIMEOUT => (&mut settings.idle, &bounds.idle),
                ABSOLUTE_TIMEOUT => (&mut settings.absolute, &bounds.absolute),
                _ => {
                    let message = "Unknown field.".to_owned();
                    let (value, allowed) = (repeated(value), AllowedRange::default());
                    errors.push(FieldError { field, value, allowed, message });
                    continue;
                }
            };
            match parsed(value.get(), Minutes::from_range(bounds)) {
                Ok(parsed) => *change = parsed,
                Err((allowed, message)) => {
                    errors.push(FieldError { field, value: repeated(value), allowed, message });
                }
            }
        }
        if errors.is_empty() { Ok(settings) } else { Err(errors) }
    }

    pub(super) fn applied_to(&self, old: TimeoutOverrides) -> TimeoutOverrides {
        TimeoutOverrides {
            idle: self.idle.applied_to(old.idle),
            absolute: self.absolute.applied_to(old.absolute),
        }
    }
}

/// Reads one value. A number that fits a `Duration` is checked with the policy, any other here.
fn parsed(json: &str, Minutes { min, max }: Minutes) -> Result<Change, (AllowedRange, String)> {
    if json == "null" {
        return Ok(Change::ToDefault);
    }
    if json.bytes().all(|byte| byte.is_ascii_digit()) {
        let secs = json.parse::<u64>().ok().and_then(|minutes| minutes.checked_mul(MINUTE));
        return secs.map(|secs| Change::To(Duration::from_secs(secs))).ok_or_else(|| {
            (AllowedRange::at_most(max), format!("Invalid timeout: at most {max} minutes."))
        });
    }
    Err(if json.starts_with('-') {
        (AllowedRange::at_least(min), format!("Invalid timeout: at least {min} minutes."))
    } else {
        let message =
            format!("Invalid timeout: a whole number of minutes from {min} to {max}, or null.");
        (AllowedRange::within(min, max), message)
    })
}

/// The value as an error repeats it: unchanged if a JSON parser accepts it, else its text as a
/// string; null if it is too long.
fn repeated(value: Box<RawValue>) -> Box<RawValue> {
    if value.get().len() > MAX_REPEATED {
        return RawValue::NULL.to_owned();
    }
    match serde_json::from_str::<serde_json::Value>(value.get()) {
        Ok(_) => value,
        Err(_) => to_raw_value(value.get()).expect("a string serializes to JSON"),
    }
}
