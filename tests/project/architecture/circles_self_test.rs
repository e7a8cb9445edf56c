//! Tests of the check of circles: what it finds, and what it accepts.

use super::circles::{Crate, arrows, circles};

fn files(files: &[(&str, &str)]) -> Crate {
    let module = |path: &str| {
        let path = path.trim_end_matches(".rs");
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.split('/').filter(|part| *part != "main").map(str::to_owned).collect()
    };
    files
        .iter()
        .map(|(path, text)| (module(path), ((*path).to_owned(), (*text).to_owned())))
        .collect()
}

fn shown(found: &[(&str, &str)]) -> Vec<String> {
    arrows(&files(found)).iter().map(|(from, to)| format!("{from} -> {to}")).collect()
}

#[test]
fn every_arrow_of_a_circle_among_files_is_named() {
    let crate_files = files(&[
        ("a/mod.rs", "mod b; mod c; mod d;"),
        ("a/b.rs", "use super::c::C;"),
        ("a/c.rs", "use crate::a::{b::B, d::D};"),
        ("a/d.rs", ""),
    ]);
    assert_eq!(Vec::from_iter(circles(&crate_files)), ["a/b.rs -> a/c.rs", "a/c.rs -> a/b.rs"]);
}

#[test]
fn a_parent_and_its_child_may_use_each_other() {
    for parent in [
        "mod b; use self::b::B; struct A(B);",
        "mod b; pub use self::b::B; struct A(B);",
        "mod b; struct A(b::B);",
        "mod b; struct A(crate::a::b::B);",
    ] {
        let tree = [("a/mod.rs", parent), ("a/b.rs", "use super::A;")];
        assert_eq!(shown(&tree), ["a/b.rs -> a/mod.rs", "a/mod.rs -> a/b.rs"], "{parent}");
        assert!(circles(&files(&tree)).is_empty(), "{parent}");
    }
}

#[test]
fn a_layer_and_its_service_count_as_one_file() {
    let layer = ("a/layer.rs", "use super::service::S; use super::check::C;");
    let service = ("a/service.rs", "use super::layer::L;");
    let alone = [("a/mod.rs", ""), layer, service, ("a/check.rs", "")];
    assert!(circles(&files(&alone)).is_empty());
    let checked = [("a/mod.rs", ""), layer, service, ("a/check.rs", "use super::layer::L;")];
    assert_eq!(
        Vec::from_iter(circles(&files(&checked))),
        ["a/check.rs -> a/{layer,service}.rs", "a/{layer,service}.rs -> a/check.rs"]
    );
}

#[test]
fn a_reexport_points_to_the_file_that_defines_the_item() {
    let parent = ("a/mod.rs", "mod b; mod c; pub use self::{b::B, c::C as D};");
    assert_eq!(shown(&[parent, ("a/b.rs", ""), ("a/c.rs", "use super::B;")]), ["a/c.rs -> a/b.rs"]);
    assert_eq!(
        shown(&[parent, ("a/b.rs", "use crate::a::D;"), ("a/c.rs", "")]),
        ["a/b.rs -> a/c.rs"]
    );
    assert_eq!(
        shown(&[parent, ("a/b.rs", "fn f() { super::D::new() }"), ("a/c.rs", "")]),
        ["a/b.rs -> a/c.rs"]
    );
}

#[test]
fn declarations_reexports_and_tests_are_no_arrows() {
    let found = shown(&[
        ("main.rs", "mod a; pub use self::a::B;"),
        ("a/mod.rs", "mod b; pub use self::b::B;\n#[cfg(test)] mod tests { use super::b::C; }"),
        ("a/b.rs", "//! [`crate::a`]\n#[cfg(test)] mod tests { use crate::a::A; }"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}
