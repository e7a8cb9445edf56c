//! The tree of all rules, by segment.

use http::Method;

use super::{
    methods::MethodSet,
    template::{Reach, Segment, Template},
};
use crate::request_class::RequestClass;

/// The rules that have their first segments in common. Each list contains the rules of one pattern:
/// where their methods overlap they have the same class.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    fixed: Vec<(String, Tree)>,
    parameter: Option<Box<Tree>>,
    exact: Vec<(MethodSet, RequestClass)>,
    below: Vec<(MethodSet, RequestClass)>,
    subtree: Vec<(MethodSet, RequestClass)>,
}

impl Tree {
    pub(super) fn insert(&mut self, template: Template, methods: MethodSet, class: RequestClass) {
        let end = template.segments.into_iter().fold(self, |tree, segment| match segment {
            Segment::Fixed(text) => tree.fixed_or_default(text),
            Segment::Parameter => tree.parameter.get_or_insert_default(),
        });
        let rules = match template.reach {
            Reach::Exact => &mut end.exact,
            Reach::Below => &mut end.below,
            Reach::Subtree => &mut end.subtree,
        };
        rules.push((methods, class));
    }

    fn fixed_or_default(&mut self, text: String) -> &mut Self {
        let at = self.fixed.iter().position(|(fixed, _)| *fixed == text).unwrap_or_else(|| {
            self.fixed.push((text, Self::default()));
            self.fixed.len() - 1
        });
        &mut self.fixed[at].1
    }

    /// The class of the most specific rule for `method` and `path`; `path` is empty or begins with a
    /// slash.
    pub(super) fn find(&self, method: &Method, path: &[u8]) -> Option<RequestClass> {
        match path {
            [] | [b'/'] => self.find_here(method),
            [_, rest @ ..] => self.find_below(method, rest),
        }
    }

    fn find_here(&self, method: &Method) -> Option<RequestClass> {
        first(&self.exact, method).or_else(|| first(&self.subtree, method))
    }

    /// As [`find`](Self::find), with at least one segment left. Visits each node at most once.
    fn find_below(&self, method: &Method, rest: &[u8]) -> Option<RequestClass> {
        let step = |next: &Self, rest: &[u8]| match rest {
            [] => next.find_here(method),
            [b'/'] => first(&next.subtree, method),
            [_, rest @ ..] => next.find_below(method, rest),
        };
        // Most literals have another length: one comparison excludes them.
        let ends = |text: &str| matches!(rest.get(text.len()), None | Some(b'/'));
        let mut fitting = self.fixed.iter().filter(|(text, _)| ends(text));
        let fixed = fitting.find(|(text, _)| rest.starts_with(text.as_bytes()));
        let parameter = || {
            let next = self.parameter.as_deref()?;
            let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            step(next, &rest[end..])
        };
        fixed
            .and_then(|(text, next)| step(next, &rest[text.len()..]))
            .or_else(parameter)
            .or_else(|| first(&self.below, method))
            .or_else(|| first(&self.subtree, method))
    }
}

fn first(rules: &[(MethodSet, RequestClass)], method: &Method) -> Option<RequestClass> {
    rules.iter().find(|(methods, _)| methods.covers(method)).map(|(_, class)| *class)
}
