//! The pattern of a path rule, as an application writes it.

use std::fmt;

use http::Method;

use super::{methods::MethodSet, template::Template};

/// A pattern of paths in axum's syntax, and the methods to which it applies; by default all.
///
/// Strings convert into it. It is checked by [`PathRules::compile`](super::PathRules::compile).
#[derive(Clone, Debug)]
#[must_use]
pub struct PathPattern {
    path: String,
    subtree: bool,
    methods: Option<Vec<Method>>,
}

/// The path `path`, with and without a trailing slash, and everything below it.
///
/// Less specific than a pattern of the path alone: `user("/docs")` is an exception from
/// `public(subtree("/docs"))`.
pub fn subtree(path: impl Into<String>) -> PathPattern {
    PathPattern { path: path.into(), subtree: true, methods: None }
}

impl PathPattern {
    /// Restricts the pattern to `method` and those of other calls. `GET` includes `HEAD`.
    ///
    /// For a request with another method, the next less specific rule applies, if there is one.
    pub fn method(self, method: Method) -> Self {
        self.methods([method])
    }

    /// Restricts the pattern to `methods` and those of other calls. `GET` includes `HEAD`.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods.get_or_insert_default().extend(methods);
        self
    }

    /// The parsed pattern, or all its problems.
    pub(super) fn parse(&self) -> Result<(Template, MethodSet), Vec<String>> {
        let methods = self.methods.as_deref().map_or(MethodSet::All, MethodSet::listed);
        let template = Template::parse(&self.path)
            .and_then(|template| if self.subtree { template.into_subtree() } else { Ok(template) });
        let names_no_method = self.methods.as_ref().is_some_and(Vec::is_empty);
        let no_method = names_no_method
            .then(|| "lists no methods: name one, or leave `methods` out for all".to_owned());

        match (template, no_method) {
            (Ok(template), None) => Ok((template, methods)),
            (template, no_method) => {
                let faults = template.err().into_iter().flatten().chain(no_method);
                Err(faults.map(|fault| format!("{self} {fault}")).collect())
            }
        }
    }
}

impl From<&str> for PathPattern {
    fn from(path: &str) -> Self {
        path.to_owned().into()
    }
}

impl From<String> for PathPattern {
    fn from(path: String) -> Self {
        Self { path, subtree: false, methods: None }
    }
}

/// The pattern as it was written, for error messages.
impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.subtree {
            write!(f, "subtree({:?})", self.path)?;
        } else {
            write!(f, "{:?}", self.path)?;
        }
        for (index, method) in self.methods.iter().flatten().enumerate() {
            write!(f, "{}{method}", if index == 0 { " for " } else { ", " })?;
        }
        Ok(())
    }
}
