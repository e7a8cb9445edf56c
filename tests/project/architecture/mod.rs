//! The rules of the code layout: the direction of imports, no circles, one clock, short files.
//!
//! Imports are read from the text, not from the compiler: every path that begins with `crate`,
//! `self` or `super`, outside comments, strings and test code.

use std::collections::{BTreeMap, BTreeSet};

mod circles;
mod circles_self_test;
mod crates;
mod imports;
mod self_test;
mod sources;
mod tokens;

use self::{
    circles::{Crate, arrows, circles},
    crates::{library, others, top_level_module},
    imports::{Import, imports},
    sources::{Tree, module_of, read_sources},
    tokens::{shipped, texts, tokens},
};

/// The module map, top-down. A module imports from lower tiers, and from its own without circles.
const TIERS: &[&[&str]] = &[
    &["extract", "router", "client", "guide"],
    &["sessions"],
    &["lifecycle", "layers"],
    &["session"],
    &["store", "token"],
    &["audit", "rejection", "request_class", "transport", "body"],
    &["rules", "policy", "identity", "maybe_ready", "ready_service", "clock"],
    &["time", "metrics", "jitter"],
];

/// The module whose children never import each other.
const ISLANDS: &str = "layers";

const MAX_LINES: usize = 400;

#[test]
fn imports_run_only_downwards() {
    assert_none(&import_faults(&crate_sources()));
}

#[test]
fn files_of_a_module_form_no_circle() {
    let library = library();
    let names: BTreeSet<&str> =
        library.keys().filter_map(|module| module.first()).map(String::as_str).collect();
    assert_none(
        &names
            .iter()
            .flat_map(|name| circles(&top_level_module(&library, name)))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn tests_benches_and_examples_form_no_circle_and_import_no_root() {
    assert_none(&others().iter().flat_map(outer_crate_faults).collect::<Vec<_>>());
}

#[test]
fn every_module_is_on_the_module_map() {
    assert_none(&map_faults(&crate_sources()));
}

#[test]
fn only_the_clock_reads_the_clock() {
    assert_none(&clock_faults(&crate_sources()));
}

#[test]
fn every_file_is_short() {
    assert_none(&length_faults(&crate_sources()));
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn crate_sources() -> Tree {
    let tree = read_sources("src");
    assert!(tree.contains_key("lib.rs"), "src was not read");
    tree
}

fn map_faults(tree: &Tree) -> Vec<String> {
    let modules = tree.keys().filter_map(|path| module_of(path).first().copied());
    let unknown: BTreeSet<_> = modules.filter(|module| tier(module).is_none()).collect();
    unknown.iter().map(|module| format!("src/{module}: not on the module map")).collect()
}

fn length_faults(tree: &Tree) -> Vec<String> {
    tree.iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("src/{path}: {lines} lines, more than {MAX_LINES}"))
        .collect()
}

fn clock_faults(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| *path != "clock.rs") {
        for reading in tokens(text).windows(3) {
            let [of, "::", "now"] = texts(reading)[..] else { continue };
            if of == "SystemTime" || of == "Instant" {
                faults.push(format!("src/{path}:{}: {of}::now", reading[0].line));
            }
        }
    }
    faults
}

fn import_faults(tree: &Tree) -> Vec<String> {
    let exists: BTreeSet<_> =
        tree.keys().filter_map(|path| module_of(path).first().copied()).collect();
    let mut faults = Vec::new();
    // Arrows within a tier, and where each is drawn.
    let mut sideways: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for (path, text) in tree {
        let own = module_of(path);
        let Some(&from) = own.first() else { continue };
        if path.split('/').any(|part| part == "tests.rs" || part == "tests") {
            continue;
        }
        for Import { line, target, .. } in imports(&own, &shipped(&tokens(text))) {
            let arrow = format!("src/{path}:{line}: {} -> {}", own.join("::"), target.join("::"));
            let Some(&to) = target.first().filter(|module| exists.contains(*module)) else {
                faults.push(format!("{arrow} goes through lib.rs"));
                continue;
            };
            if from == to {
                let apart = own.len() > 1 && own.get(1) != target.get(1);
                if from == ISLANDS && apart {
                    faults.push(format!("{arrow} leads from one of {ISLANDS} to another"));
                }
            } else if tier(to) < tier(from) {
                faults.push(format!("{arrow} leads upwards"));
            } else if tier(to) == tier(from) {
                sideways.entry((from, to)).or_default().push(arrow);
            }
        }
    }
    for ((from, to), arrows) in &sideways {
        if reaches(&sideways.keys().copied().collect(), to, from) {
            faults.extend(arrows.iter().map(|arrow| format!("{arrow} is part of a cycle")));
        }
    }
    faults
}

/// The circles of a test, bench or example, and the arrows to its root file.
fn outer_crate_faults(files: &Crate) -> Vec<String> {
    let (root, _) = &files[&Vec::new()];
    let of_circles = circles(files).into_iter().map(|arrow| format!("{arrow} is part of a cycle"));
    let to_root = arrows(files).into_iter().filter(|(_, to)| to == root);
    let to_root = to_root.map(|(from, to)| format!("{from} -> {to} leads to the root"));
    of_circles.chain(to_root).collect()
}

/// Zero is the top.
fn tier(module: &str) -> Option<usize> {
    TIERS.iter().position(|tier| tier.contains(&module))
}

fn reaches(arrows: &BTreeSet<(&str, &str)>, from: &str, to: &str) -> bool {
    let mut reached = BTreeSet::from([from]);
    while !reached.contains(to) {
        let next = arrows.iter().find(|(a, b)| reached.contains(a) && !reached.contains(b));
        let Some((_, b)) = next else { return false };
        reached.insert(b);
    }
    true
}
