use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

/// Name, value and the whole member, as they are written.
fn walked(json: &str) -> Result<Vec<(String, String, String)>, Malformed> {
    let mut members = Members::new(json)?;
    let mut all = Vec::new();
    while let Some(member) = members.next()? {
        assert_eq!(&json[member.value.span()], member.value.json());
        let whole = json[member.span.clone()].to_owned();
        all.push((member.name.clone().into_owned(), member.value.json().to_owned(), whole));
    }
    Ok(all)
}

/// What `serde_json` makes of it, the later of two members of one name.
fn parsed(json: &str) -> Option<HashMap<String, String>> {
    let raw: HashMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    Some(raw.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect())
}

fn assert_agreement(json: &str) {
    let ours = walked(json).ok();
    let named = ours.map(|all| all.into_iter().map(|(name, value, _)| (name, value)).collect());
    assert_eq!(named, parsed(json), "{json}");
}

#[test]
fn members_are_walked_in_their_order() {
    let json =
        " { \"a\" : 1 ,\"\\u0062\":\"x\\\"y\",\"c\":[{\"d\":\"}\"}] , \"e\":-1.5e3,\"f\":null } ";
    let expected = [
        ("a", "1", "\"a\" : 1"),
        ("b", "\"x\\\"y\"", "\"\\u0062\":\"x\\\"y\""),
        ("c", "[{\"d\":\"}\"}]", "\"c\":[{\"d\":\"}\"}]"),
        ("e", "-1.5e3", "\"e\":-1.5e3"),
        ("f", "null", "\"f\":null"),
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(name, value, whole)| (name.to_owned(), value.to_owned(), whole.to_owned()))
        .collect();
    assert_eq!(walked(json).expect("an object"), expected);
}

#[test]
fn what_serde_json_accepts_is_accepted_and_nothing_else() {
    for json in [
        "{}",
        " {\t}\n",
        "",
        " ",
        "{",
        "}",
        "[]",
        "1",
        "\"a\"",
        "null",
        "{}x",
        "{}{}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,,\"b\":2}",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":1e}",
        "{\"a\":1e400}",
        "{\"a\":-0}",
        "{\"a\":0}",
        "{\"a\":00}",
        "{\"a\":1-2}",
        "{\"a\":99999999999999999999999}",
        "{\"a\":tru}",
        "{\"a\":truex}",
        "{\"a\":true}",
        "{\"a\":[1,]}",
        "{\"a\":[1,[2,{\"b\":[]}]]}",
        "{\"a\":{\"b\":1}",
        "{\"a\":\"}",
        "{\"a\":\"\\\"}",
        "{\"a\":\"\\",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\u{7f}\u{e9}\u{1f600}\"}",
        "{\"\\u00e9\":\"\\ud83d\\ude00\"}",
        "{\"\\ud800\":1}",
        "{\"\":\"\"}",
        "{\"a\\\":1}",
        "{\"a\":\"\\\u{e9}\"}",
        "\u{feff}{}",
    ] {
        assert_agreement(json);
    }
}

#[test]
fn what_ends_a_string_is_seen_wherever_it_stands() {
    for (before, after) in (0..20).flat_map(|before| (0..20).map(move |after| (before, after))) {
        for special in
            ["\"", "\\", "\\\"", "\u{0}", "\u{1}", "\u{1f}", " ", "!", "#", "\u{7f}", "\u{e9}"]
        {
            let (before, after) = ("x".repeat(before), "\u{a0}".repeat(after));
            assert_agreement(&format!("{{\"a\":\"{before}{special}{after}\"}}"));
            assert_agreement(&format!("{{\"{before}{special}{after}\":1}}"));
        }
    }
}

/// Texts made of what JSON is made of: many of them are nearly objects.
fn near_json() -> impl Strategy<Value = String> {
    const PIECES: [&str; 25] = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\"a\"", "\"sub\":", "\"b\":1", "1", "-", "0",
        ".5", "e3", "true", "null", " ", "\n", "\\u0061", "\\\"", "\u{e9}", "\u{1}", "x",
    ];
    proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..24)
        .prop_map(|it| it.concat())
}

/// Any object, in compact form.
fn object() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        any::<String>().prop_map(serde_json::Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::hash_map(any::<String>(), inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    });
    proptest::collection::hash_map(any::<String>(), value, 0..6)
        .prop_map(|map| serde_json::Value::Object(map.into_iter().collect()).to_string())
}

proptest! {
    #[test]
    fn any_object_is_walked_as_serde_json_reads_it(json in object()) {
        assert_agreement(&json);
        prop_assert_eq!(parsed(&json).is_some(), true);
    }

    #[test]
    fn any_text_is_accepted_or_refused_as_by_serde_json(json in near_json()) {
        assert_agreement(&json);
        assert_agreement(&format!("{{\"a\":{json}}}"));
        assert_agreement(&format!("{{\"a\":1,{json}"));
    }
}
