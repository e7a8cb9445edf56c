//! How values are packed into strings. Instants and spans are milliseconds of 48 bits, which scripts
//! count with exactly.

use std::time::Duration;

use uuid::{Uuid, fmt::Urn};

use super::failure::Failure;
use crate::{identity::StoreKey, time::Timestamp};

/// The latest instant, and the longest duration, in milliseconds: later than the year 9999.
const MAX_MILLIS: u64 = (1 << 48) - 1;

/// What a name begins with that is not its length in one byte.
const ABSENT: u8 = 250;
const LONG: u8 = 251;
/// An identifier of 32 hexadecimal digits, in half as many bytes; and one with hyphens.
const SIMPLE: u8 = 252;
const HYPHENATED: u8 = 253;

pub(super) fn exact_millis(at: Timestamp) -> u64 {
    at.as_millis().min(MAX_MILLIS)
}

pub(super) fn exact_span(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(MAX_MILLIS).min(MAX_MILLIS)
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

    pub(super) fn time(self, at: Timestamp) -> Self {
        self.millis(exact_millis(at))
    }

    pub(super) fn span(self, span: Duration) -> Self {
        self.millis(exact_span(span))
    }

    fn millis(mut self, millis: u64) -> Self {
        self.0.extend(&millis.to_le_bytes()[..6]);
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

    /// A text of less than 64 KiB as short as it can be; a longer one is cut.
    pub(super) fn name(mut self, name: &str) -> Self {
        if let Ok(id) = Uuid::try_parse(name) {
            let mut buffer = Uuid::encode_buffer();
            for kind in [SIMPLE, HYPHENATED] {
                if *id_text(kind, id, &mut buffer) == *name {
                    return self.byte(kind).bytes(id.as_bytes());
                }
            }
        }
        match u8::try_from(name.len()) {
            Ok(length) if length < ABSENT => {
                self.0.push(length);
                self.bytes(name.as_bytes())
            }
            _ => self.byte(LONG).text(name),
        }
    }

    pub(super) fn maybe_name(self, name: Option<&str>) -> Self {
        match name {
            Some(name) => self.name(name),
            None => self.byte(ABSENT),
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

fn id_text(kind: u8, id: Uuid, buffer: &mut [u8; Urn::LENGTH]) -> &str {
    match kind {
        SIMPLE => id.simple().encode_lower(buffer),
        _ => id.hyphenated().encode_lower(buffer),
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

    /// A length in 3 bytes.
    pub(super) fn u24(&mut self) -> Result<usize, Failure> {
        let [a, b, c] = self.array()?;
        Ok(usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Failure> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn millis(&mut self) -> Result<u64, Failure> {
        let mut bytes = [0; 8];
        bytes[..6].copy_from_slice(self.bytes(6)?);
        Ok(u64::from_le_bytes(bytes))
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

    pub(super) fn name(&mut self) -> Result<String, Failure> {
        self.maybe_name()?.ok_or_else(Failure::malformed)
    }

    pub(super) fn maybe_name(&mut self) -> Result<Option<String>, Failure> {
        let kind = self.byte()?;
        Ok(Some(match kind {
            ABSENT => return Ok(None),
            LONG => self.text()?,
            SIMPLE | HYPHENATED => {
                let id = Uuid::from_bytes(self.array()?);
                id_text(kind, id, &mut Uuid::encode_buffer()).to_owned()
            }
            length => {
                let bytes = self.bytes(length.into())?;
                String::from_utf8(bytes.to_vec()).map_err(|_| Failure::malformed())?
            }
        }))
    }

    pub(super) fn maybe_text(&mut self) -> Result<Option<String>, Failure> {
        Ok(if self.byte()? == 0 { None } else { Some(self.text()?) })
    }
}
