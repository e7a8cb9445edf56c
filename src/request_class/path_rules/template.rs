//! A parsed pattern.

use super::raw_path::is_unambiguous;

/// A parsed pattern, without the names of its parameters.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) segments: Vec<Segment>,
    pub(super) reach: Reach,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Fixed(String),
    Parameter,
}

/// What a template matches after its segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nothing.
    Exact,
    /// A slash and at least one more byte: `{*x}`.
    Below,
    /// Anything, or nothing.
    Subtree,
}

impl Template {
    /// Parses `path`, or lists its problems; each text continues a message that begins with the
    /// pattern.
    pub(super) fn parse(path: &str) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let inner = path.strip_prefix('/').unwrap_or_else(|| {
            faults.push(format!("does not begin with a slash: write {:?}", format!("/{path}")));
            path
        });
        let inner = inner.strip_suffix('/').map_or(inner, |bare| {
            faults.push("ends in a slash: leave it out, or use `subtree`, which covers it".into());
            bare
        });

        let mut template = Self { segments: Vec::new(), reach: Reach::Exact };
        let mut texts = inner.split('/').filter(|_| !inner.is_empty()).peekable();
        while let Some(text) = texts.next() {
            match Piece::parse(text) {
                Ok(Piece::One(segment)) => template.segments.push(segment),
                Ok(Piece::Rest) if texts.peek().is_none() => template.reach = Reach::Below,
                Ok(Piece::Rest) => faults.push(format!("goes on after {text:?}: end with it")),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(template) } else { Err(faults) }
    }

    pub(super) fn into_subtree(self) -> Result<Self, Vec<String>> {
        match self.reach {
            Reach::Below => Err(vec!["covers what is below by itself: leave `{*..}` out".into()]),
            Reach::Exact | Reach::Subtree => Ok(Self { reach: Reach::Subtree, ..self }),
        }
    }

    /// The one path that it matches, empty for the root; `None` if it matches several.
    pub(super) fn into_fixed_path(self) -> Option<String> {
        let mut path = String::new();
        for segment in self.segments {
            let Segment::Fixed(text) = segment else { return None };
            path.push('/');
            path.push_str(&text);
        }
        (self.reach == Reach::Exact).then_some(path)
    }

    /// Whether neither is more specific than the other where both match.
    pub(super) fn is_as_specific_as(&self, other: &Self) -> bool {
        (self.reach == Reach::Exact) == (other.reach == Reach::Exact)
            && self.segments == other.segments
    }
}

/// The text between two slashes of a pattern.
enum Piece {
    One(Segment),
    Rest,
}

impl Piece {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("has an empty segment, which no rule matches: write one slash".into());
        }
        if let Some(name) = whole_parameter(text) {
            let rest = name.strip_prefix('*');
            return match rest.unwrap_or(name) {
                "" => Err(format!("has a parameter without a name: name {text:?}")),
                name if name.contains('*') => {
                    Err(format!("has a `*` within the name of {text:?}: only `{{*name}}` has one"))
                }
                _ if rest.is_some() => Ok(Self::Rest),
                _ => Ok(Self::One(Segment::Parameter)),
            };
        }
        if text.starts_with([':', '*']) {
            let name = text[1..].trim_matches(['{', '}']);
            let star = if text.starts_with('*') { "*" } else { "" };
            return Err(format!("has the segment {text:?}: a parameter is `{{{star}{name}}}`"));
        }
        if text.contains(['{', '}']) {
            return Err(format!(
                "has the segment {text:?}: a parameter is a whole segment, and a brace that stands \
                 for itself is written `%7B` or `%7D`"
            ));
        }
        if is_unambiguous(&format!("/{text}")) {
            Ok(Self::One(Segment::Fixed(text.to_owned())))
        } else {
            Err(format!(
                "has the segment {text:?}, which no rule matches: write letters, digits and \
                 `-._~!$&'()*+,=:@` as they are, and all others escaped in upper case, as `caf%C3%A9`"
            ))
        }
    }
}

/// The name in `{name}`, with the star of `{*name}`.
fn whole_parameter(text: &str) -> Option<&str> {
    text.strip_prefix('{')?.strip_suffix('}').filter(|name| !name.contains(['{', '}']))
}
