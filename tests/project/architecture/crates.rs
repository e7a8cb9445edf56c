//! The crates of this repository: the library, and each test, bench and example.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    circles::Crate,
    sources::{module_of, read_sources},
};

/// The library without its tests.
pub(crate) fn library() -> Crate {
    let sources = read_sources("src").into_iter();
    let shipped = sources
        .filter(|(path, _)| !path.split('/').any(|part| part == "tests.rs" || part == "tests"));
    shipped
        .map(|(path, text)| {
            let module = module_of(&path).into_iter().map(str::to_owned).collect();
            (module, (format!("src/{path}"), text))
        })
        .collect()
}

/// The files of one top-level module of a crate.
pub(crate) fn top_level_module(of: &Crate, name: &str) -> Crate {
    let inside = of.iter().filter(|(module, _)| module.first().is_some_and(|first| first == name));
    inside.map(|(module, file)| (module.clone(), file.clone())).collect()
}

/// Every test, bench and example.
pub(crate) fn others() -> Vec<Crate> {
    let mut roots = Vec::new();
    for folder in ["tests", "benches", "benches/peers/src/bin", "examples"] {
        for entry in fs::read_dir(repository().join(folder)).expect("the folder exists") {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            let is_file = Path::new(&name).extension().is_some_and(|extension| extension == "rs");
            let root = if is_file { name } else { format!("{name}/main.rs") };
            roots.push(format!("{folder}/{root}"));
        }
    }
    roots.push("benches/peers/src/main.rs".to_owned());
    roots.retain(|root| repository().join(root).is_file());
    assert!(roots.len() > 15, "{roots:?}");
    roots.iter().map(|root| load(root)).collect()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The crate with this root file, and the files of its `mod` declarations.
fn load(root: &str) -> Crate {
    let mut files = Crate::new();
    let mut pending = vec![(Vec::new(), PathBuf::from(root))];
    while let Some((module, path)) = pending.pop() {
        let text = fs::read_to_string(repository().join(&path)).expect("a module's file exists");
        let parent = path.parent().expect("a file in a folder");
        // A root and a `mod.rs` have their children beside them.
        let owns_folder = module.is_empty() || path.ends_with("mod.rs");
        let children = if owns_folder { parent.to_owned() } else { path.with_extension("") };
        for (name, attribute) in declared_modules(&text) {
            let file = match attribute {
                Some(path) => parent.join(path),
                None => [format!("{name}.rs"), format!("{name}/mod.rs")]
                    .map(|file| children.join(file))
                    .into_iter()
                    .find(|file| repository().join(file).is_file())
                    .unwrap_or_else(|| panic!("{}: no file of `{name}`", path.display())),
            };
            let child = module.iter().cloned().chain([name.to_owned()]).collect();
            pending.push((child, file));
        }
        files.insert(module, (normal(&path), text));
    }
    files
}

/// The modules that a file declares at its left margin, with their `#[path]`.
fn declared_modules(text: &str) -> Vec<(&str, Option<&str>)> {
    let mut path = None;
    let mut found = Vec::new();
    for line in text.lines() {
        let item = ["pub ", "pub(crate) "].iter().find_map(|public| line.strip_prefix(public));
        let item = item.unwrap_or(line);
        if let Some(attribute) = line.strip_prefix("#[path = \"") {
            path = attribute.strip_suffix("\"]");
        } else if let Some(name) = item.strip_prefix("mod ").and_then(|m| m.strip_suffix(';')) {
            found.push((name, path.take()));
        }
    }
    found
}

/// `path` without `..`.
fn normal(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part.as_os_str().to_string_lossy().as_ref() {
            ".." => drop(parts.pop()),
            part => parts.push(part.to_owned()),
        }
    }
    parts.join("/")
}
