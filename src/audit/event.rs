//! What an auditor asks for: typed events.

use std::{borrow::Cow, time::Duration};

use serde_json::json;

use crate::{
    audit::{AuditRecord, LogCategory},
    identity::{Scope, Scopes, StoreKey},
    policy::TimeoutOverrides,
    rejection::RejectionKind,
    rules::ExpiryReason,
    time::Timestamp,
};

/// Something that an auditor wants to know of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditEvent {
    /// A token was turned away.
    TokenRejected {
        /// As what.
        code: RejectionKind,
    },
    /// A user signed in.
    SessionStarted,
    /// A token was renewed, or a refresh token exchanged.
    SessionRenewed,
    /// The claims source denied a renewal.
    RenewalDenied,
    /// A session ran out, and a request or a refresh found out.
    SessionExpired {
        /// By which limit.
        limit: ExpiryReason,
        /// How long after its last activity.
        inactive_for: Duration,
    },
    /// A session was ended: signed out, or revoked.
    SessionEnded,
    /// All sessions of a scope were ended; their number joins as `revoked_count`.
    SessionsRevokedBulk {
        /// The scope.
        scope: Scope,
    },
    /// An account's owner changed its policy.
    SessionPolicyUpdate {
        /// What was overridden.
        old: TimeoutOverrides,
        /// What is overridden now.
        new: TimeoutOverrides,
        /// What was in force.
        effective_old: TimeoutOverrides,
        /// What is in force now.
        effective_new: TimeoutOverrides,
    },
    /// A refresh token was presented a second time, and its session revoked (RFC 9700 section
    /// 4.14.2).
    RefreshReuseDetected,
}

impl AuditEvent {
    /// What there is to say of a rejection; nothing where no token was presented, or nobody knows
    /// what it is worth.
    #[must_use]
    pub const fn from_rejection(code: RejectionKind, inactive_for: Duration) -> Option<Self> {
        Some(match code {
            RejectionKind::SessionExpiredIdle => {
                Self::SessionExpired { limit: ExpiryReason::Idle, inactive_for }
            }
            RejectionKind::SessionExpiredAbsolute => {
                Self::SessionExpired { limit: ExpiryReason::Absolute, inactive_for }
            }
            RejectionKind::MissingToken
            | RejectionKind::RecentAuthenticationRequired
            | RejectionKind::StoreUnavailable => return None,
            code => Self::TokenRejected { code },
        })
    }

    /// The event's name, such as `session_started`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TokenRejected { .. } => "token_rejected",
            Self::SessionStarted => "session_started",
            Self::SessionRenewed => "session_renewed",
            Self::RenewalDenied => "renewal_denied",
            Self::SessionExpired { .. } => "session_expired",
            Self::SessionEnded => "session_ended",
            Self::SessionsRevokedBulk { .. } => "sessions_revoked_bulk",
            Self::SessionPolicyUpdate { .. } => "session_policy_update",
            Self::RefreshReuseDetected => "refresh_reuse_detected",
        }
    }

    /// What there is to say about it, in JSON; durations in whole seconds.
    fn detail(&self) -> Cow<'static, str> {
        let detail = match self {
            Self::TokenRejected { code } => json!({ "code": code.code() }),
            Self::SessionExpired { limit, inactive_for } => json!({
                "limit": match limit {
                    ExpiryReason::Absolute => "absolute",
                    ExpiryReason::Idle => "idle",
                    ExpiryReason::Token => "token",
                },
                "inactive_for": inactive_for.as_secs(),
            }),
            Self::SessionsRevokedBulk { scope } => json!({
                "scope": match scope {
                    Scope::User(_) => "subject",
                    Scope::Account(_) => "account",
                    Scope::Everything(_) => "everything",
                },
            }),
            Self::SessionPolicyUpdate { old, new, effective_old, effective_new } => json!({
                "old": limits(*old),
                "new": limits(*new),
                "effective_old": limits(*effective_old),
                "effective_new": limits(*effective_new),
            }),
            Self::SessionStarted
            | Self::SessionRenewed
            | Self::RenewalDenied
            | Self::SessionEnded
            | Self::RefreshReuseDetected => return "{}".into(),
        };
        detail.to_string().into()
    }

    /// The row of the security log that says it.
    #[must_use]
    pub fn row(&self, at: Timestamp, about: &AuditSubject) -> AuditRecord {
        AuditRecord {
            at,
            category: LogCategory::Security,
            session: about.session,
            user: about.user,
            account: about.account,
            event: self.name().into(),
            detail: self.detail(),
        }
    }
}

fn limits(overrides: TimeoutOverrides) -> serde_json::Value {
    json!({
        "idle_timeout": overrides.idle.map(|idle| idle.as_secs()),
        "absolute_timeout": overrides.absolute.map(|absolute| absolute.as_secs()),
    })
}

/// Whom an event is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditSubject {
    /// [`StoreKey::session`].
    pub session: Option<StoreKey>,
    /// [`StoreKey::user`].
    pub user: Option<StoreKey>,
    /// [`StoreKey::account`].
    pub account: Option<StoreKey>,
}

impl AuditSubject {
    /// The session of this key and these scopes.
    #[must_use]
    pub const fn session(session: StoreKey, scopes: &Scopes) -> Self {
        Self { session: Some(session), user: Some(scopes.user), account: scopes.account }
    }

    /// A whole scope.
    #[must_use]
    pub const fn scope(scope: Scope) -> Self {
        let nobody = Self { session: None, user: None, account: None };
        match scope {
            Scope::User(user) => Self { user: Some(user), ..nobody },
            Scope::Account(account) => Self { account: Some(account), ..nobody },
            Scope::Everything(_) => nobody,
        }
    }
}
