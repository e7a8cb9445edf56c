//! An account's timeouts as JSON shows them: in whole minutes.

#[cfg(feature = "axum-router")]
use std::ops::RangeInclusive;
use std::time::Duration;

#[cfg(feature = "axum-router")]
use serde::Serialize;

use super::problem::{AllowedRange, FieldError};
use crate::policy::{AllowedTimeout, OutOfBounds, OverrideField};

/// The name of the idle timeout in JSON.
pub(crate) const IDLE_TIMEOUT: &str = "idle_timeout_minutes";

/// The name of the absolute timeout in JSON.
pub(crate) const ABSOLUTE_TIMEOUT: &str = "absolute_timeout_minutes";

const MINUTE: u64 = 60;

/// The smallest and the largest number of whole minutes within a range.
#[cfg(feature = "axum-router")]
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Minutes {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

#[cfg(feature = "axum-router")]
impl Minutes {
    pub(crate) fn from_range(range: &RangeInclusive<Duration>) -> Self {
        Self { min: rounded_up(*range.start()), max: whole_minutes(*range.end()) }
    }
}

/// Whole minutes, rounded down.
pub(crate) const fn whole_minutes(timeout: Duration) -> u64 {
    timeout.as_secs() / MINUTE
}

const fn rounded_up(timeout: Duration) -> u64 {
    let partial_second = (timeout.subsec_nanos() > 0) as u64;
    timeout.as_secs().saturating_add(partial_second).div_ceil(MINUTE)
}

/// The errors of a response, one for each override that is out of bounds.
pub(super) fn field_errors(out_of_bounds: &[OutOfBounds]) -> Vec<FieldError> {
    out_of_bounds.iter().map(field_error).collect()
}

fn field_error(error: &OutOfBounds) -> FieldError {
    let field = match error.field {
        OverrideField::Idle => IDLE_TIMEOUT,
        OverrideField::Absolute => ABSOLUTE_TIMEOUT,
    };
    let allowed = match error.allowed {
        AllowedTimeout::AtLeast(min) | AllowedTimeout::AtLeastIdle(min) => {
            AllowedRange::at_least(rounded_up(min))
        }
        AllowedTimeout::AtMost(max) | AllowedTimeout::AtMostAbsolute(max) => {
            AllowedRange::at_most(whole_minutes(max))
        }
        AllowedTimeout::WholeSeconds => AllowedRange::UNBOUNDED,
    };
    FieldError::from_number(field, whole_minutes(error.value), allowed, error.to_string())
}
