//! The class of a request by its method alone.

use http::Method;

use super::{class::RequestClass, classify::Classify, head::RequestHead};

/// Classifies by method.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Methods(());

impl Methods {
    /// `GET` and `HEAD` are `Background`: they neither count as activity nor renew the token. Every
    /// other method stays `User`.
    ///
    /// For services whose pages fetch by themselves, so that only a change proves an active user.
    pub const fn reads_are_background() -> Self {
        Self(())
    }
}

impl Classify for Methods {
    fn classify(&self, head: RequestHead<'_>) -> RequestClass {
        if matches!(*head.method(), Method::GET | Method::HEAD) {
            RequestClass::Background
        } else {
            RequestClass::User
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn p27_reads_are_background_and_nothing_is_public() {
        for (method, expected) in [
            ("GET", RequestClass::Background),
            ("HEAD", RequestClass::Background),
            ("POST", RequestClass::User),
            ("OPTIONS", RequestClass::User),
            ("get", RequestClass::User),
            ("PURGE", RequestClass::User),
        ] {
            let request = Request::builder().method(method).body(()).expect("a request");
            let class = Methods::reads_are_background().classify(RequestHead::new(&request));
            assert_eq!(class, expected, "{method}");
        }
    }
}
