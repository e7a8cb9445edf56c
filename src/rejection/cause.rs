//! Causes of rejections, for logs, audit events and `MakeRejection`. A client never sees them.

use std::fmt;

use crate::{identity::CutoffScope, rules::InvalidTime};

/// Why a request was rejected, beyond the [kind](super::RejectionKind) that the client sees.
///
/// No part of a response depends on it: what exactly is wrong with a forged token would help
/// whoever forged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionCause {
    /// The token is not valid: `invalid_token`, `invalid_refresh_token`.
    InvalidToken(InvalidTokenReason),
    /// The session is revoked: `session_revoked`.
    Revoked(RevocationCause),
    /// The session is idle as far as the store knows, and other nodes may not have written yet what they
    /// know of its activity in an outage: `store_unavailable`, for ten seconds at most after the outage, or
    /// after the last request of the session that this node could not check.
    ActivityUnwritten,
}

impl RejectionCause {
    /// A stable name for logs and metrics, such as `signature` or `user_cutoff`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidToken(reason) => reason.as_str(),
            Self::Revoked(cause) => cause.as_str(),
            Self::ActivityUnwritten => "activity_unwritten",
        }
    }
}

impl fmt::Display for RejectionCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidToken(reason) => reason.fmt(f),
            Self::Revoked(cause) => cause.fmt(f),
            Self::ActivityUnwritten => {
                f.write_str("other nodes may not have written the activity of an outage yet")
            }
        }
    }
}

/// Which check of a token failed. It contains no text of the client: a claim is named by the name
/// that this crate gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidTokenReason {
    /// The request presents nothing that can be a token: `Bearer` with nothing after it, an empty
    /// cookie.
    NoToken,
    /// The request presents several tokens where one may stand.
    SeveralTokens,
    /// The token is longer than 8 KiB.
    TooLong,
    /// The token is not three parts of base64url.
    Malformed,
    /// The header is not a JSON object with a string `alg`.
    MalformedHeader,
    /// The header has a `crit` (RFC 7515 section 4.1.11): this crate implements no extension.
    CriticalHeader,
    /// The header's `typ` is the one of another kind of token.
    Type,
    /// No key has the token's `kid`, or the token has none and several keys are in question.
    UnknownKey,
    /// The header's `alg` is not the algorithm of the key.
    Algorithm,
    /// The signature is not the key's.
    Signature,
    /// The payload is not a JSON object.
    MalformedPayload,
    /// This claim has the wrong type, is out of range, or occurs twice.
    MalformedClaim(&'static str),
    /// This claim is required and absent.
    MissingClaim(&'static str),
    /// The `iss` claim is not an expected issuer.
    Issuer,
    /// The `aud` claim names no expected audience.
    Audience,
    /// The `nbf` claim is in the future.
    NotYetValid,
    /// The `iat` claim is in the future.
    IssuedInFuture,
    /// The `auth_time` claim is later than `iat`: the token would be older than the sign-in that
    /// it proves.
    IssuedBeforeSignIn,
    /// The token has no `sid` or no `auth_time`, and `LegacyTokens` does not adopt it.
    LegacyToken,
    /// The ticket is for another method or path.
    TicketForOtherRequest,
    /// The ticket has expired, was used before, or is unknown to the store.
    TicketUsed,
}

impl InvalidTokenReason {
    /// A stable name for logs and metrics, such as `signature`. Claims are not part of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::SeveralTokens => "several_tokens",
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::MalformedHeader => "malformed_header",
            Self::CriticalHeader => "critical_header",
            Self::Type => "type",
            Self::UnknownKey => "unknown_key",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::MalformedPayload => "malformed_payload",
            Self::MalformedClaim(_) => "malformed_claim",
            Self::MissingClaim(_) => "missing_claim",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::IssuedBeforeSignIn => "issued_before_sign_in",
            Self::LegacyToken => "legacy_token",
            Self::TicketForOtherRequest => "ticket_for_other_request",
            Self::TicketUsed => "ticket_used",
        }
    }
}

