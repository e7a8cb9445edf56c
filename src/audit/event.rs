//! The events of the audit log.

mod detail;

use std::{borrow::Cow, sync::Arc, time::Duration};

use crate::{
    identity::CutoffScope, policy::TimeoutOverrides, rejection::RejectionKind, rules::ExpiryReason,
};

/// What an audit record reports.
///
/// A sink or store that writes text uses [`name`](Self::name) and [`detail`](Self::detail), and
/// [`from_stored`](Self::from_stored) to read them back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditEvent {
    /// A token was rejected.
    TokenRejected {
        /// The kind of the rejection.
        code: RejectionKind,
        /// The stable name of the rejection's cause, such as `signature` or `user_cutoff`; the
        /// client never sees it.
        cause: Option<Cow<'static, str>>,
    },
    /// A user signed in.
    SessionStarted,
    /// An access token was renewed, or a refresh token exchanged.
    SessionRenewed,
    /// The claims source denied a renewal.
    RenewalDenied,
    /// A request or a refresh found that its session had expired.
    SessionExpired {
        /// The deadline that passed.
        reason: ExpiryReason,
        /// The time since the last activity.
        inactive_for: Duration,
    },
    /// A session was signed out, revoked or replaced.
    SessionEnded {
        /// What ended it.
        cause: SessionEndCause,
    },
    /// All sessions of a scope were revoked.
    SessionsRevokedBulk {
        /// The kind of scope; the record's subject names which one.
        scope: CutoffScope,
        /// How many active sessions were revoked, as far as the store knew them.
        revoked_count: u64,
    },
    /// The claims of a scope were changed: its tokens get current ones at their next request.
    ClaimsChanged {
        /// The kind of scope; the record's subject names which one.
        scope: CutoffScope,
    },
    /// The policy of an account was changed.
    SessionPolicyUpdate {
        /// The overrides before.
        old: TimeoutOverrides,
        /// The overrides after.
        new: TimeoutOverrides,
        /// The effective timeouts before.
        effective_old: TimeoutOverrides,
        /// The effective timeouts after.
        effective_new: TimeoutOverrides,
    },
    /// A refresh token was presented again after its exchange, and its session was revoked (RFC
    /// 9700 section 4.14.2).
    RefreshReuseDetected,
    /// An event that this version of the crate does not know, as a store returned it.
    Unknown {
        /// Its name.
        name: Arc<str>,
        /// Its detail, as it was stored.
        detail: Arc<str>,
    },
}

/// What ended a session, as its audit record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEndCause {
    /// Its user signed out.
    SignedOut,
    /// It was revoked by its `sid`.
    Revoked,
    /// A step-up has replaced it with another session.
    Replaced,
    /// The subject signed in elsewhere and had as many sessions as it may have.
    SessionLimit,
    /// The claims source ended it.
    ClaimsSource,
}

impl AuditEvent {
    /// Creates the event for a rejected token. Returns `None` if no token was presented, or if the
    /// rejection says nothing about the token.
    #[must_use]
    pub const fn from_rejection(code: RejectionKind, inactive_for: Duration) -> Option<Self> {
        Some(match code {
            RejectionKind::SessionExpiredIdle => {
                Self::SessionExpired { reason: ExpiryReason::Idle, inactive_for }
            }
            RejectionKind::SessionExpiredAbsolute => {
                Self::SessionExpired { reason: ExpiryReason::Absolute, inactive_for }
            }
            RejectionKind::MissingToken
            | RejectionKind::RecentAuthenticationRequired
            | RejectionKind::StoreUnavailable => return None,
            code => Self::TokenRejected { code, cause: None },
        })
    }

    /// Sets the stable name of the cause, if this is a rejected token.
    #[must_use]
    pub fn with_cause(mut self, name: Option<&'static str>) -> Self {
        if let Self::TokenRejected { cause, .. } = &mut self {
            *cause = name.map(Cow::Borrowed);
        }
        self
    }

    /// Reads an event back from its name and detail. What this version does not know becomes
    /// [`Unknown`](Self::Unknown).
    #[must_use]
    pub fn from_stored(name: &str, detail: &str) -> Self {
        detail::read(name, detail)
            .unwrap_or_else(|| Self::Unknown { name: name.into(), detail: detail.into() })
    }

    /// Returns the event's name, such as `session_started`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::TokenRejected { .. } => "token_rejected",
            Self::SessionStarted => "session_started",
            Self::SessionRenewed => "session_renewed",
            Self::RenewalDenied => "renewal_denied",
            Self::SessionExpired { .. } => "session_expired",
            Self::SessionEnded { .. } => "session_ended",
            Self::SessionsRevokedBulk { .. } => "sessions_revoked_bulk",
            Self::ClaimsChanged { .. } => "claims_changed",
            Self::SessionPolicyUpdate { .. } => "session_policy_update",
            Self::RefreshReuseDetected => "refresh_reuse_detected",
            Self::Unknown { name, .. } => name,
        }
    }

    /// Returns whether a client can cause any number of these events while nothing changes but
    /// tokens: renewals, and refusals of tokens. A log bounds their records apart from others, so
    /// that they displace none of those.
    #[must_use]
    pub const fn is_repeatable(&self) -> bool {
        matches!(self, Self::SessionRenewed) || self.refusal_code().is_some()
    }

    /// Returns the code of a refusal.
    pub(super) const fn refusal_code(&self) -> Option<&'static str> {
        Some(match self {
            Self::TokenRejected { code, .. } => code.code(),
            Self::SessionExpired { reason: ExpiryReason::Absolute, .. } => {
                RejectionKind::SessionExpiredAbsolute.code()
            }
            Self::SessionExpired { reason: ExpiryReason::Idle, .. } => {
                RejectionKind::SessionExpiredIdle.code()
            }
            Self::SessionExpired { reason: ExpiryReason::Token, .. } => {
                RejectionKind::TokenExpired.code()
            }
            Self::RenewalDenied => "renewal_denied",
            _ => return None,
        })
    }

    /// Returns the event's fields as a JSON object, with durations in whole seconds.
    #[must_use]
    pub fn detail(&self) -> Cow<'_, str> {
        detail::write(self)
    }
}
