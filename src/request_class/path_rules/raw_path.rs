//! Paths that two readers could read differently.

/// Whether every reader of `path` sees the same segments (P25).
///
/// It begins with a slash; no segment but the last is empty, none is `.` or `..`; it contains no
/// backslash, no encoded `/`, `\` or `.`, and no invalid escape.
pub(super) fn is_unambiguous(path: &str) -> bool {
    let Some(rest) = path.as_bytes().strip_prefix(b"/") else { return false };
    let mut segment_start = 0;
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            b'/' if matches!(rest[segment_start..at], [] | [b'.'] | [b'.', b'.']) => return false,
            b'/' => segment_start = at + 1,
            b'\\' => return false,
            b'%' if !is_harmless_escape(&rest[at + 1..]) => return false,
            _ => {}
        }
    }
    !matches!(rest[segment_start..], [b'.'] | [b'.', b'.'])
}

/// Whether `digits` begins with two hexadecimal digits that encode neither a separator nor a dot.
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
