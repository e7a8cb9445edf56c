//! What the headers of a response say about the session.

use std::time::Duration;

use http::{HeaderMap, header::WWW_AUTHENTICATE};

use crate::{
    rejection::{RejectionKind, SESSION_ERROR},
    request_class::HeaderOccurrence,
};

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
