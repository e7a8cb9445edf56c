//! The members of a JSON object, one by one.

use std::{borrow::Cow, ops::Range};

use serde::de::IgnoredAny;

/// The payload is not a JSON object of well-formed claims.
#[derive(Debug)]
pub(crate) struct Malformed;

/// One member of an object.
pub(super) struct Member<'a> {
    /// Its name, unescaped.
    pub(super) name: Cow<'a, str>,
    /// Its value.
    pub(super) value: Written<'a>,
    /// Where it stands: from the quote of its name to the end of its value.
    pub(super) span: Range<usize>,
}

impl Member<'_> {
    /// Where its value stands.
    pub(super) const fn value_span(&self) -> Range<usize> {
        self.span.end - self.value.json.len()..self.span.end
    }
}

/// A name or a value as it is written.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) json: &'a str,
    plainly: Plainly,
}

/// How a value is written.
#[derive(Clone, Copy)]
enum Plainly {
    /// A string without an escape.
    Text,
    /// A whole number that is not negative.
    Whole(u64),
    /// For `serde_json` to read.
    Not,
}

impl<'a> Written<'a> {
    /// What a string says, borrowed where nothing was escaped; an error for any other value.
    #[inline(always)]
    pub(super) fn text(self) -> Result<Cow<'a, str>, Malformed> {
        match self.plainly {
            Plainly::Text => Ok(Cow::Borrowed(&self.json[1..self.json.len() - 1])),
            Plainly::Not => serde_json::from_str(self.json).map(Cow::Owned).map_err(|_| Malformed),
            Plainly::Whole(_) => Err(Malformed),
        }
    }

    /// A whole number, where it is written as one.
    #[inline]
    pub(super) const fn whole(self) -> Option<u64> {
        match self.plainly {
            Plainly::Whole(number) => Some(number),
            _ => None,
        }
    }
}

/// Walks over the members of a JSON object (RFC 8259): what a token's times are spliced into must
/// be known to the byte.
///
/// Strings without an escape and whole numbers are read here, in one pass over the bytes; every
/// other value is `serde_json`'s to read.
pub(super) struct Members<'a> {
    json: &'a str,
    at: usize,
    is_first: bool,
}

impl<'a> Members<'a> {
    /// Those of `json`, which must be an object.
    pub(super) fn of(json: &'a str) -> Result<Self, Malformed> {
        let mut members = Self { json, at: 0, is_first: true };
        members.take(b'{')?;
        Ok(members)
    }

    /// The next one; after the last one nothing may follow the object.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<Option<Member<'a>>, Malformed> {
        if self.peek() == Some(b'}') {
            self.at += 1;
            return if self.peek().is_none() { Ok(None) } else { Err(Malformed) };
        }
        if !std::mem::take(&mut self.is_first) {
            self.take(b',')?;
            self.peek();
        }
        let start = self.at;
        let plainly = self.string()?;
        let name = Written { json: self.since(start), plainly }.text()?;
        self.take(b':')?;
        let first = self.peek();
        let value_start = self.at;
        let plainly = match first {
            Some(b'"') => self.string()?,
            Some(b'0'..=b'9') => self.number(),
            _ => Plainly::Not,
        };
        if let Plainly::Not = plainly {
            self.at = value_start;
            self.any()?;
        }
        let json = self.since(value_start);
        let value = Written { json, plainly };
        Ok(Some(Member { name, value, span: start..self.at }))
    }

    /// The next byte that is no blank.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.as_bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    #[inline]
    fn take(&mut self, expected: u8) -> Result<(), Malformed> {
        if self.peek() != Some(expected) {
            return Err(Malformed);
        }
        self.at += 1;
        Ok(())
    }

    /// What was walked over since `start`.
    #[inline]
    fn since(&self, start: usize) -> &'a str {
        &self.json[start..self.at]
    }

    /// Walks over a string; what it escapes is not looked at.
    #[inline]
    fn string(&mut self) -> Result<Plainly, Malformed> {
        let bytes = self.json.as_bytes();
        if bytes.get(self.at) != Some(&b'"') {
            return Err(Malformed);
        }
        let mut plainly = Plainly::Text;
        self.at += 1;
        loop {
            self.at += plain_bytes(bytes.get(self.at..).ok_or(Malformed)?);
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                _ => return Err(Malformed),
            }
            plainly = Plainly::Not;
        }
        self.at += 1;
        Ok(plainly)
    }

    /// Walks over digits, which are a whole number where nothing but that begins with them.
    #[inline]
    fn number(&mut self) -> Plainly {
        let rest = &self.json.as_bytes()[self.at..];
        let (mut digits, mut whole) = (0, 0_u64);
        while let Some(digit @ b'0'..=b'9') = rest.get(digits) {
            whole = whole.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            digits += 1;
        }
        self.at += digits;
        let goes_on = matches!(rest.get(digits), Some(b'.' | b'e' | b'E'));
        let leads_with_zero = digits > 1 && rest[0] == b'0';
        if goes_on || leads_with_zero || digits > SURE_DIGITS {
            Plainly::Not
        } else {
            Plainly::Whole(whole)
        }
    }

    /// Walks over a value as `serde_json` does.
    fn any(&mut self) -> Result<(), Malformed> {
        let rest = &self.json[self.at..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        let Some(Ok(IgnoredAny)) = values.next() else { return Err(Malformed) };
        self.at += values.byte_offset();
        Ok(())
    }
}

/// So many digits never overflow 64 bits.
const SURE_DIGITS: usize = 19;

/// How many bytes at the beginning of `bytes` stand for themselves within a string: no quote, no
/// backslash, no control character. Eight at once.
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The lowest bit that is set stands in the first byte under the limit, if there is one.
    let under = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGH;
    let (words, rest) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let is = |byte: u8| under(word ^ (ONES * u64::from(byte)), 1);
        let special = is(b'"') | is(b'\\') | under(word, b' ');
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..b' ');
    bytes.len() - rest.len() + rest.iter().position(is_special).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests;
