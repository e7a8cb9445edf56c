//! All rules by segment.

use http::Method;

use super::{
    methods::MethodSet,
    template::{Reach, Segment, Template},
};
use crate::request_class::RequestClass;

/// The rules that share their first segments. Each list holds rules of one pattern, which agree
/// wherever their methods overlap.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    /// Shorter ones first, then by text: a search compares lengths, and seldom texts.
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

    fn position(&self, segment: &str) -> Result<usize, usize> {
        self.fixed.binary_search_by(|(text, _)| {
            text.len().cmp(&segment.len()).then_with(|| (**text).cmp(segment))
        })
    }

    fn fixed_or_default(&mut self, text: String) -> &mut Self {
        let at = self.position(&text).unwrap_or_else(|at| {
            self.fixed.insert(at, (text, Self::default()));
            at
        });
        &mut self.fixed[at].1
    }

    /// The class that the most specific rule for `method` and `path` names; `path` is empty or
    /// begins with a slash.
    pub(super) fn find(&self, method: &Method, path: &str) -> Option<RequestClass> {
        match path.strip_prefix('/') {
            Some("") | None => first(&self.exact, method).or_else(|| first(&self.subtree, method)),
            Some(rest) => self.find_below(method, rest),
        }
    }

    /// As [`find`](Self::find), with at least one segment to go. Visits each node once at most.
    fn find_below(&self, method: &Method, rest: &str) -> Option<RequestClass> {
        let end = rest.bytes().position(|byte| byte == b'/').unwrap_or(rest.len());
        let (segment, rest) = rest.split_at(end);
        let step = |next: &Self| match rest {
            "/" => first(&next.subtree, method),
            _ => next.find(method, rest),
        };
        let fixed = self.position(segment).ok().map(|at| &self.fixed[at].1);
        fixed
            .and_then(step)
            .or_else(|| self.parameter.as_deref().and_then(step))
            .or_else(|| first(&self.below, method))
            .or_else(|| first(&self.subtree, method))
    }
}

fn first(rules: &[(MethodSet, RequestClass)], method: &Method) -> Option<RequestClass> {
    rules.iter().find(|(methods, _)| methods.covers(method)).map(|(_, class)| *class)
}
