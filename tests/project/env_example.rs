//! `.env.example` lists the variables that a policy reads.

use std::{cell::RefCell, collections::HashMap};

use tower_sliding_session::Policy;

const EXAMPLE: &str = include_str!("../../.env.example");

fn settings() -> HashMap<&'static str, &'static str> {
    EXAMPLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .collect()
}

#[test]
fn every_variable_of_a_policy_is_listed() {
    let asked = RefCell::new(Vec::new());
    let builder = Policy::builder().overlay("SESSION", |name| {
        asked.borrow_mut().push(name.to_owned());
        None::<String>
    });
    assert!(builder.build().is_ok());
    let asked = asked.into_inner();
    assert_eq!(asked.len(), 8, "{asked:?}");
    for name in asked {
        assert!(settings().contains_key(name.as_str()), "{name} is not in .env.example");
    }
}

#[test]
fn the_example_values_are_the_defaults() {
    let settings = settings();
    let read = Policy::builder().overlay("SESSION", |name| settings.get(name)).build();
    assert_eq!(read, Policy::builder().build());
}

#[test]
fn the_variables_of_the_example_server_are_listed() {
    for name in [
        "SESSION_RENEW_METHODS",
        "SESSION_RENEWED_TOKEN_HEADER",
        "SESSION_REMEMBER_ME_TOKEN_LIFETIME",
        "SESSION_REMEMBER_ME_IDLE_TIMEOUT",
        "SESSION_REMEMBER_ME_ABSOLUTE_TIMEOUT",
        "SESSION_GUEST_TOKEN_LIFETIME",
        "SESSION_GUEST_IDLE_TIMEOUT",
        "SESSION_GUEST_ABSOLUTE_TIMEOUT",
        "SESSION_SECRET",
        "DEMO_SHORT",
        "DEMO_ADDR",
        "DEMO_CORS_ORIGINS",
    ] {
        let line = |line: &str| line.trim_start_matches('#').starts_with(&format!("{name}="));
        assert!(EXAMPLE.lines().any(line), "{name} is not in .env.example");
    }
}
