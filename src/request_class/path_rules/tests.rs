mod problems;
mod properties;

use http::Request;

use super::*;
use crate::request_class::RequestClass::{Background, Public, User};

fn compiled(rules: PathRules) -> CompiledPathRules {
    rules.compile().expect("sound rules")
}

/// The verdict on a request as it arrives, through a real URI.
fn verdict(rules: &CompiledPathRules, method: Method, uri: &str) -> RequestClass {
    let request = Request::builder().method(method).uri(uri).body(()).expect("a request");
    rules.classify(RequestHead::new(&request))
}

#[track_caller]
fn check(rules: PathRules, table: &[(&str, RequestClass)]) {
    let rules = compiled(rules);
    for (path, expected) in table {
        assert_eq!(verdict(&rules, Method::GET, path), *expected, "{path}");
    }
}

#[test]
fn without_rules_everything_is_the_users() {
    check(PathRules::new(), &[("/", User), ("/login", User), ("*", User), ("/a//b", User)]);
}

#[test]
fn fixed_paths_fit_themselves_only() {
    check(
        PathRules::new().public("/login").background("/a/b").public("/"),
        &[
            ("/login", Public),
            ("/login?next=/a/b", Public),
            ("https://example.com/login", Public),
            ("https://example.com", Public),
            ("/", Public),
            ("/login/", User),
            ("/Login", User),
            ("/loginx", User),
            ("/login/x", User),
            ("/a/b", Background),
            ("/a", User),
            ("/a/b/c", User),
        ],
    );
}

#[test]
fn parameters_fit_one_whole_segment() {
    check(
        PathRules::new().background("/documents/{id}").public("/u/{a}/{b}"),
        &[
            ("/documents/5", Background),
            ("/documents/%7Bid%7D", Background),
            ("/documents/{id}", User),
            ("/documents", User),
            ("/documents/", User),
            ("/documents/5/", User),
            ("/documents/5/6", User),
            ("/u/1/2", Public),
            ("/u/1", User),
            ("/u/1/2/3", User),
        ],
    );
}

#[test]
fn a_catch_all_fits_everything_below_but_not_nothing() {
    check(
        PathRules::new().public("/static/{*path}").public("/grpc.health.v1.Health/{*m}"),
        &[
            ("/static/a", Public),
            ("/static/a/b", Public),
            ("/static/a/", Public),
            ("/static/", User),
            ("/static", User),
            ("/staticx/a", User),
            ("/grpc.health.v1.Health/Check", Public),
        ],
    );
    check(PathRules::new().public("/{*all}"), &[("/", User), ("/a", Public), ("/a/b", Public)]);
}

#[test]
fn a_subtree_fits_its_root_with_and_without_slash_and_what_is_below() {
    check(
        PathRules::new().background(subtree("/documents/paginated")).public(subtree("/u/{id}/p")),
        &[
            ("/documents/paginated", Background),
            ("/documents/paginated/", Background),
            ("/documents/paginated/2", Background),
            ("/documents/paginated/2/", Background),
            ("/documents/paginated/2/rows", Background),
            ("/documents/paginatedx", User),
            ("/documents", User),
            ("/u/7/p/", Public),
            ("/u/7/p/x", Public),
            ("/u/p", User),
        ],
    );
    check(PathRules::new().public(subtree("/")), &[("/", Public), ("/a", Public), ("/a/", Public)]);
}

#[test]
fn the_most_specific_rule_wins_segment_by_segment_from_the_left() {
    check(
        PathRules::new()
            .public("/a/{*rest}")
            .background("/a/{x}")
            .user("/a/b")
            .background("/a/{x}/c")
            .public("/a/b/{*rest}")
            .background("/{x}/z/end"),
        &[
            ("/a/b", User),
            ("/a/other", Background),
            ("/a/other/c", Background),
            ("/a/other/d", Public),
            ("/a/b/c", Public),
            ("/a/z/end", Public),
            ("/q/z/end", Background),
            ("/q/z", User),
        ],
    );
    check(
        PathRules::new().public(subtree("/a")).background("/a").user("/a/{x}"),
        &[("/a", Background), ("/a/b", User), ("/a/b/c", Public)],
    );
}

#[test]
fn a_path_that_leads_nowhere_falls_back_to_a_wider_rule() {
    check(
        PathRules::new()
            .public(subtree("/a"))
            .user("/a/b/c/d/end")
            .background("/a/{x}/c/{y}/e")
            .user("/a/b/{z}/d/e/f"),
        &[("/a/b/c/d/e", Background), ("/a/b/c/d/x", Public), ("/a/b/q/d/e/f", User)],
    );
}

#[test]
fn p27_rules_with_methods_cover_those_and_get_covers_head() {
    let rules = compiled(
        PathRules::new()
            .public(PathPattern::from("/read").method(Method::GET))
            .public(PathPattern::from("/write").methods([Method::PUT, Method::POST]))
            .background(PathPattern::from("/read").method(Method::POST))
            .public(PathPattern::from("/head").method(Method::HEAD)),
    );
    for (method, path, expected) in [
        ("GET", "/read", Public),
        ("HEAD", "/read", Public),
        ("POST", "/read", Background),
        ("PUT", "/read", User),
        ("OPTIONS", "/read", User),
        ("TRACE", "/read", User),
        ("get", "/read", User),
        ("PUT", "/write", Public),
        ("POST", "/write", Public),
        ("GET", "/write", User),
        ("HEAD", "/head", Public),
        ("GET", "/head", User),
    ] {
        let method = method.parse().expect("a method");
        assert_eq!(verdict(&rules, method, path), expected, "{path}");
    }
}

