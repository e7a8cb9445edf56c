use super::*;

const MS: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(u64::MAX);
const NEXT_LONGEST: Duration = Duration::from_millis(u64::MAX - 1);

#[test]
fn p13_sums_and_differences_saturate() {
    for (reached, expected) in [
        (Timestamp::MAX + MS, Timestamp::MAX),
        (Timestamp::MAX + Duration::MAX, Timestamp::MAX),
        (Timestamp::EPOCH + Duration::MAX, Timestamp::MAX),
        (Timestamp::EPOCH + (LONGEST + MS), Timestamp::MAX),
        (Timestamp::EPOCH + LONGEST, Timestamp::MAX),
        (Timestamp::EPOCH + NEXT_LONGEST, Timestamp::MAX - MS),
        (Timestamp::EPOCH - MS, Timestamp::EPOCH),
        (Timestamp::MAX - Duration::MAX, Timestamp::EPOCH),
        (Timestamp::MAX - NEXT_LONGEST, Timestamp::EPOCH + MS),
        (Timestamp::from_secs(u64::MAX), Timestamp::MAX),
        (Timestamp::from_secs(7), Timestamp::from_millis(7000)),
    ] {
        assert_eq!(reached, expected);
    }
    assert_eq!(Timestamp::EPOCH.since(Timestamp::MAX), Duration::ZERO);
    assert_eq!(Timestamp::MAX.since(Timestamp::EPOCH), LONGEST);
}

#[test]
fn p13_seconds_are_rounded_down() {
    for (millis, secs) in [(0, 0), (999, 0), (1000, 1), (1999, 1), (u64::MAX, u64::MAX / 1000)] {
        let at = Timestamp::from_millis(millis);
        assert_eq!(at.as_millis(), millis);
        assert_eq!((at.as_secs(), at.floor_to_secs()), (secs, Timestamp::from_secs(secs)));
    }
}

#[test]
fn p13_a_claim_has_no_instant_later_than_the_year_9999() {
    let last = Timestamp::from_secs(MAX_CLAIM_SECS);
    assert!(last.fits_a_claim() && (last + 999 * MS).fits_a_claim());
    assert!(!(last + 1000 * MS).fits_a_claim() && !Timestamp::MAX.fits_a_claim());
    assert_eq!(last.to_string(), "9999-12-31T23:59:59Z");
    assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59Z");
    assert_eq!(Timestamp::from_millis(1_800_000_000_999).to_string(), "2027-01-15T08:00:00Z");
}

#[test]
fn p13_a_system_time_converts_both_ways() {
    for at in [Timestamp::EPOCH, Timestamp::from_millis(1_800_000_000_999)] {
        assert_eq!(Timestamp::try_from(SystemTime::from(at)), Ok(at));
    }
    let last = Timestamp::from_millis(MAX_CLAIM_SECS * 1000 + 999);
    assert_eq!(SystemTime::from(Timestamp::MAX), SystemTime::from(last));
    assert!(Timestamp::try_from(UNIX_EPOCH - MS).is_err());
    assert_eq!(Timestamp::try_from(UNIX_EPOCH + MS / 2), Ok(Timestamp::EPOCH));
}

#[test]
fn a_timestamp_serializes_as_rfc_3339() {
    let at = Timestamp::from_secs(1_800_000_000);
    let json = serde_json::to_string(&at).unwrap();
    assert_eq!(json, r#""2027-01-15T08:00:00Z""#);
    assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), at);
    let millis: Timestamp = serde_json::from_str(r#""2027-01-15T08:00:00.250Z""#).unwrap();
    assert_eq!(millis, at + 250 * MS);
    for invalid in [r#""2027-01-15T08:00:00+01:00""#, r#""2027-01-15""#, r#""""#, "1800000000"] {
        assert!(serde_json::from_str::<Timestamp>(invalid).is_err(), "{invalid}");
    }
}

#[test]
fn a_claim_is_refined_by_an_instant_of_its_second_only() {
    let claim = Timestamp::from_secs(10);
    for (millis, expected) in [
        (0, 10_000),
        (9_999, 10_000),
        (10_000, 10_000),
        (10_001, 10_001),
        (10_999, 10_999),
        (11_000, 10_000),
        (u64::MAX, 10_000),
    ] {
        let refined = claim.refined_by(Timestamp::from_millis(millis));
        assert_eq!(refined.as_millis(), expected, "{millis}");
    }
    assert_eq!(Timestamp::MAX.refined_by(Timestamp::EPOCH), Timestamp::MAX);
}
