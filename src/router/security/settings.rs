//! The settings as they are asked for: whole minutes, read from the text of the JSON so that no
//! number is too large to be named in the answer.

use std::{collections::BTreeMap, time::Duration};

use serde_json::value::{RawValue, to_raw_value};

use super::view::{Range, minutes};
use crate::{
    policy::{OutOfBounds, OverrideBounds, OverrideField, TimeoutOverrides},
    router::{
        body::JsonBody,
        failure::{Bound, FieldError},
    },
};

pub(super) const MINUTE: u64 = 60;

const IDLE: &str = "idle_timeout_minutes";
const ABSOLUTE: &str = "absolute_timeout_minutes";

/// Longer values are not repeated in the answer.
const LONGEST_REPEATED: usize = 128;

/// What is to become of both timeouts.
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
    fn applied(self, old: Option<Duration>) -> Option<Duration> {
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
            let message = "the settings are a JSON object";
            return Err(vec![FieldError::from_text("", "", Bound::default(), message)]);
        };
        let (mut settings, mut errors) = (Self::default(), Vec::new());
        for (field, value) in fields {
            let (change, bounds) = match &*field {
                IDLE => (&mut settings.idle, &bounds.idle),
                ABSOLUTE => (&mut settings.absolute, &bounds.absolute),
                _ => {
                    let message = "there is no such setting".to_owned();
                    let value = repeated(value);
                    errors.push(FieldError { field, value, bound: Bound::default(), message });
                    continue;
                }
            };
            match parsed(value.get(), &Range::from_bounds(bounds)) {
                Ok(parsed) => *change = parsed,
                Err((bound, message)) => {
                    errors.push(FieldError { field, value: repeated(value), bound, message });
                }
            }
        }
        if errors.is_empty() { Ok(settings) } else { Err(errors) }
    }

    pub(super) fn applied(&self, old: TimeoutOverrides) -> TimeoutOverrides {
        TimeoutOverrides {
            idle: self.idle.applied(old.idle),
            absolute: self.absolute.applied(old.absolute),
        }
    }
}

/// Reads one value. Numbers that a `Duration` holds are checked with the policy, all others here.
fn parsed(json: &str, Range { min, max }: &Range) -> Result<Change, (Bound, String)> {
    if json == "null" {
        return Ok(Change::ToDefault);
    }
    if json.bytes().all(|byte| byte.is_ascii_digit()) {
        let secs = json.parse::<u64>().ok().and_then(|minutes| minutes.checked_mul(MINUTE));
        return secs
            .map(|secs| Change::To(Duration::from_secs(secs)))
            .ok_or_else(|| (Bound::at_most(*max), format!("this must be at most {max} minutes")));
    }
    Err(if json.starts_with('-') {
        (Bound::at_least(*min), format!("this must be at least {min} minutes"))
    } else {
        let message = format!("this is a whole number of minutes, from {min} to {max}, or null");
        (Bound::within(*min, *max), message)
    })
}

/// The value as the answer repeats it: as it came, but for what could trouble whoever reads it.
fn repeated(value: Box<RawValue>) -> Box<RawValue> {
    if value.get().len() > LONGEST_REPEATED {
        return RawValue::NULL.to_owned();
    }
    match serde_json::from_str::<serde_json::Value>(value.get()) {
        Ok(_) => value,
        Err(_) => to_raw_value(value.get()).expect("any text is a JSON string"),
    }
}

/// What the policy says against the settings, in whole minutes.
pub(super) fn errors(violations: &[OutOfBounds]) -> Vec<FieldError> {
    violations.iter().map(error).collect()
}

fn error(violation: &OutOfBounds) -> FieldError {
    let field = match violation.field {
        OverrideField::Idle => IDLE,
        OverrideField::Absolute => ABSOLUTE,
    };
    let up = |least: Duration| Range::from_bounds(&(least..=least)).min;
    let bound = match violation.bound {
        crate::policy::Bound::AtLeast(least) | crate::policy::Bound::AtLeastIdle(least) => {
            Bound::at_least(up(least))
        }
        crate::policy::Bound::AtMost(most) | crate::policy::Bound::AtMostAbsolute(most) => {
            Bound::at_most(minutes(most))
        }
    };
    let value = to_raw_value(&minutes(violation.value)).expect("a number is JSON");
    FieldError { field: field.to_owned(), value, bound, message: violation.to_string() }
}
