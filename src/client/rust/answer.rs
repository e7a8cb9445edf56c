//! What the headers of a response say about the session.

use std::time::Duration;

use http::{HeaderMap, HeaderName, header::WWW_AUTHENTICATE};

use super::event::ClientEvent;
use crate::{body::SESSION_ERROR, rejection::RejectionKind, request_class::HeaderOccurrence};

const SESSION_EXPIRES: HeaderName = HeaderName::from_static("session-expires");

/// The kind of the rejection, if the response is one of this crate. A 401 without `Session-Error` is
/// of somebody else, and says nothing about the session.
pub(super) fn rejection_of(headers: &HeaderMap) -> Option<RejectionKind> {
    let HeaderOccurrence::Once(code) = HeaderOccurrence::from_headers(headers, &SESSION_ERROR)
    else {
        return None;
    };
    RejectionKind::from_code(code.to_str().ok()?)
}

/// The `max_age` of a challenge (RFC 9470 section 3).
pub(super) fn max_age_of(headers: &HeaderMap) -> Option<Duration> {
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|it| it.to_str().ok());
    let ours = challenges.filter(|it| it.contains("insufficient_user_authentication"));
    let seconds = ours.filter_map(|it| {
        let (_, rest) = it.split_once("max_age=")?;
        let digits = rest.trim_start_matches('"');
        let end = digits.find(|it: char| !it.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().ok()
    });
    seconds.map(Duration::from_secs).next()
}

/// The event of a response with `Session-Expires`: `idle=1140, absolute=86400, renewable`, as a
/// dictionary of RFC 9651. Members that are unknown are skipped.
pub(super) fn expiry_of(headers: &HeaderMap) -> Option<ClientEvent> {
    let HeaderOccurrence::Once(value) = HeaderOccurrence::from_headers(headers, &SESSION_EXPIRES)
    else {
        return None;
    };
    let (mut idle, mut absolute, mut is_renewable) = (None, None, false);
    for member in value.to_str().ok()?.split(',').map(str::trim) {
        let seconds = |digits: &str| digits.parse().ok().map(Duration::from_secs);
        match member.split_once('=') {
            Some(("idle", digits)) => idle = seconds(digits),
            Some(("absolute", digits)) => absolute = seconds(digits),
            None if member == "renewable" => is_renewable = true,
            _ => {}
        }
    }
    (idle.is_some() || absolute.is_some()).then_some(ClientEvent::Expiring {
        idle,
        absolute,
        is_renewable,
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_one_known_code_is_a_rejection() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(SESSION_ERROR, HeaderValue::from_static(value));
            }
            rejection_of(&headers)
        };
        assert_eq!(of(&["token_expired"]), Some(RejectionKind::TokenExpired));
        for values in [&[][..], &["token_expired", "token_expired"], &["unknown"], &[""]] {
            assert_eq!(of(values), None, "{values:?}");
        }
    }

    #[test]
    fn the_expiry_is_read_from_one_header() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(SESSION_EXPIRES, HeaderValue::from_static(value));
            }
            expiry_of(&headers)
        };
        let expiring = |idle: Option<u64>, absolute: Option<u64>, is_renewable| {
            let [idle, absolute] = [idle, absolute].map(|it| it.map(Duration::from_secs));
            Some(ClientEvent::Expiring { idle, absolute, is_renewable })
        };
        for (value, expected) in [
            ("idle=1140, absolute=86400, renewable", expiring(Some(1140), Some(86400), true)),
            ("absolute=5,idle=0", expiring(Some(0), Some(5), false)),
            ("idle=7, other=8, another", expiring(Some(7), None, false)),
            ("idle=-7, absolute=1", expiring(None, Some(1), false)),
            ("idle=99999999999999999999", None),
            ("renewable", None),
            ("", None),
        ] {
            assert_eq!(of(&[value]), expected, "{value}");
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["idle=1", "idle=2"]), None, "which of them?");
    }

    #[test]
    fn max_age_is_in_the_challenge_of_a_step_up() {
        let of = |challenge: &'static str| {
            let challenge = HeaderValue::from_static(challenge);
            max_age_of(&HeaderMap::from_iter([(WWW_AUTHENTICATE, challenge)]))
        };
        let step_up = "Bearer error=\"insufficient_user_authentication\", ";
        assert!(step_up.contains("insufficient"));
        for (challenge, seconds) in [
            (r#"Bearer error="insufficient_user_authentication", max_age=300"#, Some(300)),
            (r#"Bearer error="insufficient_user_authentication", max_age="5", x=1"#, Some(5)),
            (r#"Bearer error="insufficient_user_authentication""#, None),
            (r#"Bearer error="insufficient_user_authentication", max_age="#, None),
            (
                r#"Bearer error="insufficient_user_authentication", max_age=99999999999999999999"#,
                None,
            ),
            (r#"Bearer error="invalid_token", max_age=300"#, None),
        ] {
            assert_eq!(of(challenge), seconds.map(Duration::from_secs), "{challenge}");
        }
    }
}
