//! The fields of an audit event as JSON.

use std::{borrow::Cow, time::Duration};

use serde_json::{Value, json};

use super::{AuditEvent, SessionEndCause};
use crate::{
    identity::CutoffScope, policy::TimeoutOverrides, rejection::RejectionKind, rules::ExpiryReason,
};

const SCOPES: [(CutoffScope, &str); 5] = [
    (CutoffScope::Session, "session"),
    (CutoffScope::User, "user"),
    (CutoffScope::Subject, "subject"),
    (CutoffScope::Account, "account"),
    (CutoffScope::Issuer, "issuer"),
];

const CAUSES: [(SessionEndCause, &str); 5] = [
    (SessionEndCause::SignedOut, "signed_out"),
    (SessionEndCause::Revoked, "revoked"),
    (SessionEndCause::Replaced, "replaced"),
    (SessionEndCause::SessionLimit, "session_limit"),
    (SessionEndCause::ClaimsSource, "claims_source"),
];

const REASONS: [(ExpiryReason, &str); 3] = [
    (ExpiryReason::Absolute, "absolute"),
    (ExpiryReason::Idle, "idle"),
    (ExpiryReason::Token, "token"),
];

pub(super) fn write(event: &AuditEvent) -> Cow<'_, str> {
    let detail = match event {
        AuditEvent::TokenRejected { code, cause: None } => json!({ "code": code.code() }),
        AuditEvent::TokenRejected { code, cause: Some(cause) } => {
            json!({ "code": code.code(), "cause": cause })
        }
        AuditEvent::SessionExpired { reason, inactive_for } => json!({
            "reason": name_of(&REASONS, reason),
            "inactive_for": inactive_for.as_secs(),
        }),
        AuditEvent::SessionEnded { cause } => json!({ "cause": name_of(&CAUSES, cause) }),
        AuditEvent::SessionsRevokedBulk { scope, revoked_count } => json!({
            "scope": name_of(&SCOPES, scope),
            "revoked_count": revoked_count,
        }),
        AuditEvent::ClaimsChanged { scope } => json!({ "scope": name_of(&SCOPES, scope) }),
        AuditEvent::SessionPolicyUpdate { old, new, effective_old, effective_new } => json!({
            "old": write_timeouts(*old),
            "new": write_timeouts(*new),
            "effective_old": write_timeouts(*effective_old),
            "effective_new": write_timeouts(*effective_new),
        }),
        AuditEvent::SessionStarted
        | AuditEvent::SessionRenewed
        | AuditEvent::RenewalDenied
        | AuditEvent::RefreshReuseDetected => return Cow::Borrowed("{}"),
        AuditEvent::Unknown { detail, .. } => return Cow::Borrowed(detail),
    };
    detail.to_string().into()
}

/// Returns `None` if this version does not know the event or one of the values in it.
pub(super) fn read(name: &str, detail: &str) -> Option<AuditEvent> {
    let simple = |event| (detail == "{}").then_some(event);
    match name {
        "session_started" => return simple(AuditEvent::SessionStarted),
        "session_renewed" => return simple(AuditEvent::SessionRenewed),
        "renewal_denied" => return simple(AuditEvent::RenewalDenied),
        "refresh_reuse_detected" => return simple(AuditEvent::RefreshReuseDetected),
        _ => {}
    }
    let detail: Value = serde_json::from_str(detail).ok()?;
    Some(match name {
        "token_rejected" => AuditEvent::TokenRejected {
            code: RejectionKind::from_code(detail.get("code")?.as_str()?)?,
            cause: match detail.get("cause") {
                Some(cause) => Some(cause.as_str()?.to_owned().into()),
                None => None,
            },
        },
        "session_expired" => AuditEvent::SessionExpired {
            reason: value_of(&REASONS, detail.get("reason")?.as_str()?)?,
            inactive_for: Duration::from_secs(detail.get("inactive_for")?.as_u64()?),
        },
        "session_ended" => {
            AuditEvent::SessionEnded { cause: value_of(&CAUSES, detail.get("cause")?.as_str()?)? }
        }
        "sessions_revoked_bulk" => AuditEvent::SessionsRevokedBulk {
            scope: value_of(&SCOPES, detail.get("scope")?.as_str()?)?,
            revoked_count: detail.get("revoked_count")?.as_u64()?,
        },
        "claims_changed" => {
            AuditEvent::ClaimsChanged { scope: value_of(&SCOPES, detail.get("scope")?.as_str()?)? }
        }
        "session_policy_update" => AuditEvent::SessionPolicyUpdate {
            old: read_timeouts(detail.get("old")?)?,
            new: read_timeouts(detail.get("new")?)?,
            effective_old: read_timeouts(detail.get("effective_old")?)?,
            effective_new: read_timeouts(detail.get("effective_new")?)?,
        },
        _ => return None,
    })
}

