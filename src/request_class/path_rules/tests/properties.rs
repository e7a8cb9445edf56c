use proptest::{prelude::*, sample::select};

use super::*;

fn any_rule() -> impl Strategy<Value = (PathPattern, RequestClass)> {
    let path = proptest::collection::vec(select(vec!["a", "b", "{x}", "{y}"]), 0..4);
    let last = select(vec!["", "/a", "/{x}", "/{*x}"]);
    let methods = select(vec![vec![], vec![Method::GET], vec![Method::HEAD], vec![Method::POST]]);
    let class = select(vec![User, Background, Public]);
    (path, last, any::<bool>(), methods, class).prop_map(|(path, last, below, methods, class)| {
        let path = format!("/{}{last}", path.join("/")).replace("//", "/");
        let pattern = if below { subtree(path) } else { path.into() };
        (if methods.is_empty() { pattern } else { pattern.methods(methods) }, class)
    })
}

fn any_path() -> impl Strategy<Value = String> {
    let segments = proptest::collection::vec(select(vec!["a", "b", "c", "", ".."]), 0..6);
    segments.prop_map(|segments| format!("/{}", segments.join("/")))
}

fn rules_of(rules: &[(PathPattern, RequestClass)]) -> PathRules {
    rules
        .iter()
        .cloned()
        .fold(PathRules::new(), |rules, (pattern, class)| rules.rule(pattern, class))
}

/// Keeps of `rules` what does not contradict an earlier one.
fn sound(rules: Vec<(PathPattern, RequestClass)>) -> Vec<(PathPattern, RequestClass)> {
    rules.into_iter().fold(Vec::new(), |mut kept, rule| {
        kept.push(rule);
        if rules_of(&kept).compile().is_err() {
            kept.pop();
        }
        kept
    })
}

fn some_rules() -> impl Strategy<Value = Vec<(PathPattern, RequestClass)>> {
    proptest::collection::vec(any_rule(), 0..12)
}

proptest! {
    #[test]
    fn the_order_of_calls_means_nothing(
        (rules, shuffled) in some_rules().prop_map(sound).prop_flat_map(|rules| {
            (Just(rules.clone()), Just(rules).prop_shuffle())
        }),
        paths in proptest::collection::vec(any_path(), 20),
    ) {
        let (rules, shuffled) = (compiled(rules_of(&rules)), compiled(rules_of(&shuffled)));
        for path in &paths {
            for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT] {
                prop_assert_eq!(rules.class_of(&method, path), shuffled.class_of(&method, path));
            }
        }
    }

    #[test]
    fn the_order_of_calls_hides_no_problem(
        (rules, shuffled) in some_rules().prop_flat_map(|rules| {
            (Just(rules.clone()), Just(rules).prop_shuffle())
        }),
    ) {
        let count = |rules: &[_]| rules_of(rules).compile().map_or_else(|e| e.problems().len(), |_| 0);
        prop_assert_eq!(count(&rules), count(&shuffled));
    }

    #[test]
    fn a_rule_for_one_path_decides_it_among_any_others(
        rules in some_rules(),
        path in select(vec!["/", "/a", "/a/b", "/b/b/a", "/a/a/a/a"]),
        class in select(vec![User, Background, Public]),
    ) {
        let rules = sound(std::iter::once((path.into(), class)).chain(rules).collect());
        prop_assert_eq!(compiled(rules_of(&rules)).class_of(&Method::POST, path), Some(class));
    }

    #[test]
    fn a_wider_rule_changes_nothing_that_was_decided(rules in some_rules(), path in any_path()) {
        let rules = sound(rules);
        let Some(class) = compiled(rules_of(&rules)).class_of(&Method::GET, &path) else {
            return Ok(());
        };
        // A doubled root subtree may contradict: then there is nothing to compare.
        if let Ok(widened) = rules_of(&rules).public(subtree("/")).compile() {
            prop_assert_eq!(widened.class_of(&Method::GET, &path), Some(class));
        }
    }

    #[test]
    fn nothing_panics(
        patterns in proptest::collection::vec("\\PC*|[/{}*:%.a\\\\]{0,12}", 0..6),
        prefix in "\\PC*|[/{}*.a]{0,4}",
        paths in proptest::collection::vec("\\PC*|[/{}*%.2fFa\\\\]{0,12}", 6),
    ) {
        let strings = patterns.iter().map(|pattern| (subtree(pattern), Public));
        let _ = rules_of(&strings.collect::<Vec<_>>()).strip_prefix(prefix).compile();
        let sound = sound(patterns.into_iter().map(|pattern| (pattern.into(), Public)).collect());
        let rules = compiled(rules_of(&sound).background(subtree("/a/{a}")));
        for path in &paths {
            rules.class_of(&Method::GET, path);
        }
    }
}
