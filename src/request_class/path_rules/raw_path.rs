//! Paths that two readers could read differently.

/// What a byte means to the scan of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Stands for itself.
    Plain,
    Slash,
    Percent,
    /// Readers disagree on it, or it has to be escaped.
    Refused,
}

const MEANINGS: [Meaning; 256] = {
    let mut meanings = [Meaning::Refused; 256];
    let mut byte = 0;
    while byte < 128 {
        meanings[byte as usize] = meaning(byte);
        byte += 1;
    }
    meanings
};

/// By `pchar` of RFC 3986 section 3.3. `;` is refused: some servers remove it and what follows.
const fn meaning(ascii: u8) -> Meaning {
    match ascii {
        b'/' => Meaning::Slash,
        b'%' => Meaning::Percent,
        b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+'
        | b',' | b'=' | b':' | b'@' => Meaning::Plain,
        _ if ascii.is_ascii_alphanumeric() => Meaning::Plain,
        _ => Meaning::Refused,
    }
}

/// Whether every reader of `path` sees the same segments and the same characters (P25): servers and
/// routers that compare it as it was sent, and those that decode, normalize or decode it twice.
///
/// It begins with a slash; no segment but the last is empty, none is `.` or `..`; characters that
/// may stand in a segment (RFC 3986 section 3.3, `pchar`) stand in it unescaped, all others are
/// escaped, as UTF-8 and with upper-case digits. So no two such paths decode to the same one. It
/// contains no `;`, no escaped `/`, `\`, `;` or control character, and no escape of an escape.
pub(super) fn is_unambiguous(path: &str) -> bool {
    let mut rest = path.as_bytes();
    if rest.first() != Some(&b'/') {
        return false;
    }
    // Most characters stand for themselves.
    while let Some(at) = rest.iter().position(|byte| meaning_of(*byte) != Meaning::Plain) {
        let after = &rest[at + 1..];
        rest = match meaning_of(rest[at]) {
            Meaning::Slash if begins_segment(after) => after,
            Meaning::Percent => match strip_escaped(&rest[at..]) {
                Some(after) => after,
                None => return false,
            },
            Meaning::Plain | Meaning::Slash | Meaning::Refused => return false,
        };
    }
    true
}

const fn meaning_of(byte: u8) -> Meaning {
    MEANINGS[byte as usize]
}

/// Whether nothing follows a slash, or a segment that is neither empty nor `.` nor `..`.
fn begins_segment(rest: &[u8]) -> bool {
    !matches!(rest, [b'/', ..] | [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..])
}

/// The rest of `path` after the escapes of its first character; `None` if they are invalid or
/// readers could disagree on that character.
#[cold] // Few paths contain an escape.
fn strip_escaped(path: &[u8]) -> Option<&[u8]> {
    let (first, mut rest) = strip_escape(path)?;
    let mut utf8 = [first, 0, 0, 0];
    let length = match first {
        0..=0x7F => 1,
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return None,
    };
    for byte in &mut utf8[1..length] {
        (*byte, rest) = strip_escape(rest)?;
    }
    let character = std::str::from_utf8(&utf8[..length]).ok()?.chars().next()?;
    let is_escaped_by_all = match character {
        '\\' | ';' => false,
        // Decoded twice it would be another character.
        '%' => {
            !matches!(rest, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
        }
        _ if character.is_control() => false,
        _ => MEANINGS[usize::from(first)] == Meaning::Refused,
    };
    is_escaped_by_all.then_some(rest)
}

/// The first byte of `path`, which is escaped with upper-case digits, and the rest.
fn strip_escape(path: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = path else { return None };
    Some((upper_hex(*high)? << 4 | upper_hex(*low)?, rest))
}

const fn upper_hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p25_ambiguous_paths_are_recognized() {
        for path in [
            "",
            "*",
            "login",
            "//",
            "///",
            "//a",
            "/a//",
            "/a//b",
            "/.",
            "/./",
            "/a/.",
            "/a/./b",
            "/..",
            "/../",
            "/a/..",
            "/a/../b",
            "/a\\b",
            "\\",
            "/a/%2Fb",
            "/a%2fb",
            "/%2E",
            "/%2e/a",
            "/a/%2E%2e/b",
            "/.%2E",
            "/a%2Etxt",
            "/a%5Cb",
            "/a%5c",
            "/%",
            "/%a",
            "/%zz",
            "/%2",
            "/a%2/b",
            "/%g0",
            "/%0g",
            "/%-1",
            "/%é",
            "/%%",
            "/%%41",
            "/a%252Fb",
            "/%2564rafts",
            "/%2525",
            "/%25aa",
            "/a;b=c,d",
            "/;",
            "/a%3Bb",
            "/%64rafts",
            "/items%3Apurge",
            "/%40me",
            "/a%7Eb",
            "/caf%c3%a9",
            "/caf%C3%a9",
            "/café",
            "/a%3c",
            "/%00",
            "/a%0A",
            "/a%7F",
            "/a\u{1}",
            "/a\u{7f}",
            "/a b",
            "/a\"b",
            "/{x}",
            "/a|b",
            "/a^b",
            "/a[0]",
            "/<a>",
            "/a`b",
            "/%C0%AF",
            "/%C0%AE",
            "/%E0%80%AF",
            "/%FF",
            "/%A9",
            "/%C3",
            "/%C3x",
            "/%C3%",
            "/%C3/%A9",
            "/%ED%A0%80",
            "/%F4%90%80%80",
            "/%F5%80%80%80",
            "/%C2%85",
        ] {
            assert!(!is_unambiguous(path), "{path:?}");
        }
    }

    #[test]
    fn p25_an_ambiguity_is_recognized_anywhere_in_a_long_path() {
        let plain = format!("/{}", "x".repeat(50));
        assert!(is_unambiguous(&plain));
        for at in 1..=plain.len() {
            let (before, after) = plain.split_at(at);
            for piece in
                ["//", "/./", "/../", "\\", "%", "%2f", "%5C", "%2e", "/%2E", "%zz", "%41", ";"]
            {
                let path = format!("{before}{piece}{after}");
                assert!(!is_unambiguous(&path), "{path:?}");
            }
            for piece in ["/.x", "/..x", "x/", "%20", "%C3%A9", ".", "..", "/x."] {
                let path = format!("{before}{piece}{after}");
                assert!(before == "/" || is_unambiguous(&path), "{path:?}");
            }
        }
        for piece in ["/.", "/.."] {
            assert!(!is_unambiguous(&format!("{plain}{piece}")), "{piece:?}");
        }
    }

    #[test]
    fn unambiguous_paths_are_recognized() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/a/b.txt",
            "/...",
            "/.well-known/x",
            "/a/..b/c..",
            "/a.b/",
            "/caf%C3%A9",
            "/%E2%82%AC/%F0%9F%99%82",
            "/%20",
            "/%25",
            "/50%25/100%25x0",
            "/%7Bx%7D",
            "/C%23",
            "/-._~!$&'()*+,=:@",
            "/AZaz09",
        ] {
            assert!(is_unambiguous(path), "{path:?}");
        }
    }
}
