//! Paths as they are sent.

/// Whether every reader of `path` sees the same segments.
///
/// It begins with a slash; no segment is empty (but the last), `.` or `..`; there is no backslash,
/// no encoded `/`, `\` or `.`, and no broken escape. At most two passes over the bytes.
pub(super) fn is_unambiguous(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.first() == Some(&b'/') && (is_plain(bytes) || has_plain_segments(bytes))
}

/// Whether there is nothing to look at closely, as in nearly every long path. A short one is looked
/// at closely sooner than this would take.
fn is_plain(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(block) = rest.first_chunk() {
        if !is_plain_block(block) {
            return false;
        }
        rest = &rest[BLOCK..];
    }
    // The last block overlaps the one before.
    bytes.last_chunk().is_some_and(is_plain_block)
}

/// How many pairs of bytes are looked at together: the compiler takes them at once.
const BLOCK: usize = 16;

#[inline]
fn is_plain_block(block: &[u8; BLOCK + 1]) -> bool {
    let is = |byte: u8, other: u8| u8::from(byte == other);
    let closely = block.iter().zip(&block[1..]).fold(0, |closely, (&byte, &next)| {
        let separates = is(byte, b'/') & (is(next, b'/') | is(next, b'.'));
        closely | separates | is(next, b'%') | is(next, b'\\')
    });
    closely == 0
}

/// Whether no segment and no escape of `bytes`, which begin with a slash, can be read in two ways.
fn has_plain_segments(bytes: &[u8]) -> bool {
    let mut segment_start = 1;
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'/' if matches!(bytes[segment_start..at], [] | [b'.'] | [b'.', b'.']) => return false,
            b'/' => segment_start = at + 1,
            b'\\' => return false,
            b'%' if !is_harmless_escape(&bytes[at + 1..]) => return false,
            _ => {}
        }
        at += 1;
    }
    !matches!(bytes[segment_start..], [b'.'] | [b'.', b'.'])
}

/// Whether the escape whose digits come first in `digits` is whole and hides no separator or dot.
fn is_harmless_escape(digits: &[u8]) -> bool {
    match digits {
        [b'2', b'e' | b'E' | b'f' | b'F', ..] | [b'5', b'c' | b'C', ..] => false,
        [high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p25_paths_that_readers_may_read_differently() {
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
        ] {
            assert!(!is_unambiguous(path), "{path:?}");
        }
    }

    #[test]
    fn p25_wherever_it_stands_in_a_long_path() {
        let plain = format!("/{}", "x".repeat(50));
        assert!(is_unambiguous(&plain));
        for at in 1..=plain.len() {
            let (before, after) = plain.split_at(at);
            for piece in ["//", "/./", "/../", "\\", "%", "%2f", "%5C", "%2e", "/%2E", "%zz"] {
                let path = format!("{before}{piece}{after}");
                assert!(!is_unambiguous(&path), "{path:?}");
            }
            for piece in ["/.x", "/..x", "x/", "%41", ".", "..", "/x."] {
                let path = format!("{before}{piece}{after}");
                assert!(before == "/" || is_unambiguous(&path), "{path:?}");
            }
        }
        for piece in ["/.", "/.."] {
            assert!(!is_unambiguous(&format!("{plain}{piece}")), "{piece:?}");
        }
    }

    #[test]
    fn paths_with_one_reading() {
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
            "/café",
            "/%20",
            "/%25",
            "/%252F",
            "/{x}",
            "/:a;b=c,d",
            "/~a",
        ] {
            assert!(is_unambiguous(path), "{path:?}");
        }
    }
}
