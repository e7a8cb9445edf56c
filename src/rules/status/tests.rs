use proptest::prelude::*;

use super::*;

const AUTH: Timestamp = Timestamp::from_secs(1_800_000_000);
const MS: Duration = Duration::from_millis(1);

fn policy(idle: u64, absolute: u64, lifetime: u64) -> Policy {
    Policy::builder()
        .idle_timeout(Duration::from_secs(idle))
        .absolute_timeout(Duration::from_secs(absolute))
        .token_lifetime(Duration::from_secs(lifetime))
        .renew_min_interval(Duration::ZERO)
        .build()
        .expect("a policy without contradictions")
}

fn claims(lifetime: u64) -> SessionClaims {
    SessionClaims::new("ada", "s1", AUTH, AUTH + Duration::from_secs(lifetime))
}

/// Judged a millisecond before `deadline`, on it, and a millisecond after.
fn around(
    claims: &SessionClaims,
    last: Option<Timestamp>,
    policy: &Policy,
    deadline: Timestamp,
) -> [SessionStatus; 3] {
    [deadline - MS, deadline, deadline + MS].map(|now| status(claims, last, policy, now))
}

#[test]
fn every_deadline_ends_to_the_millisecond() {
    use ExpiryReason::{Absolute, Idle, Token};
    let after = |secs| AUTH + Duration::from_secs(secs);
    let cases = [
        // (idle, absolute, lifetime of policy and token), last activity, deadline, reason
        ((1200, 43_200, 3600), Some(AUTH), after(1200), Idle),
        ((1200, 43_200, 3600), Some(after(1000)), after(2200), Idle),
        ((1200, 43_200, 3600), Some(after(3000)), after(3600), Token),
        ((1200, 43_200, 3600), None, after(3600), Token),
        ((7200, 7200, 7200), Some(AUTH), after(7200), Absolute),
        ((7200, 7200, 7200), None, after(7200), Absolute),
        ((3600, 7200, 3600), Some(AUTH), after(3600), Idle),
        ((1800, 2000, 1900), Some(after(1000)), after(1900), Token),
        ((1800, 1900, 1900), Some(after(1000)), after(1900), Absolute),
    ];
    for ((idle, absolute, lifetime), last, deadline, reason) in cases {
        let verdicts = around(&claims(lifetime), last, &policy(idle, absolute, lifetime), deadline);
        let live = SessionStatus::Active { reason, until: deadline };
        assert_eq!(
            verdicts,
            [live, SessionStatus::Expired(reason), SessionStatus::Expired(reason)]
        );
    }
}

#[test]
fn the_earliest_passed_deadline_names_the_reason() {
    let late = AUTH + Duration::from_secs(1_000_000);
    let policy = policy(1200, 43_200, 3600);
    let over = |last| status(&claims(3600), last, &policy, late);
    assert_eq!(over(Some(AUTH)), SessionStatus::Expired(ExpiryReason::Idle));
    assert_eq!(
        over(Some(AUTH + Duration::from_secs(3000))),
        SessionStatus::Expired(ExpiryReason::Token)
    );
    assert_eq!(over(None), SessionStatus::Expired(ExpiryReason::Token));
}

#[test]
fn p12_skew_is_granted_to_the_future_only() {
    let skewed = |iat: Timestamp, nbf: Option<Timestamp>, auth_time: Timestamp| {
        let mut claims = SessionClaims::new("ada", "s1", auth_time, iat + Duration::from_secs(600));
        claims.iat = iat;
        claims.nbf = nbf;
        claims
    };
    let policy = policy(1200, 43_200, 3600);
    let five = Duration::from_secs(5);
    let is_possible = |claims: &SessionClaims| {
        !matches!(status(claims, None, &policy, AUTH), SessionStatus::Invalid(_))
    };
    assert!(is_possible(&skewed(AUTH + five, None, AUTH)));
    assert!(!is_possible(&skewed(AUTH + five + MS, None, AUTH)));
    assert!(is_possible(&skewed(AUTH, Some(AUTH + five), AUTH)));
    assert!(!is_possible(&skewed(AUTH, Some(AUTH + five + MS), AUTH)));
    assert!(is_possible(&skewed(AUTH, None, AUTH + five)));
    assert!(!is_possible(&skewed(AUTH, None, AUTH + five + 1000 * MS)));
}

