//! Tokens: keys, verification, minting.
//!
//! A token is verified with a held key and parsed once; where its claims stand in the payload is
//! recorded, so that a successor is the same bytes with four spans exchanged.

mod app_claims;
mod cache;
mod claims_source;
mod error;
mod keys;
mod legacy;
mod members;
mod mint;
mod payload;
mod purpose;
mod signature;
mod successor;
mod verified;
mod verify;

pub(crate) use self::{
    app_claims::AppClaims,
    claims_source::{CLAIMS_SOURCE_TIME_LIMIT, ask_claims_source},
    mint::{ID_LENGTH, NewToken, mint, new_id, write_new_id},
    purpose::Purpose,
    successor::{Seen, successor_payload},
    verify::RefreshToken,
};
pub use self::{
    claims_source::{ClaimsSource, ClaimsUpdate, ReplacedClaims},
    error::{ClaimsError, ClaimsErrorKind, InvalidToken, KeyError, KeyErrorKind},
    keys::{Algorithm, JwtKeys, SigningKey, VerifyingKey},
    legacy::{LegacyClaims, LegacyTokens},
    verified::VerifiedToken,
    verify::TokenVerifier,
};
