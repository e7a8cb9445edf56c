//! Where in a response body the last frame that was passed on has ended.

use super::form::Form;

/// The flag of the gRPC-Web frame with the trailers, and of the Connect envelope that ends a stream.
const TRAILERS: u8 = 0x80;
const END_STREAM: u8 = 0b10;

/// The bytes before a gRPC message: a flag and its length.
const HEADER: usize = 5;

/// The place in a body, in 8 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Of gRPC the bytes that are left of the message, or the part of its length that was read; of
    /// server-sent events the last four bytes.
    number: u32,
    /// How many bytes of the header of a gRPC message were read; 0 in its body and between messages.
    header: u8,
    /// How many frames were passed on; wraps.
    pub(super) frames: u8,
    pub(super) form: Form,
}

impl Place {
    /// The beginning of a body.
    pub(super) const fn new(form: Form) -> Self {
        let number = match form {
            Form::EventStream => u32::from_be_bytes(*b"\n\n\n\n"),
            Form::Raw | Form::Grpc | Form::GrpcWeb | Form::GrpcWebText | Form::Connect => 0,
        };
        Self { number, header: 0, frames: 0, form }
    }

    /// Whether the end of the session can be written here.
    pub(super) fn is_boundary(self) -> bool {
        match self.form {
            Form::Raw => false,
            Form::Grpc | Form::GrpcWeb | Form::GrpcWebText | Form::Connect => {
                self.number == 0 && self.header == 0
            }
            Form::EventStream => ends_with_blank_line(&self.number.to_be_bytes()),
        }
    }

    /// Moves on by `data`. Returns whether its message is the last one of the body.
    #[inline]
    pub(super) fn advance(&mut self, data: &[u8]) -> bool {
        self.frames = self.frames.wrapping_add(1);
        match self.form {
            Form::Raw => false,
            Form::Grpc | Form::GrpcWeb | Form::Connect => self.advance_messages(data),
            Form::GrpcWebText => self.advance_base64(data),
            Form::EventStream => {
                for byte in &data[data.len().saturating_sub(4)..] {
                    self.number = self.number << 8 | u32::from(*byte);
                }
                false
            }
        }
    }

    fn advance_messages(&mut self, data: &[u8]) -> bool {
        let last = if self.form == Form::Connect { END_STREAM } else { TRAILERS };
        let (mut rest, mut is_last) = (data, false);
        while !rest.is_empty() {
            let is_between = self.number == 0 && self.header == 0;
            if let ([flag, a, b, c, d, after @ ..], true) = (rest, is_between) {
                is_last |= flag & last != 0;
                self.number = u32::from_be_bytes([*a, *b, *c, *d]);
                rest = after;
            } else if self.header > 0 || is_between {
                is_last |= is_between && rest[0] & last != 0;
                self.read_header(rest[0]);
                rest = &rest[1..];
                continue;
            }
            let taken = rest.len().min(usize::try_from(self.number).unwrap_or(usize::MAX));
            #[expect(clippy::cast_possible_truncation, reason = "at most `number`")]
            {
                self.number -= taken as u32;
            }
            rest = &rest[taken..];
        }
        is_last
    }

    /// Reads one byte of a header that came in pieces.
    fn read_header(&mut self, byte: u8) {
        if self.header > 0 {
            self.number = self.number << 8 | u32::from(byte);
        }
        self.header += 1;
        if usize::from(self.header) == HEADER {
            self.header = 0;
        }
    }

    /// Each data frame is whole quads, with or without padding among them; another one could end
    /// anywhere.
    fn advance_base64(&mut self, data: &[u8]) -> bool {
        let mut is_last = false;
        for quad in data.chunks(4) {
            let Some((bytes, length)) = decode(quad) else {
                self.form = Form::Raw;
                return false;
            };
            is_last |= self.advance_messages(&bytes[..length]);
        }
        is_last
    }
}

/// Decodes four characters of base64, with padding.
fn decode(quad: &[u8]) -> Option<([u8; 3], usize)> {
    let quad: &[u8; 4] = quad.try_into().ok()?;
    let length = match quad {
        [.., b'=', b'='] => 1,
        [.., b'='] => 2,
        _ => 3,
    };
    let mut bits = 0;
    for (at, character) in quad.iter().enumerate() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' if at > length => 0,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
    }
    let [_, bytes @ ..] = bits.to_be_bytes();
    Some((bytes, length))
}

