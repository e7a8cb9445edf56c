//! Holds the project's pages to the code: every file they name exists, every example is listed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The texts between single backticks on one line.
fn code_spans(page: &str) -> impl Iterator<Item = &str> {
    page.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Whether `span` names a file or folder of this repository.
fn is_path(span: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    let ends_in_a_name = [".rs", ".md", ".toml"].iter().any(|ending| span.ends_with(ending));
    span.bytes().all(is_plain) && !span.contains("..") && (span.contains('/') || ends_in_a_name)
}

/// Every file below `folder`, without build output.
fn files(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the entry is readable").path();
        if !path.is_dir() {
            found.insert(path);
        } else if !path.ends_with("target") && !path.ends_with(".git") {
            files(&path, found);
        }
    }
}

#[test]
fn every_file_that_contributing_and_security_name_exists() {
    let mut tree = BTreeSet::new();
    files(root(), &mut tree);
    let exists = |span: &str| {
        let below = |folder: &str| root().join(folder).join(span).exists();
        if span.contains('/') {
            below("") || below("src") || below("tests")
        } else {
            tree.iter().any(|path| path.ends_with(span))
        }
    };
    for name in ["CONTRIBUTING.md", "SECURITY.md"] {
        let page = fs::read_to_string(root().join(".github").join(name)).expect("the page exists");
        let missing: Vec<_> =
            code_spans(&page).filter(|span| is_path(span) && !exists(span)).collect();
        assert!(missing.is_empty(), "{name} names what does not exist: {missing:?}");
    }
}

#[test]
fn every_example_is_listed() {
    let folder = root().join("examples");
    let page = fs::read_to_string(folder.join("README.md")).expect("the page exists");
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the entry is readable").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_stem().expect("the file has a name").to_string_lossy();
            let command = format!("cargo run --example {name}");
            assert!(page.contains(&command), "examples/README.md: {name} is missing");
        }
    }
}

#[test]
fn a_path_is_told_from_other_code() {
    for path in ["src/layers", "store/sql/sync.rs", "service.rs", "CHANGELOG.md", "tests/run"] {
        assert!(is_path(path), "{path}");
    }
    for other in ["rules::status", "from_..", "p04_..", "use crate::", "RequestClass"] {
        assert!(!is_path(other), "{other}");
    }
}
