//! The trait that decides the class of a request, and its combinator.

use std::sync::Arc;

use super::{class::RequestClass, head::RequestHead};

/// Decides the class of a request from its head.
///
/// Closures implement it; [`PathRules`](super::PathRules) and [`Methods`](super::Methods) are
/// ready-made implementations.
///
/// ```
/// use tower_sliding_session::request_class::{Classify, Methods, RequestClass, RequestHead};
///
/// let prefetch = |head: RequestHead<'_>| {
///     if head.headers().contains_key("purpose") {
///         RequestClass::Background
///     } else {
///         RequestClass::User
///     }
/// };
/// let classes = prefetch.otherwise(Methods::reads_are_background());
/// # drop(classes);
/// ```
pub trait Classify: Send + Sync + 'static {
    /// Returns the class of the request with this head. Runs on every request, before
    /// authentication: it reads what an unknown client sent.
    fn classify(&self, head: RequestHead<'_>) -> RequestClass;

    /// Returns the class of the request if a rule names it, also for `User`; `None` where
    /// [`classify`](Self::classify) returns `User` because nothing names another. Under
    /// [`Activity::Declared`](super::Activity::Declared) the default is `Background`. The default of
    /// this method: no `User` is named.
    fn named_class(&self, head: RequestHead<'_>) -> Option<RequestClass> {
        Some(self.classify(head)).filter(|class| *class != RequestClass::User)
    }

    /// Asks `second` if this classifier returns `User`: the first class other than `User` wins.
    ///
    /// A `User` of a path rule is no different: `second` is asked then too.
    fn otherwise<C>(self, second: C) -> Otherwise<Self, C>
    where
        Self: Sized,
        C: Classify,
    {
        Otherwise { first: self, second }
    }
}

impl<F> Classify for F
where
    F: Fn(RequestHead<'_>) -> RequestClass + Send + Sync + 'static,
{
    fn classify(&self, head: RequestHead<'_>) -> RequestClass {
        self(head)
    }
}

impl Classify for Arc<dyn Classify> {
    fn classify(&self, head: RequestHead<'_>) -> RequestClass {
        (**self).classify(head)
    }

    fn named_class(&self, head: RequestHead<'_>) -> Option<RequestClass> {
        (**self).named_class(head)
    }
}

/// Asks a second classifier if the first one returns `User`. Built by [`Classify::otherwise`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Otherwise<A, B> {
    first: A,
    second: B,
}

impl<A, B> Classify for Otherwise<A, B>
where
    A: Classify,
    B: Classify,
{
    fn classify(&self, head: RequestHead<'_>) -> RequestClass {
        match self.first.classify(head) {
            RequestClass::User => self.second.classify(head),
            class => class,
        }
    }

    fn named_class(&self, head: RequestHead<'_>) -> Option<RequestClass> {
        match self.first.named_class(head) {
            named @ (None | Some(RequestClass::User)) => self.second.named_class(head).or(named),
            named => named,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::{RequestClass::*, *};

    fn always(class: RequestClass) -> Arc<dyn Classify> {
        Arc::new(move |_: RequestHead<'_>| class)
    }

    #[test]
    fn the_first_class_other_than_user_wins() {
        let request = Request::new(());
        for (first, second, expected) in [
            (User, User, User),
            (User, Public, Public),
            (Background, Public, Background),
            (Public, Background, Public),
            (Public, User, Public),
        ] {
            let both = always(first).otherwise(always(second));
            assert_eq!(both.classify(RequestHead::new(&request)), expected);
        }
    }
}
