//! Path rules beside axum's router: what either of them reads as the path of a `User` rule.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    fmt::Write as _,
    task::{Context, Poll, Waker},
};

use axum::{Router, body::Body, routing::get};
use http::{Request, StatusCode, Uri};
use tower::Service;
use tower_sliding_session::{
    PathRules,
    request_class::{Classify, CompiledPathRules, RequestClass, RequestHead, subtree},
};

const PATHS: usize = 1_000_000;

/// The patterns of class `User`, each with a path that it matches, decoded.
const USER: [(&str, &str); 6] = [
    ("/docs/drafts/{id}", "/docs/drafts/7"),
    ("/docs/items:purge", "/docs/items:purge"),
    ("/docs/@me", "/docs/@me"),
    ("/docs/caf%C3%A9", "/docs/café"),
    ("/docs/own/{*path}", "/docs/own/a/b"),
    ("/poll/a%20b", "/poll/a b"),
];

/// What is put into a path: separators and dots in each form that some reader accepts, and bytes
/// that only some readers accept.
const INSERTED: [&str; 34] = [
    "/", "//", "/.", "/./", "/../", "/x/..", "/x/../", ";", ";x=1", "%3B", "\\", "%5C", "%5c",
    "%2F", "%2f", "%252F", "%2E", ".", "%00", "%0A", "%C0%AF", "%C0%AE", "%FF", "%", "%zz", "%25",
    "{", "|", "%7B", "é", "%C3", "%20", "~", "x",
];

fn path_rules() -> CompiledPathRules {
    let rules = PathRules::new().public(subtree("/")).background(subtree("/poll"));
    USER.iter().fold(rules, |rules, (pattern, _)| rules.user(*pattern)).compile().expect("legal")
}

/// The handlers of `User` patterns answer 202, all others 200.
fn router() -> Router {
    let wide = ["/", "/{*path}", "/docs", "/docs/", "/docs/{*path}", "/poll", "/poll/{*path}"];
    let router =
        wide.iter().fold(Router::new(), |router, path| router.route(path, get(async || {})));
    USER.iter().fold(router, |router, (pattern, _)| {
        router.route(pattern, get(async || StatusCode::ACCEPTED))
    })
}

#[test]
fn p25_no_path_that_axum_or_a_decoder_reads_as_a_user_pattern_is_classed_lower() {
    let (rules, mut router) = (path_rules(), router());
    let mut random = Random(25);
    let (mut sent, mut lower) = (0, BTreeSet::new());
    while sent < PATHS {
        let Ok(uri) = Uri::try_from(variant(&mut random)) else { continue };
        // Without what a `?` or `#` has made a query or fragment.
        let path = uri.path().to_owned();
        sent += 1;
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = uri;
        if rules.classify(RequestHead::new(&request)) == RequestClass::User {
            continue;
        }
        assert_eq!(status(&mut router, request), StatusCode::OK, "axum reads {path:?}");
        for reading in readings(&path) {
            assert!(!is_user(&reading), "{path:?} is read as {reading:?}");
        }
        lower.insert(path);
    }
    assert!(lower.len() > 10_000, "only {} paths were classed lower", lower.len());
}

/// The paths that the rules name are classed as the rules say.
#[test]
fn p25_a_path_in_its_one_form_is_classed_by_its_rule() {
    let (rules, mut router) = (path_rules(), router());
    for (path, class, expected) in [
        ("/docs/drafts/7", RequestClass::User, StatusCode::ACCEPTED),
        ("/docs/items:purge", RequestClass::User, StatusCode::ACCEPTED),
        ("/docs/@me", RequestClass::User, StatusCode::ACCEPTED),
        ("/docs/caf%C3%A9", RequestClass::User, StatusCode::ACCEPTED),
        ("/docs/own/a%20b", RequestClass::User, StatusCode::ACCEPTED),
        ("/poll/a%20b", RequestClass::User, StatusCode::ACCEPTED),
        ("/docs/th%C3%A9", RequestClass::Public, StatusCode::OK),
        ("/docs/items:list", RequestClass::Public, StatusCode::OK),
        ("/docs/a%20b/C%23", RequestClass::Public, StatusCode::OK),
        ("/poll/now", RequestClass::Background, StatusCode::OK),
        ("/", RequestClass::Public, StatusCode::OK),
    ] {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        assert_eq!(rules.classify(RequestHead::new(&request)), class, "{path}");
        assert_eq!(status(&mut router, request), expected, "{path}");
    }
}