/// Whether two ends of lines (CR, LF or both) are the last bytes.
fn ends_with_blank_line(bytes: &[u8]) -> bool {
    let without_line_end = |bytes: &[u8]| match bytes {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n' | b'\r'] => Some(rest.len()),
        _ => None,
    };
    without_line_end(bytes).is_some_and(|length| without_line_end(&bytes[..length]).is_some())
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    fn message(flag: u8, text: &[u8]) -> Vec<u8> {
        let length = u32::try_from(text.len()).expect("short").to_be_bytes();
        [&[flag], &length[..], text].concat()
    }

    /// The boundaries among the ends of `pieces`.
    fn boundaries<'a>(form: Form, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<usize> {
        let (mut place, mut at, mut found) = (Place::new(form), 0, Vec::new());
        for piece in pieces {
            place.advance(piece);
            at += piece.len();
            if place.is_boundary() {
                found.push(at);
            }
        }
        found
    }

    #[test]
    fn p18_trailers_are_written_between_messages_however_they_are_cut() {
        let body = [message(0, b""), message(1, &[9; 300]), message(0, b"abc")].concat();
        let ends = [5, 310, 318];
        for form in [Form::Grpc, Form::GrpcWeb, Form::Connect] {
            for size in 1..=body.len() {
                let cut: Vec<usize> = (1..=body.len().div_ceil(size))
                    .map(|piece| (piece * size).min(body.len()))
                    .filter(|end| ends.contains(end))
                    .collect();
                assert_eq!(boundaries(form, body.chunks(size)), cut, "pieces of {size} bytes");
            }
        }
        assert!(Place::new(Form::Grpc).is_boundary());
        assert!(boundaries(Form::Raw, body.chunks(1)).is_empty());
    }

    #[test]
    fn p18_base64_is_read_in_whole_quads() {
        let messages = [message(0, b"ab"), message(0, b"abcd"), message(0, b"abc")];
        let padded: Vec<String> = messages.iter().map(|it| STANDARD.encode(it)).collect();
        let pieces = padded.iter().map(String::as_bytes);
        assert_eq!(boundaries(Form::GrpcWebText, pieces).len(), 3);
        let joined = STANDARD.encode(messages.concat());
        let found = boundaries(Form::GrpcWebText, joined.as_bytes().chunks(4));
        assert_eq!(found.last(), Some(&joined.len()));
        let mut place = Place::new(Form::GrpcWebText);
        for broken in ["AAA", "AA=A", "=AAA", "A===", "AA-A"] {
            place = Place::new(Form::GrpcWebText);
            place.advance(broken.as_bytes());
            assert!(!place.is_boundary(), "{broken}");
        }
        assert_eq!(place.form, Form::Raw);
    }

    #[test]
    fn the_trailers_of_grpc_web_and_the_end_of_connect_are_the_last_message() {
        let body = [message(0, b"a"), message(TRAILERS, b"grpc-status:0\r\n")].concat();
        let text = STANDARD.encode(&body);
        let connect = [message(1, b"a"), message(END_STREAM, b"{}")].concat();
        for (form, body) in [
            (Form::GrpcWeb, &body[..]),
            (Form::GrpcWebText, text.as_bytes()),
            (Form::Connect, &connect[..]),
        ] {
            for size in [4, 8, 12, body.len()] {
                let mut place = Place::new(form);
                let lasts = body.chunks(size).filter(|piece| place.advance(piece)).count();
                assert_eq!(lasts, 1, "{form:?} {size}");
            }
        }
    }

    #[test]
    fn p18_an_event_is_written_after_a_blank_line() {
        for (text, expected) in [
            ("", true),
            ("data: a\n\n", true),
            ("data: a\r\n\r\n", true),
            ("data: a\r\r", true),
            ("data: a\n\r", true),
            ("data: a\r\r\n", true),
            ("\n\r\n", true),
            ("data: a\n", false),
            ("data: a\r\n", false),
            ("data: a\r", false),
            ("data: a\n\nd", false),
            (":\n", true),
        ] {
            for size in 1..=text.len().max(1) {
                let mut place = Place::new(Form::EventStream);
                for piece in text.as_bytes().chunks(size) {
                    place.advance(piece);
                }
                let expected = expected && text != ":\n";
                assert_eq!(place.is_boundary(), expected, "{text:?} in pieces of {size}");
            }
        }
    }
}