fn write_timeouts(overrides: TimeoutOverrides) -> Value {
    json!({
        "idle_timeout": overrides.idle.map(|idle| idle.as_secs()),
        "absolute_timeout": overrides.absolute.map(|absolute| absolute.as_secs()),
    })
}

fn read_timeouts(value: &Value) -> Option<TimeoutOverrides> {
    let read = |name| match value.get(name)? {
        Value::Null => Some(None),
        secs => secs.as_u64().map(Duration::from_secs).map(Some),
    };
    Some(TimeoutOverrides { idle: read("idle_timeout")?, absolute: read("absolute_timeout")? })
}

fn name_of<T: Copy + PartialEq>(names: &[(T, &'static str)], value: &T) -> &'static str {
    names.iter().find(|(known, _)| known == value).map_or("unknown", |(_, name)| name)
}

fn value_of<T: Copy>(names: &[(T, &'static str)], name: &str) -> Option<T> {
    names.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_event() -> Vec<AuditEvent> {
        let secs = Duration::from_secs;
        let none = TimeoutOverrides::default();
        let some = TimeoutOverrides { idle: Some(secs(300)), absolute: Some(secs(3600)) };
        let mut events = vec![
            AuditEvent::SessionStarted,
            AuditEvent::SessionRenewed,
            AuditEvent::RenewalDenied,
            AuditEvent::RefreshReuseDetected,
            AuditEvent::TokenRejected { code: RejectionKind::InvalidToken, cause: None },
            AuditEvent::TokenRejected {
                code: RejectionKind::SessionRevoked,
                cause: Some("user_cutoff".into()),
            },
            AuditEvent::SessionPolicyUpdate {
                old: none,
                new: some,
                effective_old: some,
                effective_new: none,
            },
        ];
        events.extend(
            REASONS.map(|(reason, _)| AuditEvent::SessionExpired { reason, inactive_for: secs(7) }),
        );
        events.extend(SCOPES.map(|(scope, _)| AuditEvent::ClaimsChanged { scope }));
        events.extend(CAUSES.map(|(cause, _)| AuditEvent::SessionEnded { cause }));
        events.extend(
            SCOPES.map(|(scope, _)| AuditEvent::SessionsRevokedBulk { scope, revoked_count: 9 }),
        );
        events
    }

    #[test]
    fn every_event_is_read_back_as_it_was_written() {
        for event in every_event() {
            assert_eq!(AuditEvent::from_stored(event.name(), &event.detail()), event);
        }
    }

    #[test]
    fn the_guide_lists_every_event() {
        let guide = include_str!("../../guide/observability.rs");
        for event in every_event() {
            assert!(guide.contains(&format!("| `{}` |", event.name())), "{}", event.name());
        }
    }

    #[test]
    fn an_event_of_a_later_version_keeps_its_name_and_detail() {
        for (name, detail) in [
            ("session_moved", r#"{"to":"mars"}"#),
            ("session_started", r#"{"by":"passkey"}"#),
            ("session_expired", r#"{"reason":"curfew","inactive_for":1}"#),
            ("token_rejected", r#"{"code":"not_yet_defined"}"#),
            ("sessions_revoked_bulk", "no JSON"),
        ] {
            let event = AuditEvent::from_stored(name, detail);
            let unknown = AuditEvent::Unknown { name: name.into(), detail: detail.into() };
            assert_eq!(event, unknown, "{name}");
            assert_eq!((event.name(), &*event.detail()), (name, detail));
        }
    }
}
