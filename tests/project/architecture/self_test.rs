//! Tests of the checks: what they refuse, and what they accept.

use super::{MAX_LINES, clock_faults, import_faults, length_faults, map_faults, sources::Tree};

const MODULES: &[&str] =
    &["router", "sessions", "lifecycle", "session", "body", "token", "store", "clock", "rules"];

/// The faults of `files` in an otherwise empty crate.
fn faults(files: &[(&str, &str)]) -> Vec<String> {
    let mut tree: Tree = MODULES.iter().map(|name| (format!("{name}.rs"), String::new())).collect();
    for layer in ["classify", "renew"] {
        tree.insert(format!("layers/{layer}/mod.rs"), String::new());
    }
    tree.extend(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
    import_faults(&tree)
}

#[test]
fn forbidden_arrows_are_named_with_file_and_line() {
    let cases = [
        // Upwards, however the path is written.
        ("clock.rs", "\nuse crate::body::A;", "clock.rs:2: clock -> body::A leads upwa"),
        ("rules/time.rs", "use crate::{\nrules::{A, B},\nstore::{C}};", ":3: rules::time -> s"),
        ("store.rs", "fn f() { g(crate::layers::renew::X) }", "layers::renew::X leads upwards"),
        ("store/key.rs", "use super::super::sessions::X;", "store::key -> sessions::X leads up"),
        ("store.rs", "use super::lifecycle;", "store -> lifecycle leads upwards"),
        (
            "store/key.rs",
            "use super::{StoreKey, super::sessions as s, K};",
            "sessions leads upwards",
        ),
        ("store.rs", "mod a { mod b {} use super::super::sessions::X; }", "sessions::X leads upwa"),
        ("store.rs", "macro_rules! m { () => { $crate::sessions::X } }", "sessions::X leads upw"),
        ("store.rs", "#[cfg(not(test))] use crate::sessions;", "store -> sessions leads upwards"),
        ("layers/mod.rs", "pub use crate::sessions::X;", "layers -> sessions::X leads upwards"),
        ("sessions.rs", "use crate::router::X;", "sessions -> router::X leads upwards"),
        // Test code ends where it ends.
        ("rules.rs", "#[cfg(test)] mod tests { fn f() {} }\nuse crate::store::A;", "rules.rs:2:"),
        ("rules.rs", "#[cfg(test)] use std::{a, b};\nuse crate::store::A;", "rules.rs:2:"),
        ("rules.rs", "#[cfg(test)] mod tests;\nuse crate::store::A;", "rules.rs:2:"),
        // Text ends where it ends.
        ("rules.rs", "/* /* a */ */ use crate::store::A;", "rules.rs:1:"),
        ("rules.rs", "const A: &str = r#\"\\\"#;\nuse crate::store::A;", "rules.rs:2:"),
        ("rules.rs", "const A: char = '\"'; const B: u8 = b'\\'';\nuse crate::store::A;", "rs:2:"),
        ("rules.rs", "fn f<'a>(_: &'a str) { '\\u{41}'; \"\n\" }\nuse crate::store::A;", "rs:3:"),
        // Between layers.
        ("layers/renew/mod.rs", "use crate::layers::classify::X;", "one of layers to another"),
        ("layers/renew/mod.rs", "use super::classify;", "layers::renew -> layers::classify lead"),
        ("layers/renew/future.rs", "use super::super::classify::X;", "one of layers to another"),
        ("layers/renew/mod.rs", "use super::ClassifyLayer;", "one of layers to another"),
        ("layers/renew.rs", "use super::*;", "one of layers to another"),
        // Through lib.rs.
        ("layers/renew/mod.rs", "use crate::Session;", "-> Session goes through lib.rs"),
        ("body.rs", "use crate::{clock::Clock, Session};", "body -> Session goes through lib.rs"),
        ("body.rs", "use crate::*;", "body -> * goes through lib.rs"),
        ("body.rs", "use crate as root;", "goes through lib.rs"),
        ("body.rs", "use crate::{self as root};", "goes through lib.rs"),
        ("body.rs", "use super::Session;", "body -> Session goes through lib.rs"),
    ];
    for (path, text, expected) in cases {
        let faults = faults(&[(path, text)]);
        assert_eq!(faults.len(), 1, "{path} `{text}`: {faults:?}");
        assert!(faults[0].contains(expected), "{path} `{text}`: {faults:?}");
        assert!(faults[0].starts_with("src/"), "{faults:?}");
    }
}

#[test]
fn every_arrow_of_a_cycle_is_named() {
    let faults = faults(&[
        ("token.rs", "use crate::store::A;"),
        ("store/inner.rs", "\nuse crate::token::A;"),
        ("store/mod.rs", "use crate::clock::Clock;"),
        ("session.rs", "use crate::body::A;"),
    ]);
    assert_eq!(
        faults,
        [
            "src/store/inner.rs:2: store::inner -> token::A is part of a cycle",
            "src/token.rs:1: token -> store::A is part of a cycle",
        ]
    );
}

#[test]
fn layers_and_lifecycle_form_no_cycle_either() {
    let faults = faults(&[
        ("lifecycle.rs", "use crate::layers::renew::A;"),
        ("layers/classify/mod.rs", "use crate::lifecycle::A;"),
    ]);
    assert_eq!(faults.len(), 2, "{faults:?}");
}

#[test]
fn everything_else_passes() {
    let faults = faults(&[
        ("lib.rs", "pub use self::{clock::Clock, rules::Timestamp}; use crate::sessions::X;"),
        ("router.rs", "use crate::{layers::{classify::X, renew}, rules, sessions::{self, Y}};"),
        ("layers/mod.rs", "pub mod renew; pub use self::renew::RenewLayer;"),
        (
            "layers/renew/mod.rs",
            "mod future; use self::future::F; use crate::store::{StoreKey, K};",
        ),
        ("layers/renew/future.rs", "use super::Renew; use crate::layers::renew::Renew;"),
        ("session.rs", "use crate::clock::Clock; pub(in crate::session) fn f(self) { self.x }"),
        ("body.rs", "use crate::rules::A; pub(crate) fn f() { std::f(super::clock::g()) }"),
        (
            "store.rs",
            "//! [`crate::sessions`]\n/* crate::sessions */ const A: &str = \"crate::x\";",
        ),
        (
            "store/key.rs",
            "#[cfg(test)]\n#[allow(x)]\nmod tests { use crate::sessions::X; fn f() {} }",
        ),
        ("store/a.rs", "#[cfg(all(test, feature = \"x\"))] use crate::sessions::X;"),
        ("store/b.rs", "#![cfg(test)] use crate::sessions::X;"),
        ("store/tests.rs", "use crate::sessions::X;"),
        ("store/tests/more.rs", "use crate::Session;"),
        ("token.rs", "mod a { pub fn f() {} mod b { use super::f; } } use self::a::f as g;"),
    ]);
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn an_unlisted_module_is_found() {
    let tree: Tree = ["lib.rs", "utils/mod.rs", "utils/a.rs", "common.rs", "clock.rs"]
        .map(|path| (path.to_owned(), String::new()))
        .into();
    let expected = ["src/common: not on the module map", "src/utils: not on the module map"];
    assert_eq!(map_faults(&tree), expected);
}

#[test]
fn a_clock_reading_is_found() {
    let reading = "// Instant::now()\n#[cfg(test)] mod tests {\nfn f() { a::Instant::now(); } }";
    let tree: Tree =
        ["clock.rs", "store/key.rs"].map(|p| (p.to_owned(), reading.to_owned())).into();
    assert_eq!(clock_faults(&tree), ["src/store/key.rs:3: Instant::now"]);
    let tree: Tree = [("a.rs".to_owned(), "let f = SystemTime\n::now;".to_owned())].into();
    assert_eq!(clock_faults(&tree), ["src/a.rs:1: SystemTime::now"]);
}

#[test]
fn a_long_file_is_found() {
    let file = |name: &str, lines: usize| (name.to_owned(), "\n".repeat(lines));
    let tree: Tree = [file("long.rs", MAX_LINES + 1), file("short.rs", MAX_LINES)].into();
    assert_eq!(length_faults(&tree), ["src/long.rs: 401 lines, more than 400"]);
}
