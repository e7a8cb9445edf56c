use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::policy::PolicyBuilder;

const AUTH: Timestamp = Timestamp::from_secs(1_800_000_000);
const MS: Duration = Duration::from_millis(1);

fn builder() -> PolicyBuilder {
    Policy::builder()
        .token_lifetime(Duration::from_secs(3600))
        .absolute_timeout(Duration::from_secs(43_200))
        .renew_min_interval(Duration::ZERO)
}

fn policy() -> Policy {
    builder().build().expect("legal")
}

fn token(iat: u64, exp: u64) -> SessionClaims {
    let mut claims = SessionClaims::new("ada", "s1", AUTH, after(exp));
    claims.iat = after(iat);
    claims
}

fn after(secs: u64) -> Timestamp {
    AUTH + Duration::from_secs(secs)
}

#[test]
fn a_renewal_is_due_strictly_below_the_threshold() {
    let due = |policy: &Policy, now| renewal_times(&token(0, 3600), policy, now).is_some();
    let at = after(1800);
    assert_eq!([at - MS, at, at + MS].map(|now| due(&policy(), now)), [false, false, true]);
    let tenth = builder().renew_threshold(0.1).build().expect("legal");
    let at = after(3240);
    assert_eq!([at - MS, at, at + MS].map(|now| due(&tenth, now)), [false, false, true]);
    let always = builder().renew_always().build().expect("legal");
    assert!(due(&always, AUTH + Duration::from_secs(1)));
    let never = builder().renew(false).build().expect("legal");
    assert!(!due(&never, after(3599)));
}

#[test]
fn a_successor_is_written_in_whole_seconds() {
    let now = after(2000) + Duration::from_millis(999);
    let successor = renewal_times(&token(0, 3600), &policy(), now).expect("due");
    assert_eq!(successor, TokenTimes { iat: after(2000), exp: after(5600) });
}

#[test]
fn p01_no_successor_passes_the_absolute_deadline() {
    let near = renewal_times(&token(39_000, 42_600), &policy(), after(42_000)).expect("due");
    assert_eq!(near.exp, after(43_200));
    // At the cap there is nothing left to gain, not even under `Always`.
    assert_eq!(renewal_times(&token(42_000, 43_200), &policy(), after(43_000)), None);
    let always = builder().renew_always().build().expect("legal");
    assert_eq!(renewal_times(&token(42_000, 43_200), &always, after(43_000)), None);
}

#[test]
fn always_also_mints_an_equal_one() {
    let always = builder().renew_always().build().expect("legal");
    let equal = renewal_times(&token(0, 3600), &always, AUTH).expect("an equal successor");
    assert_eq!(equal.exp, after(3600));
}

#[test]
fn p19_a_longer_policy_reaches_the_successor_but_not_the_cap_of_sign_in() {
    let mut claims = token(0, 3600);
    claims.abs_max = Some(Duration::from_secs(4000));
    let successor = renewal_times(&claims, &policy(), after(3000)).expect("due");
    assert_eq!(successor.exp, after(4000));
}

#[test]
fn p20_a_shortened_lifetime_moves_the_threshold() {
    let short = builder().token_lifetime(Duration::from_secs(600)).build().expect("legal");
    let due = |now| renewal_times(&token(0, 3600), &short, now);
    assert_eq!(due(after(300)), None);
    assert_eq!(due(after(300) + MS).expect("due").exp, after(900));
}

#[test]
fn p28_the_rate_is_waived_for_a_token_that_could_not_wait() {
    let policy = builder().renew_min_interval(Duration::from_secs(60)).build().expect("legal");
    let waived = |now| waives_rate(&token(0, 3600), &policy, now);
    let at = after(3540);
    assert_eq!([at - MS, at, at + MS].map(waived), [false, true, true]);
}

proptest! {
    #[test]
    fn p01_no_chain_of_renewals_passes_the_cap(
        lifetime in 2u64..5000,
        absolute in 5000u64..20_000,
        threshold in 0.01f64..1.0,
        steps in prop::collection::vec(1u64..5_000_000, 1..60),
    ) {
        let policy = Policy::builder()
            .token_lifetime(Duration::from_secs(lifetime))
            .idle_timeout(Duration::from_secs(lifetime))
            .absolute_timeout(Duration::from_secs(absolute))
            .renew_threshold(threshold)
            .renew_min_interval(Duration::ZERO)
            .build()
            .expect("legal");
        let mut claims = token(0, lifetime);
        let mut now = AUTH;
        for step in steps {
            now = (now + Duration::from_millis(step)).min(claims.exp - MS);
            let before = claims.exp;
            if let Some(next) = renewal_times(&claims, &policy, now) {
                claims.iat = next.iat;
                claims.exp = next.exp;
                prop_assert!(next.exp > before);
            }
            prop_assert!(claims.exp <= after(absolute));
        }
    }
}
