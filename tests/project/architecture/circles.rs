//! Circles among the files of one crate.
//!
//! A file points to the file that defines what it names: re-exports are followed, and a re-export
//! alone points nowhere. `mod child;` is no arrow either. Two kinds of circle are allowed:
//!
//! - A module uses its children and they use it: a child is a part of its parent.
//! - `layer.rs` and `service.rs` of one folder: tower's `Layer` names its `Service`, which keeps
//!   the layer's settings. They count as one file.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    imports::imports,
    tokens::{Token, shipped, tokens},
};

/// A crate: the path and the text of each file by the module that it holds, `a::b` as `[a, b]`.
pub(crate) type Crate = BTreeMap<Vec<String>, (String, String)>;

type Module<'a> = Vec<&'a str>;

/// What one file names, by the names that its `use` declarations give.
struct File<'a> {
    path: &'a str,
    uses: BTreeMap<&'a str, Module<'a>>,
    /// Everything that the file's own code names.
    targets: Vec<Module<'a>>,
}

/// The arrows that are part of a circle: `from -> to`.
pub(crate) fn circles(files: &Crate) -> BTreeSet<String> {
    let found: BTreeSet<(String, String)> = arrows(files)
        .into_iter()
        .filter(|(from, to)| !is_parent(to, from))
        .map(|(from, to)| (layer_with_service(from), layer_with_service(to)))
        .filter(|(from, to)| from != to)
        .collect();
    let arrows = found.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    found
        .iter()
        .filter(|(from, to)| leads(&arrows, to, from))
        .map(|(from, to)| format!("{from} -> {to}"))
        .collect()
}

/// Whether the module of the file `parent` contains that of `child`.
fn is_parent(parent: &str, child: &str) -> bool {
    let folder = parent.strip_suffix("mod.rs").or_else(|| parent.strip_suffix("main.rs"));
    let folder = folder.map(str::to_owned);
    let folder = folder.unwrap_or_else(|| format!("{}/", parent.trim_end_matches(".rs")));
    child.starts_with(&folder)
}

fn layer_with_service(path: &str) -> String {
    match path.strip_suffix("/layer.rs").or_else(|| path.strip_suffix("/service.rs")) {
        Some(folder) => format!("{folder}/{{layer,service}}.rs"),
        None => path.to_owned(),
    }
}

/// The arrows from one file to another.
pub(crate) fn arrows(files: &Crate) -> BTreeSet<(&str, &str)> {
    let parsed: BTreeMap<Module<'_>, File<'_>> = files
        .iter()
        .map(|(module, (path, text))| {
            let module: Module<'_> = module.iter().map(String::as_str).collect();
            let file = parse(&module, path, text, files);
            (module, file)
        })
        .collect();
    let mut arrows = BTreeSet::new();
    for file in parsed.values() {
        for target in &file.targets {
            if let Some(to) = definition(&parsed, target, 0).filter(|to| *to != file.path) {
                arrows.insert((file.path, to));
            }
        }
    }
    arrows
}

fn parse<'a>(module: &[&'a str], path: &'a str, text: &'a str, files: &Crate) -> File<'a> {
    let tokens = shipped(&tokens(text));
    let mut file = File { path, uses: BTreeMap::new(), targets: Vec::new() };
    for import in imports(module, &tokens) {
        let is_named_again = import
            .name
            .is_some_and(|name| tokens.iter().filter(|token| token.text == name).count() > 1);
        if !import.is_reexport || is_named_again {
            file.targets.push(import.target.clone());
        }
        if let Some(name) = import.name {
            file.uses.insert(name, import.target);
        }
    }
    let mut is_use = false;
    for (at, pair) in tokens.windows(2).enumerate() {
        is_use = pair[0].text == "use" || is_use && pair[0].text != ";";
        let [Token { text: child, .. }, Token { text: "::", .. }] = pair else { continue };
        let is_first = !is_use && (at == 0 || !matches!(tokens[at - 1].text, "::" | "."));
        let target: Vec<&str> = module.iter().copied().chain([*child]).collect();
        if is_first && files.keys().any(|known| *known == target) {
            // The path from the child on: what a re-export of the child leads to, counts.
            let rest = tokens[at + 1..].chunks(2).map_while(|step| match step {
                [Token { text: "::", .. }, Token { text, .. }] => Some(*text),
                _ => None,
            });
            file.targets.push(target.into_iter().chain(rest).collect());
        }
    }
    file
}

/// The path of the file that defines `target`.
fn definition<'a>(
    files: &BTreeMap<Module<'a>, File<'a>>,
    target: &[&'a str],
    depth: usize,
) -> Option<&'a str> {
    assert!(depth < 32, "re-exports of {target:?} lead nowhere");
    let mut module = Vec::new();
    for (at, step) in target.iter().enumerate() {
        module.push(*step);
        if !files.contains_key(&module) {
            module.pop();
            let file = files.get(&module)?;
            let Some(used) = file.uses.get(step).filter(|used| **used != target[..=at]) else {
                return Some(file.path);
            };
            let rest: Vec<&str> = used.iter().chain(&target[at + 1..]).copied().collect();
            return definition(files, &rest, depth + 1);
        }
    }
    files.get(&module).map(|file| file.path)
}

/// Whether a way of arrows leads from the one file to the other.
fn leads(arrows: &BTreeSet<(&str, &str)>, from: &str, to: &str) -> bool {
    let mut reached = BTreeSet::from([from]);
    let mut pending = vec![from];
    while let Some(at) = pending.pop() {
        let next = arrows.iter().filter(|(a, _)| *a == at).map(|(_, b)| *b);
        pending.extend(next.filter(|b| reached.insert(b)));
    }
    reached.contains(to)
}
