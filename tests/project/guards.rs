//! `tests/PITFALLS.md` and `.cargo/mutants.toml` name guards and tests that exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

const PITFALLS: &str = include_str!("../PITFALLS.md");
const MUTANTS: &str = include_str!("../../.cargo/mutants.toml");

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of `src`.
fn source(path: &str) -> Result<String, String> {
    fs::read_to_string(repository().join("src").join(path))
        .map_err(|_| format!("src/{path} does not exist"))
}

/// Whether `text` defines the function `name`, which may be `Type::function`.
fn defines(text: &str, name: &str) -> bool {
    let (owner, function) = name.rsplit_once("::").unwrap_or(("", name));
    let is_defined = ["(", "<"].iter().any(|end| text.contains(&format!("fn {function}{end}")));
    let of_owner = |line: &str| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        line.starts_with("impl") && words.any(|word| word == owner)
    };
    is_defined && (owner.is_empty() || text.lines().any(of_owner))
}

fn missing(path: &str, names: &[&str]) -> Vec<String> {
    match source(path) {
        Ok(text) => names
            .iter()
            .filter(|name| !defines(&text, name))
            .map(|name| format!("src/{path} has no `fn {name}`"))
            .collect(),
        Err(problem) => vec![problem],
    }
}

/// The cells of the table's rows, by number.
fn rows() -> BTreeMap<u32, [&'static str; 3]> {
    let cells = |row: &'static str| row.split('|').map(str::trim).collect::<Vec<_>>();
    PITFALLS
        .lines()
        .filter(|line| line.starts_with("| P"))
        .map(|line| match cells(line)[..] {
            ["", number, pitfall, guard, tests, ""] => {
                (number[1..].parse().expect("a number"), [pitfall, guard, tests])
            }
            _ => panic!("not four cells: {line}"),
        })
        .collect()
}

/// The texts between backticks.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_guard_of_a_pitfall_exists() {
    let mut faults = Vec::new();
    for (number, [_, guard, _]) in rows() {
        for group in guard.split(';').map(code).filter(|group| !group.is_empty()) {
            let [path, names @ ..] = &group[..] else { unreachable!("not empty") };
            faults.extend(missing(path, names).iter().map(|fault| format!("P{number}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The files with tests of each pitfall, as the table names them: below `tests`, or with `src`.
fn files_with_tests() -> BTreeMap<u32, BTreeSet<String>> {
    let mut found: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for folder in ["src", "tests"] {
        let mut pending = vec![repository().join(folder)];
        while let Some(path) = pending.pop() {
            if path.is_dir() {
                let entries = fs::read_dir(&path).expect("a readable folder");
                pending.extend(entries.map(|entry| entry.expect("a readable entry").path()));
                continue;
            }
            let Some(name) = path.to_str().and_then(|path| path.strip_suffix(".rs")) else {
                continue;
            };
            let text = fs::read_to_string(&path).expect("a readable file");
            let root = repository().join(if folder == "src" { "" } else { folder });
            let name = Path::new(name).strip_prefix(root).expect("below its folder");
            let name = name.to_str().expect("UTF-8");
            for number in text.split("fn p").skip(1).flat_map(pitfalls_of_name) {
                found.entry(number).or_default().insert(name.to_owned());
            }
        }
    }
    found
}

/// The numbers at the start of a test's name, whose `p` is already cut off: `16_p23_a_store ..`.
fn pitfalls_of_name(name: &str) -> Vec<u32> {
    let name = name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    let mut parts = name.split('_');
    let Some(first) = parts.next().and_then(|digits| digits.parse().ok()) else {
        return Vec::new();
    };
    let rest = parts.map_while(|part| part.strip_prefix('p')?.parse().ok());
    [first].into_iter().chain(rest).collect()
}

#[test]
fn the_table_lists_exactly_the_files_with_tests_of_each_pitfall() {
    let found = files_with_tests();
    let rows = rows();
    let mut faults = Vec::new();
    for (number, files) in &found {
        let expected = files.iter().cloned().collect::<Vec<_>>().join(", ");
        let [_, _, listed] = rows.get(number).copied().unwrap_or_default();
        let listed: BTreeSet<String> = listed.split(", ").map(str::to_owned).collect();
        if listed != *files {
            faults.push(format!("P{number}: {expected}"));
        }
    }
    for (number, [_, guard, tests]) in &rows {
        let is_later = guard.is_empty() && *tests == "later issue";
        if !found.contains_key(number) && !is_later {
            faults.push(format!("P{number} has no test"));
        }
    }
    assert!(faults.is_empty(), "the last cells should be\n{}\n", faults.join("\n"));
}

/// The quoted strings of a list in `.cargo/mutants.toml`.
fn list(name: &str) -> Vec<&'static str> {
    let (_, list) = MUTANTS.split_once(&format!("{name} = [")).expect("the list exists");
    let (list, _) = list.split_once("\n]").or_else(|| list.split_once(']')).expect("it ends");
    let quoted = list.lines().filter(|line| !line.trim_start().starts_with('#'));
    quoted
        .flat_map(|line| line.split(['\'', '"']).skip(1).step_by(2))
        .filter(|text| !text.is_empty())
        .collect()
}

/// An expression such as `^src/time\.rs:.*\b(now|Timestamp::from_secs)\b`: its file and functions.
fn named(expression: &'static str) -> Option<(String, Vec<&'static str>)> {
    let (path, rest) = expression.strip_prefix("^src/")?.split_once(':')?;
    let names = rest.strip_prefix(r".*\b").map_or("", |names| names.trim_end_matches(r"\b"));
    let names = names.trim_start_matches('(').trim_end_matches(')');
    let names = names.split('|').filter(|name| !name.is_empty());
    Some((path.replace(r"\.", "."), names.collect()))
}

#[test]
fn every_function_that_is_mutated_exists() {
    let mut faults = Vec::new();
    for expression in list("examine_re") {
        match named(expression) {
            Some((path, names)) => faults.extend(missing(&path, &names)),
            None => assert_eq!(expression, "fmt::Debug for", "an expression of another form"),
        }
    }
    for path in list("exclude_globs") {
        faults.extend(missing(path.strip_prefix("src/").expect("below src"), &[]));
    }
    for argument in list("additional_cargo_args") {
        if let Some(test) = argument.strip_prefix("--test=") {
            let main = repository().join("tests").join(test).join("main.rs");
            assert!(main.is_file(), "{argument}");
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_name_is_found_where_it_is_defined_only() {
    let text =
        "impl<'a> Parts<'a> {\n    fn new(json: &str) -> Self {} }\nfn read<T>() { other() }";
    for (name, expected) in [
        ("read", true),
        ("new", true),
        ("Parts::new", true),
        ("Header::new", false),
        ("other", false),
        ("ne", false),
    ] {
        assert_eq!(defines(text, name), expected, "{name}");
    }
    assert_eq!(pitfalls_of_name("16_p23_a_store_fails("), [16, 23]);
    assert!(pitfalls_of_name("ayload(x)").is_empty());
}
