//! What an auditor asks for: typed events.

use std::{borrow::Cow, time::Duration};

use serde_json::json;

use crate::{
    rejection::RejectionKind,
    rules::{Limit, Overrides, Timestamp},
    store::{Key, LogCategory, LogRow, Scope, Scopes},
    token::VerifiedToken,
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
        limit: Limit,
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
        old: Overrides,
        /// What is overridden now.
        new: Overrides,
        /// What was in force.
        effective_old: Overrides,
        /// What is in force now.
        effective_new: Overrides,
    },
    /// A refresh token was presented a second time, and its session revoked (RFC 9700 section
    /// 4.14.2).
    RefreshReuseDetected,
}

impl AuditEvent {
    /// What there is to say of a rejection; nothing where no token was presented, or nobody knows
    /// what it is worth.
    #[must_use]
    pub const fn of_rejection(code: RejectionKind, inactive_for: Duration) -> Option<Self> {
        Some(match code {
            RejectionKind::SessionExpiredIdle => {
                Self::SessionExpired { limit: Limit::Idle, inactive_for }
            }
            RejectionKind::SessionExpiredAbsolute => {
                Self::SessionExpired { limit: Limit::Absolute, inactive_for }
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
                    Limit::Absolute => "absolute",
                    Limit::Idle => "idle",
                    Limit::Token => "token",
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
    pub fn row(&self, at: Timestamp, about: &About) -> LogRow {
        LogRow {
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

fn limits(overrides: Overrides) -> serde_json::Value {
    json!({
        "idle_timeout": overrides.idle.map(|idle| idle.as_secs()),
        "absolute_timeout": overrides.absolute.map(|absolute| absolute.as_secs()),
    })
}

/// Whom an event is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// [`Key::session`].
    pub session: Option<Key>,
    /// [`Key::user`].
    pub user: Option<Key>,
    /// [`Key::account`].
    pub account: Option<Key>,
}

impl About {
    /// The session of `token`.
    #[must_use]
    pub fn token(token: &VerifiedToken) -> Self {
        Self::session(token.session_key(), token.scopes())
    }

    /// The session of this key and these scopes.
    #[must_use]
    pub const fn session(session: Key, scopes: &Scopes) -> Self {
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
