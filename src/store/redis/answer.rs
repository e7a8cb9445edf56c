//! The parts of an answer of Redis, and the arguments of a script.

use redis::Value;

use super::{
    bytes::{exact_millis, exact_span},
    failure::Failure,
};
use crate::{identity::StoreKey, time::Timestamp};

/// The longest life of a key: Redis refuses to keep one much longer.
const LONGEST_LIFE: u64 = 300 * 365 * 24 * 3600 * 1000;

pub(super) fn int(value: &Value) -> Result<i64, Failure> {
    match value {
        Value::Int(number) => Ok(*number),
        _ => Err(Failure::unexpected_answer()),
    }
}

/// A string; `None` if there is no such key.
pub(super) fn maybe_bytes(value: Value) -> Result<Option<Vec<u8>>, Failure> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        _ => Err(Failure::unexpected_answer()),
    }
}

pub(super) fn bytes(value: Value) -> Result<Vec<u8>, Failure> {
    maybe_bytes(value)?.ok_or_else(Failure::unexpected_answer)
}

pub(super) fn array(value: Value) -> Result<Vec<Value>, Failure> {
    match value {
        Value::Array(values) => Ok(values),
        Value::Nil => Ok(Vec::new()),
        _ => Err(Failure::unexpected_answer()),
    }
}

/// An array of strings.
pub(super) fn strings(value: Value) -> Result<Vec<Vec<u8>>, Failure> {
    array(value)?.into_iter().map(bytes).collect()
}

/// The arguments of a script.
#[derive(Clone, Default)]
pub(super) struct Args(Vec<Vec<u8>>);

impl Args {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn number(mut self, number: u64) -> Self {
        self.0.push(number.to_string().into_bytes());
        self
    }

    pub(super) fn time(self, at: Timestamp) -> Self {
        self.number(exact_millis(at))
    }

    pub(super) fn span(self, span: std::time::Duration) -> Self {
        self.number(exact_span(span))
    }

    /// The life of a key, in milliseconds.
    pub(super) fn life(self, life: std::time::Duration) -> Self {
        self.number(exact_span(life).clamp(1, LONGEST_LIFE))
    }

    pub(super) fn key(self, key: StoreKey) -> Self {
        self.bytes(key.as_bytes().to_vec())
    }

    pub(super) fn bytes(mut self, bytes: Vec<u8>) -> Self {
        self.0.push(bytes);
        self
    }

    pub(super) fn finish(self) -> Vec<Vec<u8>> {
        self.0
    }
}
