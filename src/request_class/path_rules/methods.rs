//! The methods to which a rule applies.

use http::Method;

/// Some methods, or all of them.
#[derive(Clone, Debug)]
pub(super) enum MethodSet {
    All,
    Listed(Vec<Method>),
}

impl MethodSet {
    /// These methods; `GET` includes `HEAD`, which requests the same resource.
    pub(super) fn listed(methods: &[Method]) -> Self {
        let mut listed = methods.to_vec();
        if listed.contains(&Method::GET) {
            listed.push(Method::HEAD);
        }
        Self::Listed(listed)
    }

    pub(super) fn covers(&self, method: &Method) -> bool {
        match self {
            Self::All => true,
            Self::Listed(listed) => listed.contains(method),
        }
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match self {
            Self::All => true,
            Self::Listed(listed) => listed.iter().any(|method| other.covers(method)),
        }
    }
}
