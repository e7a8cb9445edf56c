//! A reader of the members of a JSON object, in order, with the bytes that each occupies.
//!
//! `serde_json` with `RawValue` in its place makes the first verification of a token a quarter
//! slower (`FirstSeen` in benches/ratios.rs).

use std::{borrow::Cow, ops::Range};

use serde::de::{DeserializeOwned, IgnoredAny};

/// The text is not a JSON object, or a value is not of the type asked for.
#[derive(Debug)]
pub(super) struct Malformed;

/// One member of an object.
pub(super) struct Member<'a> {
    /// Its name, unescaped.
    pub(super) name: Cow<'a, str>,
    /// Its value.
    pub(super) value: Written<'a>,
    /// Its bytes, from the quote of its name to the end of its value.
    pub(super) span: Range<usize>,
}

/// A value as it is written.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    object: &'a str,
    start: usize,
    end: usize,
    form: Form,
}

/// What is known of a value without `serde_json`.
#[derive(Clone, Copy)]
enum Form {
    /// A string without an escape.
    Text,
    /// A whole number that is not negative.
    Whole(u64),
    /// Anything else: `serde_json` reads it.
    Other,
}

impl<'a> Written<'a> {
    #[inline]
    pub(super) fn json(self) -> &'a str {
        &self.object[self.span()]
    }

    /// Its bytes in the object.
    #[inline]
    pub(super) const fn span(self) -> Range<usize> {
        self.start..self.end
    }

    /// The text of a string, borrowed if it contains no escape; an error for any other value.
    #[inline(always)]
    pub(super) fn text(self) -> Result<Cow<'a, str>, Malformed> {
        match self.form {
            Form::Text => Ok(Cow::Borrowed(&self.object[self.start + 1..self.end - 1])),
            Form::Other => serde_json::from_str(self.json()).map(Cow::Owned).map_err(|_| Malformed),
            Form::Whole(_) => Err(Malformed),
        }
    }

    /// A string, or the decimal digits of a whole number however long; `None` for any other value.
    pub(super) fn identifier(self) -> Option<Cow<'a, str>> {
        let json = self.json();
        let is_whole = json.bytes().all(|byte| byte.is_ascii_digit());
        if is_whole { Some(Cow::Borrowed(json)) } else { self.text().ok() }
    }

    /// A whole number; `None` if it is written in another way, or not a number.
    #[inline]
    pub(super) const fn whole(self) -> Option<u64> {
        match self.form {
            Form::Whole(number) => Some(number),
            _ => None,
        }
    }
}

/// Reads the members of a JSON object (RFC 8259), with the bytes of each: a successor replaces a
/// token's times in place.
///
/// It reads strings without an escape and whole numbers itself, in one pass over the bytes, and
/// passes every other value to `serde_json`. White space between them takes a slower path.
pub(super) struct Members<'a> {
    json: &'a str,
    at: usize,
    is_first: bool,
}

impl<'a> Members<'a> {
    /// Reads `json`, which must be an object.
    pub(super) fn new(json: &'a str) -> Result<Self, Malformed> {
        let at = past(b'{', json.as_bytes(), 0)?;
        Ok(Self { json, at, is_first: true })
    }

    /// The next member; `None` after the last one. Only white space may follow the object.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<Option<Member<'a>>, Malformed> {
        let bytes = self.json.as_bytes();
        let is_first = std::mem::take(&mut self.is_first);
        let start = match bytes.get(self.at..) {
            Some([b',', b'"', ..]) if !is_first => self.at + 1,
            _ => match next_quote(bytes, self.at, is_first)? {
                Some(start) => start,
                None => return Ok(None),
            },
        };
        let end = plain_end(bytes, start + 1);
        let (name, at) = match bytes.get(end..) {
            Some([b'"', b':', b'!'..=u8::MAX, ..]) => {
                (Cow::Borrowed(&self.json[start + 1..end]), end + 2)
            }
            _ => self.name_with_escapes(start)?,
        };
        let plain = match bytes.get(at) {
            Some(b'"') => text_end(bytes, at).map(|end| (Form::Text, end)),
            Some(b'0'..=b'9') => whole(bytes, at).map(|(it, end)| (Form::Whole(it), end)),
            _ => None,
        };
        let (form, end) = match plain {
            Some(plain) => plain,
            None => (Form::Other, at + read::<IgnoredAny>(&self.json[at..])?.1),
        };
        self.at = end;
        let value = Written { object: self.json, start: at, end, form };
        Ok(Some(Member { name, value, span: start..end }))
    }

    /// Returns the name at `start` and where its value begins, if the name contains an escape or
    /// white space follows it.
    #[cold]
    fn name_with_escapes(&self, start: usize) -> Result<(Cow<'a, str>, usize), Malformed> {
        let (name, length) = read(&self.json[start..])?;
        let bytes = self.json.as_bytes();
        let at = past(b':', bytes, start + length)?;
        Ok((Cow::Owned(name), past_white_space(bytes, at)))
    }
}

/// Where the name of the next member begins, after the comma at `at`; `None` after the last one.
#[cold]
fn next_quote(bytes: &[u8], at: usize, is_first: bool) -> Result<Option<usize>, Malformed> {
    if let Ok(at) = past(b'}', bytes, at) {
        let is_all = past_white_space(bytes, at) == bytes.len();
        return if is_all { Ok(None) } else { Err(Malformed) };
    }
    let at = if is_first { at } else { past(b',', bytes, at)? };
    past(b'"', bytes, at).map(|after| Some(after - 1))
}

/// Where the text after `expected` begins; white space may precede `expected`.
fn past(expected: u8, bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let at = past_white_space(bytes, at);
    if bytes.get(at) == Some(&expected) { Ok(at + 1) } else { Err(Malformed) }
}

fn past_white_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Reads the value at the beginning of `json` with `serde_json`; also returns its length in bytes.
#[inline(never)]
fn read<T>(json: &str) -> Result<(T, usize), Malformed>
where
    T: DeserializeOwned,
{
    let mut values = serde_json::Deserializer::from_str(json).into_iter();
    let value = values.next().and_then(Result::ok).ok_or(Malformed)?;
    Ok((value, values.byte_offset()))
}

/// Numbers of this many digits fit 64 bits.
const SURE_DIGITS: usize = 19;

/// Reads the number at `start`, and where it ends, if it is a whole number that fits.
#[inline]
fn whole(bytes: &[u8], start: usize) -> Option<(u64, usize)> {
    let (mut at, mut number) = (start, 0_u64);
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        at += 1;
    }
    let digits = at - start;
    let goes_on = matches!(bytes.get(at), Some(b'.' | b'e' | b'E'));
    let leads_with_zero = digits > 1 && bytes[start] == b'0';
    (!goes_on && !leads_with_zero && digits <= SURE_DIGITS).then_some((number, at))
}

/// Where the string ends that begins at `start`, if it contains no escape.
#[inline]
fn text_end(bytes: &[u8], start: usize) -> Option<usize> {
    let end = plain_end(bytes, start + 1);
    (bytes.get(end) == Some(&b'"')).then_some(end + 1)
}

/// The position of the first quote, backslash or control character from `at` on. Compares eight
/// bytes at once.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The lowest set bit is in the first byte below the limit, if there is one.
    let under = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGH;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(*word);
        // With this bit flipped, the quote follows the control characters.
        let control_or_quote = under(word ^ (ONES * 2), b' ' + 1);
        let special = control_or_quote | under(word ^ (ONES * u64::from(b'\\')), 1);
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while let Some(b' ' | b'!' | b'#'..=b'[' | b']'..) = bytes.get(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests;