impl fmt::Display for InvalidTokenReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoToken => "the request presents no token",
            Self::SeveralTokens => "the request presents several tokens",
            Self::TooLong => "the token is longer than 8 KiB",
            Self::Malformed => "the token is not three parts of base64url",
            Self::MalformedHeader => "the header is malformed",
            Self::CriticalHeader => "the header has a `crit`",
            Self::Type => "the `typ` is the one of another kind of token",
            Self::UnknownKey => "no key has the `kid` of the token",
            Self::Algorithm => "the `alg` is not the algorithm of the key",
            Self::Signature => "the signature does not match",
            Self::MalformedPayload => "the payload is not a JSON object",
            Self::MalformedClaim(claim) => return write!(f, "the claim `{claim}` is malformed"),
            Self::MissingClaim(claim) => return write!(f, "the claim `{claim}` is missing"),
            Self::Issuer => "the `iss` is not an expected issuer",
            Self::Audience => "the `aud` is not an expected audience",
            Self::NotYetValid => "the `nbf` is in the future",
            Self::IssuedInFuture => "the `iat` is in the future",
            Self::IssuedBeforeSignIn => "the `auth_time` is later than the `iat`",
            Self::LegacyToken => "the token has no `sid` or `auth_time` and is not adopted",
            Self::TicketForOtherRequest => "the ticket is for another method or path",
            Self::TicketUsed => "the ticket has expired or was used before",
        })
    }
}

/// What revoked a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevocationCause {
    /// The session's tombstone: it was signed out or revoked by its `sid`.
    Tombstone,
    /// A bulk revocation of the user's sessions.
    UserCutoff,
    /// A bulk revocation of the subject's sessions in all accounts.
    SubjectCutoff,
    /// A bulk revocation of the account's sessions.
    AccountCutoff,
    /// A bulk revocation of everything that the issuer issued.
    IssuerCutoff,
    /// A bulk revocation of everything that the key signed.
    KeyCutoff,
    /// The store does not know the session, and `UnknownSessions::Reject` is set.
    UnknownSession,
}

impl RevocationCause {
    /// A stable name for logs and metrics, such as `user_cutoff`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tombstone => "tombstone",
            Self::UserCutoff => "user_cutoff",
            Self::SubjectCutoff => "subject_cutoff",
            Self::AccountCutoff => "account_cutoff",
            Self::IssuerCutoff => "issuer_cutoff",
            Self::KeyCutoff => "key_cutoff",
            Self::UnknownSession => "unknown_session",
        }
    }
}

impl From<CutoffScope> for RevocationCause {
    fn from(scope: CutoffScope) -> Self {
        match scope {
            CutoffScope::Session => Self::Tombstone,
            CutoffScope::User => Self::UserCutoff,
            CutoffScope::Subject => Self::SubjectCutoff,
            CutoffScope::Account => Self::AccountCutoff,
            CutoffScope::Issuer => Self::IssuerCutoff,
        }
    }
}

impl fmt::Display for RevocationCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tombstone => "the session was signed out or revoked by its `sid`",
            Self::UserCutoff => "all sessions of the user were revoked",
            Self::SubjectCutoff => "all sessions of the subject were revoked",
            Self::AccountCutoff => "all sessions of the account were revoked",
            Self::IssuerCutoff => "all sessions of the issuer were revoked",
            Self::KeyCutoff => "all sessions of the key were revoked",
            Self::UnknownSession => "the store does not know the session",
        })
    }
}

impl From<InvalidTime> for InvalidTokenReason {
    fn from(time: InvalidTime) -> Self {
        match time {
            InvalidTime::IssuedInFuture => Self::IssuedInFuture,
            InvalidTime::NotYetValid => Self::NotYetValid,
            InvalidTime::IssuedBeforeSignIn => Self::IssuedBeforeSignIn,
        }
    }
}
