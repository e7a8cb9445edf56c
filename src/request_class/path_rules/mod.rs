//! The class of a request by its path.

mod methods;
mod pattern;
mod raw_path;
mod template;
#[cfg(test)]
mod tests;
mod tree;

use std::{error::Error, fmt};

use http::Method;

pub use self::pattern::{PathPattern, subtree};
use self::{methods::MethodSet, raw_path::is_unambiguous, template::Template, tree::Tree};
use super::{Classify, RequestClass, RequestHead};

/// The class of a request by its path and method: `Public`, `Background` or `User`.
///
/// Patterns have axum's syntax: `/documents/{id}`, `/static/{*path}`.
/// If several rules match the path and the method of a request, the most specific one applies. Two
/// rules are compared segment by segment from the left: literal text is more specific than `{x}`,
/// and `{x}` than `{*x}` or a [`subtree`]. The order of calls does not matter. A request that no
/// rule matches is `User`.
///
/// A rule matches the path as it was sent, and as the layer receives it: outside axum's `nest` the
/// whole path, inside it the rest. Nothing is decoded: the pattern for `/café` is `/caf%C3%A9`.
///
/// No rule matches a path that some servers, routers or handlers read as another one, so that such a
/// path is `User`: one with an empty, `.` or `..` segment; with an escaped letter, digit or other
/// character that may stand in a segment unescaped (RFC 3986 section 3.3, `pchar`); with an escaped
/// `/`, `\` or control character; with an escape that is invalid, that has lower-case digits, that
/// is not UTF-8, or that escapes an escape (`%2541`); with a `;`, or with any other character that
/// has to be escaped and is not. Browsers leave `|`, `[` and `]` unescaped. No rule matches a
/// trailing slash that no pattern contains, or that would change the class.
///
/// ```
/// use http::Method;
/// use tower_sliding_session::request_class::{PathPattern, PathRules, subtree};
///
/// let rules = PathRules::new()
///     .public("/login")
///     .public(subtree("/docs"))
///     .user("/docs/drafts/{id}")
///     .background(PathPattern::from("/inbox").method(Method::GET))
///     .compile()?;
/// # drop(rules);
/// # Ok::<(), tower_sliding_session::request_class::PathRulesError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct PathRules {
    rules: Vec<(PathPattern, RequestClass)>,
    prefix: Option<String>,
}

impl PathRules {
    /// No rules: every request is `User`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests that match `pattern` are not authenticated.
    pub fn public(self, pattern: impl Into<PathPattern>) -> Self {
        self.rule(pattern.into(), RequestClass::Public)
    }

    /// Requests that match `pattern` are authenticated; they are no activity and are not renewed.
    pub fn background(self, pattern: impl Into<PathPattern>) -> Self {
        self.rule(pattern.into(), RequestClass::Background)
    }

    /// Requests that match `pattern` are activity and are renewed: an exception to a wider rule.
    pub fn user(self, pattern: impl Into<PathPattern>) -> Self {
        self.rule(pattern.into(), RequestClass::User)
    }

    /// The path under which a proxy serves this application. It is removed before the rules are
    /// applied: with `/app` the rule `/login` matches `/app/login`, and `/` matches both `/app` and
    /// `/app/`.
    ///
    /// No rule matches a path outside the prefix. Default: no prefix.
    pub fn strip_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// No rules, below the same prefix.
    pub(crate) fn without_rules(&self) -> Self {
        Self { rules: Vec::new(), prefix: self.prefix.clone() }
    }

    /// Checks the rules and compiles them.
    ///
    /// # Errors
    /// All problems at once: a pattern with a trailing slash, without a leading slash, with invalid
    /// syntax, or that no request can match; and two patterns that differ only in the names of
    /// their parameters, share a method, and have different classes.
    pub fn compile(self) -> Result<CompiledPathRules, PathRulesError> {
        let mut problems = Vec::new();
        let prefix = self.prefix.as_deref().map_or(Ok(String::new()), compile_prefix);
        let prefix = prefix.unwrap_or_else(|found| {
            problems.extend(found);
            String::new()
        });

        let mut rules = Vec::<Rule<'_>>::new();
        for (pattern, class) in &self.rules {
            match pattern.parse() {
                Ok((template, methods)) => {
                    let rule = Rule { pattern, template, methods, class: *class };
                    problems.extend(rules.iter().filter_map(|earlier| rule.conflict(earlier)));
                    rules.push(rule);
                }
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(PathRulesError { problems });
        }

        let mut tree = Tree::default();
        for Rule { template, methods, class, .. } in rules {
            tree.insert(template, methods, class);
        }
        Ok(CompiledPathRules { prefix, tree })
    }

    fn rule(mut self, pattern: PathPattern, class: RequestClass) -> Self {
        self.rules.push((pattern, class));
        self
    }
}

fn compile_prefix(prefix: &str) -> Result<String, Vec<String>> {
    let template = Template::parse(prefix).map_err(|faults| {
        faults
            .into_iter()
            .map(|fault| format!("strip_prefix({prefix:?}) {fault}"))
            .collect::<Vec<_>>()
    })?;
    template.into_fixed_path().ok_or_else(|| {
        vec![format!("strip_prefix({prefix:?}) has a parameter: write the prefix out")]
    })
}

/// A rule whose pattern is valid.
struct Rule<'a> {
    pattern: &'a PathPattern,
    template: Template,
    methods: MethodSet,
    class: RequestClass,
}

impl Rule<'_> {
    fn conflict(&self, earlier: &Rule<'_>) -> Option<String> {
        let contradicts = self.class != earlier.class
            && self.template.is_as_specific_as(&earlier.template)
            && self.methods.overlaps(&earlier.methods);
        contradicts.then(|| {
            format!(
                "{} is {:?} and {} is {:?}, for the same requests: give them one class, or methods \
                 that do not overlap (GET covers HEAD)",
                earlier.pattern, earlier.class, self.pattern, self.class,
            )
        })
    }
}

/// Compiled [`PathRules`].
///
/// Matching a request takes a few passes over its path, and for each segment a comparison with the
/// literals of the rules in that position; it allocates nothing. The number of comparisons is
/// bounded by the number of rules, whatever path a client sends.
#[derive(Clone, Debug)]
pub struct CompiledPathRules {
    prefix: String,
    tree: Tree,
}

impl CompiledPathRules {
    fn class_of(&self, method: &Method, path: &str) -> Option<RequestClass> {
        let rest = self.within_prefix(path)?;
        let class = self.tree.find(method, rest.as_bytes())?;
        // Most paths match no rule: only those that match one are scanned.
        if !is_unambiguous(path) {
            return None;
        }
        // An application may read `/x/` as `/x`: a wider rule must not give it another class.
        match rest.strip_suffix('/') {
            Some(bare) if self.tree.find(method, bare.as_bytes()) != Some(class) => None,
            _ => Some(class),
        }
    }

    /// The rest of the path after the prefix, from the slash on.
    fn within_prefix<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&*self.prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Classify for CompiledPathRules {
    fn classify(&self, head: RequestHead<'_>) -> RequestClass {
        self.named_class(head).unwrap_or_default()
    }

    fn named_class(&self, head: RequestHead<'_>) -> Option<RequestClass> {
        self.class_of(head.method(), head.path())
    }
}

/// Why [`PathRules`] do not compile: all their problems.
#[derive(Clone, Debug)]
pub struct PathRulesError {
    problems: Vec<String>,
}

impl PathRulesError {
    /// The problems; each text says what to change. Never empty.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for PathRulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the path rules cannot be used: {}", self.problems.join("; "))
    }
}

impl Error for PathRulesError {}
