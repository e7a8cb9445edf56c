//! The paths by which a file names other parts of its crate.

use super::tokens::Token;

/// A path into this crate, from its root.
pub(crate) struct Import<'a> {
    pub(crate) line: usize,
    pub(crate) target: Vec<&'a str>,
    /// The name that a `use` gives to the target in its module.
    pub(crate) name: Option<&'a str>,
    /// Whether the `use` has a visibility: it offers the target to others.
    pub(crate) is_reexport: bool,
}

/// Every import of the file that holds the module `file`.
pub(crate) fn imports<'a>(file: &[&'a str], tokens: &[Token<'a>]) -> Vec<Import<'a>> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut found = Vec::new();
    let mut module = file.to_vec();
    let mut braces_of_modules = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match text(at) {
            "{" => {
                let of_module = at > 1 && text(at - 2) == "mod";
                if of_module {
                    module.push(text(at - 1));
                }
                braces_of_modules.push(of_module);
            }
            "}" if braces_of_modules.pop() == Some(true) => {
                module.pop();
            }
            "crate" | "self" | "super" if matches!(text(at + 1), "::" | "as") => {
                let names_a_visibility = at > 1 && text(at - 2) == "(" && text(at - 1) == "in";
                if !names_a_visibility {
                    let is_use = at > 0 && text(at - 1) == "use";
                    let is_reexport = is_use && at > 1 && matches!(text(at - 2), "pub" | ")");
                    let from = found.len();
                    at = use_tree(tokens, at, &module, &mut found);
                    for import in &mut found[from..] {
                        import.is_reexport = is_reexport;
                        import.name = import.name.filter(|_| is_use && module == file);
                    }
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads the path or use tree that begins at `at`, relative to `module`; returns where it ends.
fn use_tree<'a>(
    tokens: &[Token<'a>],
    mut at: usize,
    module: &[&'a str],
    found: &mut Vec<Import<'a>>,
) -> usize {
    let mut target = module.to_vec();
    while let Some(&Token { text, line }) = tokens.get(at) {
        at += 1;
        match text {
            "crate" => target.clear(),
            "self" => {}
            "super" => {
                target.pop();
            }
            "{" => {
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    let is_comma = tokens[at].text == ",";
                    at = if is_comma { at + 1 } else { use_tree(tokens, at, &target, found) };
                }
                return at + 1;
            }
            name => target.push(name),
        }
        match tokens.get(at).map(|token| token.text) {
            Some("::") => at += 1,
            end => {
                let is_renamed = end == Some("as");
                let name = if is_renamed {
                    tokens.get(at + 1).map(|token| token.text)
                } else {
                    target.last().copied()
                };
                found.push(Import { line, target, name, is_reexport: false });
                return if is_renamed { at + 2 } else { at };
            }
        }
    }
    at
}
