use super::*;

fn problems(rules: PathRules) -> Vec<String> {
    rules.compile().expect_err("unsound rules").problems().to_vec()
}

#[test]
fn every_malformed_pattern_is_named() {
    for (pattern, hint) in [
        ("", "does not begin with a slash: write \"/\""),
        ("login", "does not begin with a slash: write \"/login\""),
        ("*", "does not begin with a slash"),
        ("/login/", "ends in a slash"),
        ("//", "ends in a slash"),
        ("/a//b", "empty segment"),
        ("/{*x}/b", "goes on after \"{*x}\""),
        ("/{}", "parameter without a name"),
        ("/{*}", "parameter without a name"),
        ("/{a*}", "within the name"),
        ("/{**a}", "within the name"),
        ("/a{x}", "a whole segment"),
        ("/{x}.txt", "a whole segment"),
        ("/{x}{y}", "a whole segment"),
        ("/{x", "a whole segment"),
        ("/x}", "a whole segment"),
        ("/{x}}", "a whole segment"),
        ("/:id", "a parameter is `{id}`"),
        ("/*path", "a parameter is `{*path}`"),
        ("/a/../b", "which no rule matches"),
        ("/a%2Fb", "which no rule matches"),
        ("/a%", "which no rule matches"),
        ("/a\\b", "which no rule matches"),
        ("/a?b", "which no rule matches"),
        ("/a#b", "which no rule matches"),
        ("/a b", "which no rule matches"),
        ("/a\u{0}", "which no rule matches"),
        ("/café", "as `caf%C3%A9`"),
        ("/caf%c3%a9", "escaped in upper case"),
        ("/%64rafts", "letters, digits"),
        ("/items%3Apurge", "as they are"),
        ("/a;v=1", "which no rule matches"),
        ("/a|b", "which no rule matches"),
        ("/{{x}}", "written `%7B` or `%7D`"),
        ("/a/{{", "written `%7B` or `%7D`"),
    ] {
        let found = problems(PathRules::new().public(pattern));
        assert!(found[0].starts_with(&format!("{pattern:?} ")), "{found:?}");
        assert!(found[0].contains(hint), "{found:?}");
    }
    assert!(problems(PathRules::new().public(subtree("/a/{*x}")))[0].contains("by itself"));
    let none = PathPattern::from("/a").methods([]);
    assert!(problems(PathRules::new().public(none))[0].contains("lists no methods"));
}

#[test]
fn a_malformed_prefix_is_named() {
    for (prefix, hint) in [
        ("app", "does not begin with a slash"),
        ("/app/", "ends in a slash"),
        ("/app/..", "which no rule matches"),
        ("/{app}", "has a parameter"),
        ("/app/{*rest}", "has a parameter"),
    ] {
        let found = problems(PathRules::new().strip_prefix(prefix));
        assert!(found[0].starts_with("strip_prefix(") && found[0].contains(hint), "{found:?}");
    }
}

#[test]
fn the_same_pattern_with_two_classes_is_a_conflict() {
    let get = |path: &str| PathPattern::from(path).method(Method::GET);
    let head = |path: &str| PathPattern::from(path).method(Method::HEAD);
    for rules in [
        PathRules::new().public("/a").background("/a"),
        PathRules::new().public("/a/{x}").user("/a/{y}"),
        PathRules::new().public("/a/{*x}").background("/a/{*y}"),
        PathRules::new().public("/a/{*x}").background(subtree("/a")),
        PathRules::new().public(subtree("/")).background(subtree("/")),
        PathRules::new().public(get("/a")).background("/a"),
        PathRules::new().public(get("/a")).background(head("/a")),
    ] {
        assert_eq!(problems(rules).len(), 1);
    }
    for rules in [
        PathRules::new().public("/a").public("/a"),
        PathRules::new().public("/a/{x}").public(get("/a/{y}")),
        PathRules::new().public(head("/a")).background(PathPattern::from("/a").method(Method::PUT)),
        PathRules::new().public("/a/{x}").background("/a/{*x}"),
        PathRules::new().public("/a").background(subtree("/a")),
        PathRules::new().public("/%7Bx%7D").background("/{x}"),
    ] {
        compiled(rules);
    }
}

#[test]
fn all_problems_are_listed_at_once() {
    let error = PathRules::new()
        .strip_prefix("app")
        .public("login")
        .background(PathPattern::from("/a/{x}").method(Method::GET))
        .user("/a/{y}")
        .public("/b//{c}d/")
        .compile()
        .expect_err("unsound rules");
    assert_eq!(error.problems().len(), 6, "{error}");
    let conflict = "\"/a/{x}\" for GET is Background and \"/a/{y}\" is User";
    assert!(error.to_string().contains(conflict), "{error}");
    assert!(error.problems().iter().all(|problem| error.to_string().contains(problem)));
}