#[test]
fn p12_leeway_is_granted_to_the_token_alone() {
    let long_lived = policy(1200, 43_200, 3600);
    let lenient = long_lived.to_builder().leeway(Duration::from_secs(30)).build().expect("legal");
    let exp = AUTH + Duration::from_secs(3600);
    assert_eq!(
        status(&claims(3600), None, &long_lived, exp),
        SessionStatus::Expired(ExpiryReason::Token)
    );
    let [before, at, _] = around(&claims(3600), None, &lenient, exp + Duration::from_secs(30));
    assert!(matches!(before, SessionStatus::Active { .. }));
    assert_eq!(at, SessionStatus::Expired(ExpiryReason::Token));

    let capped = policy(3600, 3600, 3600).to_builder().leeway(Duration::from_secs(30)).build();
    let verdict = status(&claims(3600), Some(exp), &capped.expect("legal"), exp);
    assert_eq!(verdict, SessionStatus::Expired(ExpiryReason::Absolute));
}

#[test]
fn p20_shortening_reaches_live_sessions_and_lengthening_revives_none() {
    let mut snapshot = claims(3600);
    snapshot.idle_max = Some(Duration::from_secs(1200));
    snapshot.abs_max = Some(Duration::from_secs(7200));
    let limits = |idle, absolute, lifetime| {
        let limits = Timeouts::effective(&snapshot, &policy(idle, absolute, lifetime));
        (limits.idle.as_secs(), limits.absolute.as_secs())
    };
    assert_eq!(limits(600, 3600, 600), (600, 3600));
    assert_eq!(limits(6000, 72_000, 600), (1200, 7200));
    let shortened = Deadlines::new(&snapshot, None, &policy(600, 3600, 900));
    assert_eq!(shortened.token, AUTH + Duration::from_secs(900));
    let lengthened = Deadlines::new(&snapshot, None, &policy(600, 72_000, 36_000));
    assert_eq!(lengthened.token, AUTH + Duration::from_secs(3600));
}

#[test]
fn p13_extreme_claims_saturate() {
    let mut extreme = SessionClaims::new("ada", "s1", Timestamp::MAX, Timestamp::MAX);
    extreme.idle_max = Some(Duration::MAX);
    extreme.abs_max = Some(Duration::MAX);
    let policy = policy(1200, 43_200, 3600);
    let verdict = status(&extreme, Some(Timestamp::MAX), &policy, AUTH);
    assert_eq!(verdict, SessionStatus::Invalid(InvalidTime::IssuedInFuture));
    extreme.auth_time = Timestamp::EPOCH;
    extreme.iat = Timestamp::EPOCH;
    let verdict = status(&extreme, None, &policy, Timestamp::MAX);
    assert_eq!(verdict, SessionStatus::Expired(ExpiryReason::Absolute));
}

#[test]
fn the_last_activity_is_the_later_of_store_and_token_but_never_the_future() {
    let mut claims = claims(3600);
    let now = AUTH + Duration::from_secs(60);
    assert_eq!(last_activity(&claims, None, now), AUTH);
    assert_eq!(last_activity(&claims, Some(now - MS), now), now - MS);
    assert_eq!(last_activity(&claims, Some(AUTH - MS), now), AUTH);
    claims.seen = Some(AUTH - Duration::from_secs(60));
    assert_eq!(last_activity(&claims, None, now), AUTH - Duration::from_secs(60));
    claims.seen = Some(now + Duration::from_secs(4));
    assert_eq!(last_activity(&claims, None, now), now);
}

#[test]
fn a_recent_sign_in_is_less_than_max_age_ago() {
    let max_age = Duration::from_secs(300);
    let at = AUTH + max_age;
    let recent = [at - MS, at, at + MS].map(|now| signed_in_within(&claims(9), max_age, now));
    assert_eq!(recent, [true, false, false]);
}

