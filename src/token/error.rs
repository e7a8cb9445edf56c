//! The errors of tokens: verification, claims and keys.

use std::{borrow::Cow, error::Error, fmt};

use super::members::Malformed;
use crate::rejection::InvalidTokenReason;

/// Why a token is not valid. The reason is for logs: a client learns `invalid_token` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidToken {
    reason: InvalidTokenReason,
}

impl InvalidToken {
    pub(crate) const fn new(reason: InvalidTokenReason) -> Self {
        Self { reason }
    }

    /// The check that failed. It contains no text of the token.
    #[must_use]
    pub const fn reason(&self) -> InvalidTokenReason {
        self.reason
    }
}

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the token is not valid: {}", self.reason)
    }
}

impl Error for InvalidToken {}

impl From<InvalidTokenReason> for InvalidToken {
    fn from(reason: InvalidTokenReason) -> Self {
        Self::new(reason)
    }
}

/// The payload as a whole is malformed. A malformed claim is named instead.
impl From<Malformed> for InvalidToken {
    fn from(Malformed: Malformed) -> Self {
        Self::new(InvalidTokenReason::MalformedPayload)
    }
}

/// Why the application's claims are not accepted or cannot be read.
#[derive(Debug)]
pub struct ClaimsError {
    kind: ClaimsErrorKind,
    source: Option<serde_json::Error>,
}

/// What is wrong with the application's claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClaimsErrorKind {
    /// They do not serialize; the error's source says why.
    NotSerializable,
    /// They serialize to something other than a JSON object.
    NotAnObject,
    /// They contain this claim, which belongs to the session.
    Reserved(&'static str),
    /// The token's claims do not deserialize into the type.
    OtherType,
}

impl ClaimsError {
    const fn new(kind: ClaimsErrorKind) -> Self {
        Self { kind, source: None }
    }

    pub(super) fn not_serializable(source: serde_json::Error) -> Self {
        Self { kind: ClaimsErrorKind::NotSerializable, source: Some(source) }
    }

    pub(super) const fn not_an_object() -> Self {
        Self::new(ClaimsErrorKind::NotAnObject)
    }

    pub(super) const fn reserved(name: &'static str) -> Self {
        Self::new(ClaimsErrorKind::Reserved(name))
    }

    /// Without the source: `serde_json`'s text repeats values of the token (P10).
    pub(crate) const fn other_type() -> Self {
        Self::new(ClaimsErrorKind::OtherType)
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> ClaimsErrorKind {
        self.kind
    }
}

impl fmt::Display for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ClaimsErrorKind::NotSerializable => "the application's claims do not serialize",
            ClaimsErrorKind::NotAnObject => {
                "the application's claims must serialize to a JSON object"
            }
            ClaimsErrorKind::Reserved(name) => {
                return write!(
                    f,
                    "the claim `{name}` belongs to the session: give the application's claim \
                     another name"
                );
            }
            ClaimsErrorKind::OtherType => "the token's claims do not deserialize into the type",
        })
    }
}

impl Error for ClaimsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// A token that is not minted, because its verifier rejects tokens of more than 8 KiB, and browsers
/// drop cookies of more than 4,096 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenTooLong {
    length: usize,
    limit: usize,
}

impl TokenTooLong {
    pub(super) const fn new(length: usize, limit: usize) -> Self {
        Self { length, limit }
    }

    /// The length that the token would have, in bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// The longest token that is minted here, in bytes.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }
}

impl fmt::Display for TokenTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { length, limit } = self;
        write!(
            f,
            "the token would have {length} bytes, and at most {limit} are accepted: give the \
             session fewer or shorter claims"
        )
    }
}

impl Error for TokenTooLong {}

/// Why a key is not accepted, a key set cannot be changed, or a token cannot be signed.
#[derive(Debug)]
pub struct KeyError {
    kind: KeyErrorKind,
    text: Cow<'static, str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyErrorKind {
    /// The text is no key in the expected format; the error's source may say why.
    Malformed,
    /// The key is of another algorithm.
    Mismatch,
    /// The key is too short for its algorithm.
    TooShort,
    /// The algorithm needs a feature of this crate that is off.
    Unsupported,
    /// Another key of the set has this `kid`, or neither has one.
    DuplicateKid,
    /// The set has no key with this `kid`.
    UnknownKid,
    /// The key signs and cannot be removed.
    SigningKey,
    /// The key could not sign.
    SigningFailed,
    /// The set verifies only: it has no signing key.
    NoSigningKey,
    /// A JWK set contains no key that can be used.
    NoUsableKey,
    /// The set has no key of this issuer.
    UnknownIssuer,
}

impl KeyError {
    pub(super) fn new(kind: KeyErrorKind, text: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, text: text.into(), source: None }
    }

    pub(super) fn malformed(
        text: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        let source = Some(source.into());
        Self { source, ..Self::new(KeyErrorKind::Malformed, text) }
    }

    pub(super) fn no_backend() -> Self {
        Self::new(
            KeyErrorKind::Unsupported,
            "this algorithm needs the feature `rust_crypto` or `aws_lc_rs`",
        )
    }

    pub(super) fn mismatch() -> Self {
        Self::new(KeyErrorKind::Mismatch, "the key is of another algorithm")
    }

    pub(super) fn pem_is_no_secret() -> Self {
        Self::new(KeyErrorKind::Mismatch, "HMAC keys are secrets, not PEM: use `hmac`")
    }

    pub(crate) fn no_signing_key() -> Self {
        let text = "the key set verifies only: make it with `JwtKeys::new` to sign tokens";
        Self::new(KeyErrorKind::NoSigningKey, text)
    }

    pub(super) fn signing_failed() -> Self {
        Self::new(KeyErrorKind::SigningFailed, "the key could not sign")
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> KeyErrorKind {
        self.kind
    }
}

impl From<InvalidToken> for KeyError {
    fn from(invalid: InvalidToken) -> Self {
        let text = "the claims to sign are malformed";
        Self { source: Some(invalid.into()), ..Self::new(KeyErrorKind::SigningFailed, text) }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for KeyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
