//! The header names to expose, and how they are merged into a response.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCESS_CONTROL_EXPOSE_HEADERS, RETRY_AFTER, WWW_AUTHENTICATE},
};

#[derive(Debug)]
pub(crate) struct Exposed {
    names: Vec<HeaderName>,
    /// The names as one value, for responses that expose nothing yet.
    value: HeaderValue,
}

impl Exposed {
    pub(super) fn new(names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names: Vec<HeaderName> = names.into_iter().collect();
        let value = join(names.iter().map(HeaderName::as_str));
        Self { names, value }
    }

    pub(crate) fn expose(&self, headers: &mut HeaderMap) {
        if self.names.is_empty() {
            return;
        }
        if !headers.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, self.value.clone());
            return;
        }
        let present: Vec<HeaderValue> =
            headers.get_all(ACCESS_CONTROL_EXPOSE_HEADERS).iter().cloned().collect();
        let mut listed: Vec<&str> = Vec::new();
        for value in &present {
            // A value that is not ASCII cannot be merged: the response stays as it is.
            let Ok(text) = value.to_str() else { return };
            listed.extend(text.split(',').map(str::trim).filter(|name| !name.is_empty()));
        }
        let missing = self
            .names
            .iter()
            .map(HeaderName::as_str)
            .filter(|name| !listed.iter().any(|listed| listed.eq_ignore_ascii_case(name)));
        let mut merged: Vec<&str> = Vec::new();
        for name in listed.iter().copied().chain(missing) {
            if !merged.iter().any(|merged| merged.eq_ignore_ascii_case(name)) {
                merged.push(name);
            }
        }
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, join(merged.into_iter()));
    }
}

/// The headers that clients of every stack read, beside the header of renewed tokens.
pub(crate) fn always_exposed() -> [HeaderName; 6] {
    [
        HeaderName::from_static("session-expires"),
        crate::body::SESSION_ERROR,
        WWW_AUTHENTICATE,
        RETRY_AFTER,
        HeaderName::from_static("grpc-status"),
        HeaderName::from_static("grpc-message"),
    ]
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> HeaderValue {
    let joined = names.collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(joined).expect("header names are visible ASCII")
}
