//! The source files of a folder.

use std::{collections::BTreeMap, fs, path::Path};

/// Source texts by their path below a folder.
pub(crate) type Tree = BTreeMap<String, String>;

/// Every Rust file of a folder of this repository.
pub(crate) fn read_sources(folder: &str) -> Tree {
    let mut tree = Tree::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), "", &mut tree);
    tree
}

fn read(folder: &Path, prefix: &str, tree: &mut Tree) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let entry = entry.expect("a readable entry");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            read(&entry.path(), &format!("{name}/"), tree);
        } else if Path::new(&name).extension().is_some_and(|extension| extension == "rs") {
            tree.insert(name, fs::read_to_string(entry.path()).expect("a readable file"));
        }
    }
}

/// The module a file holds: `a/b.rs` and `a/b/mod.rs` are both `a::b`; `lib.rs` is the empty path.
pub(crate) fn module_of(path: &str) -> Vec<&str> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" { Vec::new() } else { path.split('/').collect() }
}