#[test]
fn p27_a_method_that_a_rule_does_not_cover_falls_to_the_next_less_specific_rule() {
    let rules = compiled(
        PathRules::new()
            .public(subtree("/api"))
            .background(PathPattern::from("/api/{id}").method(Method::POST))
            .user(PathPattern::from("/api/me").methods([Method::POST, Method::DELETE])),
    );
    for (method, path, expected) in [
        (Method::POST, "/api/me", User),
        (Method::DELETE, "/api/me", User),
        (Method::GET, "/api/me", Public),
        (Method::POST, "/api/5", Background),
        (Method::DELETE, "/api/5", Public),
    ] {
        assert_eq!(verdict(&rules, method.clone(), path), expected, "{method} {path}");
    }
}

#[test]
fn p27_targets_without_a_path_fit_no_rule() {
    let rules = compiled(PathRules::new().public(subtree("/")));
    assert_eq!(verdict(&rules, Method::OPTIONS, "*"), User);
    assert_eq!(verdict(&rules, Method::CONNECT, "example.com:443"), User);
}

#[test]
fn p25_paths_with_two_readings_fit_no_rule() {
    let rules = compiled(PathRules::new().public(subtree("/")).public("/a/{x}/c"));
    for path in [
        "//",
        "//a",
        "/a//c",
        "/a/./c",
        "/a/../c",
        "/a/..",
        "/.",
        "/a/%2e/c",
        "/a/%2E%2E/c",
        "/a/.%2e/c",
        "/a%2Fb",
        "/a%2fb",
        "/a/%5C/c",
        "/a/%5c/c",
        "/a/x\\y/c",
        "/file%2Etxt",
        "/%",
        "/a/%4",
        "/a/%G1/c",
        "/%61",
        "/a/%62/c",
        "/a/%c3%a9/c",
        "/a/é/c",
        "/a/b;v=1/c",
        "/a/%00/c",
        "/a/%2561/c",
    ] {
        assert_eq!(rules.class_of(&Method::GET, path), None, "{path}");
    }
}

#[test]
fn p25_rules_see_the_raw_path() {
    check(
        PathRules::new().public("/caf%C3%A9").public("/50%25").background("/a%20b"),
        &[
            ("/caf%C3%A9", Public),
            ("/caf%c3%a9", User),
            ("/café", User),
            ("/50%25", Public),
            ("/50%2525", User),
            ("/a%20b", Background),
            ("/%6Cogin", User),
        ],
    );
}

#[test]
fn p25_an_escaped_form_of_a_user_path_is_not_classed_by_a_wider_rule() {
    check(
        PathRules::new()
            .public(subtree("/docs"))
            .user("/docs/drafts/{id}")
            .user("/docs/items:purge")
            .user("/docs/@me")
            .user("/docs/caf%C3%A9"),
        &[
            ("/docs/%64rafts/7", User),
            ("/docs/draft%73/7", User),
            ("/docs/items%3Apurge", User),
            ("/docs/items%3apurge", User),
            ("/docs/%40me", User),
            ("/docs/caf%c3%a9", User),
            ("/docs/caf%C3%a9", User),
            ("/docs/café", User),
            ("/docs/@me;v=1", User),
            ("/docs/@me%00", User),
            ("/docs/%2564rafts/7", User),
            ("/docs/th%C3%A9", Public),
            ("/docs/items:list", Public),
            ("/docs/a%20b", Public),
        ],
    );
}

#[test]
fn p25_a_trailing_slash_never_slips_past_an_exception() {
    check(
        PathRules::new()
            .public(subtree("/docs"))
            .user("/docs/secret")
            .background("/docs/{page}/poll")
            .public("/docs/open"),
        &[
            ("/docs/secret", User),
            ("/docs/secret/", User),
            ("/docs/secret/x", Public),
            ("/docs/1/poll", Background),
            ("/docs/1/poll/", User),
            ("/docs/open/", Public),
            ("/docs/other/", Public),
        ],
    );
    check(PathRules::new().public(subtree("/p")).user("/p"), &[("/p/", User), ("/p/x", Public)]);
}

#[test]
fn a_prefix_is_taken_off_at_a_segment() {
    check(
        PathRules::new().strip_prefix("/my/app").public("/login").background("/"),
        &[
            ("/my/app/login", Public),
            ("/my/app", Background),
            ("/my/app/", Background),
            ("/my/application", User),
            ("/my/app/login/", User),
            ("/my/applogin", User),
            ("/login", User),
            ("/", User),
            ("/my/app/my/app/login", User),
        ],
    );
    let rules = compiled(PathRules::new().strip_prefix("/app").public(subtree("/")));
    assert_eq!(rules.class_of(&Method::GET, "/app/../login"), None);
    assert_eq!(rules.class_of(&Method::GET, "/app//login"), None);
}
