//! The class of the request of a session.

use std::sync::atomic::Ordering::Relaxed;

use http::Request;

use super::Session;
use crate::request_class::RequestClass;

pub(super) const UNKNOWN: u8 = 0;
const USER: u8 = 1;
const BACKGROUND: u8 = 2;
const PUBLIC: u8 = 3;

impl Session {
    /// The class of the request, determined once.
    pub(crate) fn class<B>(&self, request: &Request<B>) -> RequestClass {
        self.known_class().unwrap_or_else(|| {
            let class = RequestClass::from_request(request);
            self.set_class(class);
            class
        })
    }

    /// The class of the request, if it was determined before.
    #[inline]
    pub(crate) fn known_class(&self) -> Option<RequestClass> {
        match self.0.class.load(Relaxed) {
            BACKGROUND => Some(RequestClass::Background),
            PUBLIC => Some(RequestClass::Public),
            USER => Some(RequestClass::User),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn set_class(&self, class: RequestClass) {
        let number = match class {
            RequestClass::User => USER,
            RequestClass::Background => BACKGROUND,
            RequestClass::Public => PUBLIC,
        };
        self.0.class.store(number, Relaxed);
    }
}
