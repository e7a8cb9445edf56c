//! Routes whose requests are activity only where the client declares it.

use super::{
    activity_header::says_user, class::RequestClass, classify::Classify, head::RequestHead,
    path_rules::CompiledPathRules,
};

/// Raises a `Background` request to `User` if the client declares `Session-Activity: user` and the
/// request is for one of `routes`, which are `Background` in them. On every other route the client
/// cannot raise a class (P17).
pub(crate) struct UserIfDeclared<C> {
    pub(crate) classes: C,
    pub(crate) routes: CompiledPathRules,
}

impl<C> Classify for UserIfDeclared<C>
where
    C: Classify,
{
    fn classify(&self, head: RequestHead<'_>) -> RequestClass {
        let class = self.classes.classify(head);
        let is_raised = class == RequestClass::Background
            && says_user(head.headers())
            && self.routes.classify(head) == RequestClass::Background;
        if is_raised { RequestClass::User } else { class }
    }

    fn named_class(&self, head: RequestHead<'_>) -> Option<RequestClass> {
        let named = self.classes.named_class(head);
        // Only a route that a rule names is raised.
        if named.is_some() { Some(self.classify(head)) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::{
        super::path_rules::{PathRules, PathRulesError},
        RequestClass::{Background, Public, User},
        *,
    };

    #[test]
    fn p17_the_client_raises_its_routes_only() -> Result<(), PathRulesError> {
        let rules = PathRules::new().background("/session").background("/poll").public("/login");
        let routes = PathRules::new().background("/session").compile()?;
        let classes = UserIfDeclared { classes: rules.compile()?, routes };
        for (path, declared, class) in [
            ("/session", "user", User),
            ("/session", "USER", User),
            ("/session", "background", Background),
            ("/session", "users", Background),
            ("/poll", "user", Background),
            ("/login", "user", Public),
            ("/", "user", User),
        ] {
            let request = Request::get(path).header("session-activity", declared);
            let request = request.body(()).expect("a request");
            assert_eq!(classes.classify(RequestHead::new(&request)), class, "{path} {declared}");
        }
        Ok(())
    }
}