fn status(router: &mut Router, request: Request<Body>) -> StatusCode {
    let response = std::pin::pin!(router.call(request));
    match response.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok::<_, Infallible>(response)) => response.status(),
        Poll::Pending => panic!("no handler waits"),
    }
}

/// The path of a `User` pattern with characters in another form, replaced, or put into it.
fn variant(random: &mut Random) -> String {
    let (_, path) = USER[random.below(USER.len())];
    // Half of the variants differ in about one character, the others in many.
    let rate = [6, 30][random.below(2)];
    let inserted = random.below(path.len() * 2);
    let mut variant = String::from("/");
    for (at, character) in path.char_indices().skip(1) {
        if at == inserted {
            variant.push_str(INSERTED[random.below(INSERTED.len())]);
        }
        if random.below(rate) == 0 {
            change(character, random, &mut variant);
        } else {
            match character {
                'é' => variant.push_str("%C3%A9"),
                ' ' => variant.push_str("%20"),
                _ => variant.push(character),
            }
        }
    }
    variant
}

fn change(character: char, random: &mut Random, path: &mut String) {
    let form = random.below(6);
    let random_byte = u8::try_from(random.below(256)).expect("a byte");
    for byte in character.to_string().bytes() {
        match form {
            0 => write!(path, "%{byte:02X}"),
            1 => write!(path, "%{byte:02x}"),
            2 => write!(path, "%25{byte:02X}"),
            3 => write!(path, "%{random_byte:02X}"),
            4 => path.write_char(char::from(b'!' + random_byte % 94)),
            _ => return path.push(character),
        }
        .expect("a string");
    }
}

/// How servers, proxies and handlers read `path`: decoded once or twice, strictly or leniently.
fn readings(path: &str) -> [String; 4] {
    let once = decoded(path);
    let twice = decoded(&once);
    [lenient(&once), lenient(&twice), once, twice]
}

/// Without the escapes; overlong forms of `/` and `.` count as these.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = (*first == b'%').then(|| path_byte(after)).flatten();
        bytes.push(escaped.unwrap_or(*first));
        rest = &after[if escaped.is_some() { 2 } else { 0 }..];
        match bytes[..] {
            [.., 0xC0, 0xAF] => bytes.splice(bytes.len() - 2.., [b'/']).for_each(drop),
            [.., 0xC0, 0xAE] => bytes.splice(bytes.len() - 2.., [b'.']).for_each(drop),
            _ => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn path_byte(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits.get(..2)?).ok()?;
    u8::from_str_radix(digits, 16).ok()
}

/// Cut at a NUL, backslashes as slashes, without parameters (`;x`), empty segments and dots.
fn lenient(path: &str) -> String {
    let path = path.split('\0').next().unwrap_or_default().replace('\\', "/");
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

fn is_user(path: &str) -> bool {
    USER.iter().any(|(pattern, _)| matches(&decoded(pattern), path))
}

fn matches(pattern: &str, path: &str) -> bool {
    match (pattern.split_once('/'), path.split_once('/')) {
        _ if pattern.starts_with("{*") => !path.is_empty(),
        (Some((pattern, below)), Some((segment, rest))) => {
            matches_segment(pattern, segment) && matches(below, rest)
        }
        (None, None) => matches_segment(pattern, path),
        _ => false,
    }
}

fn matches_segment(pattern: &str, segment: &str) -> bool {
    pattern == segment || (pattern.starts_with('{') && !segment.is_empty())
}

/// `SplitMix64`, so that a failure repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).expect("below a usize")
    }
}
