//! How values are packed into strings. Numbers are doubles where a script reads them: those are exact
//! for milliseconds up to 2^53.

use std::time::Duration;

use super::failure::Failure;
use crate::{identity::StoreKey, time::Timestamp};

/// The latest instant, and the longest duration, in milliseconds that a script can count with.
const MAX_EXACT: u64 = (1 << 53) - 1;

pub(super) fn exact_millis(at: Timestamp) -> u64 {
    at.as_millis().min(MAX_EXACT)
}

pub(super) fn exact_span(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(MAX_EXACT).min(MAX_EXACT)
}

#[expect(clippy::cast_precision_loss, reason = "at most MAX_EXACT")]
fn double(millis: u64) -> [u8; 8] {
    (millis as f64).to_le_bytes()
}

/// Writes a packed value.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub(super) fn u16(mut self, number: u16) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    pub(super) fn u32(mut self, number: u32) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    pub(super) fn time(mut self, at: Timestamp) -> Self {
        self.0.extend(double(exact_millis(at)));
        self
    }

    pub(super) fn span(mut self, span: Duration) -> Self {
        self.0.extend(double(exact_span(span)));
        self
    }

    pub(super) fn key(mut self, key: StoreKey) -> Self {
        self.0.extend(key.as_bytes());
        self
    }

    pub(super) fn maybe_key(self, key: Option<StoreKey>) -> Self {
        match key {
            Some(key) => self.byte(1).key(key),
            None => self.byte(0),
        }
    }

    /// A text of less than 64 KiB; a longer one is cut.
    pub(super) fn text(mut self, text: &str) -> Self {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        self = self.u16(length);
        self.0.extend(text.bytes().take(length.into()));
        self
    }

    pub(super) fn maybe_text(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.byte(1).text(text),
            None => self.byte(0),
        }
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a packed value from its begin.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Failure> {
        let (head, rest) = self.0.split_at_checked(count).ok_or_else(Failure::malformed)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        self.bytes(N)?.try_into().map_err(|_| Failure::malformed())
    }

    pub(super) fn byte(&mut self) -> Result<u8, Failure> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Failure> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Failure> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a double stays in the range"
    )]
    fn millis(&mut self) -> Result<u64, Failure> {
        Ok(f64::from_le_bytes(self.array()?) as u64)
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, Failure> {
        Ok(Timestamp::from_millis(self.millis()?))
    }

    pub(super) fn span(&mut self) -> Result<Duration, Failure> {
        Ok(Duration::from_millis(self.millis()?))
    }

    pub(super) fn key(&mut self) -> Result<StoreKey, Failure> {
        Ok(StoreKey::from_bytes(self.array()?))
    }

    pub(super) fn maybe_key(&mut self) -> Result<Option<StoreKey>, Failure> {
        Ok(if self.byte()? == 0 { None } else { Some(self.key()?) })
    }

    pub(super) fn text(&mut self) -> Result<String, Failure> {
        let length = self.u16()?;
        let bytes = self.bytes(length.into())?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Failure::malformed())
    }

    pub(super) fn maybe_text(&mut self) -> Result<Option<String>, Failure> {
        Ok(if self.byte()? == 0 { None } else { Some(self.text()?) })
    }
}