proptest! {
    #[test]
    fn the_verdict_is_monotone_in_now(
        idle in 1u64..100_000,
        lifetime in 1u64..100_000,
        more in 0u64..100_000,
        seen in 0u64..100_000_000,
        now in 0u64..300_000_000,
        later in 0u64..300_000_000,
    ) {
        let absolute = lifetime.max(idle) + more;
        let policy = policy(idle, absolute, lifetime);
        let last = Some(AUTH + Duration::from_millis(seen));
        let now = AUTH + Duration::from_millis(now);
        if let SessionStatus::Expired(reason) = status(&claims(lifetime), last, &policy, now) {
            let then = status(&claims(lifetime), last, &policy, now + Duration::from_millis(later));
            prop_assert_eq!(then, SessionStatus::Expired(reason));
        }
    }

    #[test]
    fn losing_an_activity_entry_only_ends_a_session_earlier(
        idle in 1u64..10_000,
        seen in 0u64..40_000_000,
        now in 0u64..50_000_000,
    ) {
        let policy = policy(idle, 43_200, 10_000);
        let claims = claims(10_000);
        let now = AUTH + Duration::from_millis(now);
        let stored = (AUTH + Duration::from_millis(seen)).min(now);
        let known = status(&claims, Some(last_activity(&claims, Some(stored), now)), &policy, now);
        let lost = status(&claims, Some(last_activity(&claims, None, now)), &policy, now);
        if matches!(lost, SessionStatus::Active { .. }) {
            let outlives = matches!(known, SessionStatus::Active { .. });
            prop_assert!(outlives, "{:?}", known);
        }
    }
}

#[test]
fn p33_deadlines_are_measured_from_the_millisecond_of_the_sign_in() {
    let policy = policy(7200, 7200, 7200);
    let signed_in = AUTH + 900 * MS;
    let claims = SessionClaims {
        auth_time: signed_in,
        iat: AUTH,
        ..SessionClaims::new("ada", "s1", AUTH, AUTH + Duration::from_secs(7200))
    };
    let deadline = signed_in + Duration::from_secs(7200);
    let live = SessionStatus::Active { reason: ExpiryReason::Absolute, until: deadline };
    let expired = SessionStatus::Expired(ExpiryReason::Absolute);
    assert_eq!(around(&claims, None, &policy, deadline), [live, expired, expired]);
    let idle = claims.proven_activity(deadline) + Duration::from_secs(7200);
    assert_eq!(idle, deadline, "the sign-in is an activity");

    // A token that does not last until the absolute deadline expires at its whole second.
    for exp in [AUTH + Duration::from_secs(7199), AUTH + Duration::from_secs(10)] {
        let claims = SessionClaims { exp, ..claims.clone() };
        let live = SessionStatus::Active { reason: ExpiryReason::Token, until: exp };
        let expired = SessionStatus::Expired(ExpiryReason::Token);
        assert_eq!(around(&claims, None, &policy, exp), [live, expired, expired]);
    }
}

#[test]
fn p33_a_sign_in_is_not_later_than_the_iat_of_its_second() {
    let policy = policy(3600, 7200, 3600).to_builder().max_clock_skew(Duration::ZERO).build();
    let policy = policy.expect("a policy without contradictions");
    for (millis, is_invalid) in [(999, false), (1000, true)] {
        let claims = SessionClaims { auth_time: AUTH + millis * MS, iat: AUTH, ..claims(3600) };
        let status = status(&claims, None, &policy, AUTH + 1000 * MS);
        assert_eq!(matches!(status, SessionStatus::Invalid(_)), is_invalid, "{millis}");
    }
}

/// The other issuer's token has a lifetime of its own, too, but the absolute timeout is the policy's.
#[test]
fn p33_an_old_token_is_active_until_its_exp() {
    use ExpiryReason::{Absolute, Token};
    let day = 86_400;
    for (minted_by, exp, ends, reason) in [
        (MintedBy::ThisCrate, 30 * day, 3600, Token),
        (MintedBy::OtherIssuer, 7200, 7200, Token),
        (MintedBy::OtherIssuer, 30 * day, day, Absolute),
        (MintedBy::EarlierSystem, 7200, 7200, Token),
        (MintedBy::EarlierSystem, 30 * day, 30 * day, Absolute),
        (MintedBy::EarlierSystem, 5000 * day, LONGEST_ADOPTION.as_secs(), Absolute),
    ] {
        let claims = SessionClaims { minted_by, ..claims(exp) };
        let end = AUTH + Duration::from_secs(ends);
        let [before, at, after] = around(&claims, None, &policy(day, day, 3600), end);
        assert_eq!(before, SessionStatus::Active { reason, until: end }, "{minted_by:?} {exp}");
        assert_eq!([at, after], [SessionStatus::Expired(reason); 2], "{minted_by:?} {exp}");
    }
}
