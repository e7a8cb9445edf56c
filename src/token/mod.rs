//! Tokens: keys, verification, minting.
//!
//! A token is verified with a held key and parsed once; where its claims stand in the payload is
//! recorded, so that a successor is the same bytes with four spans exchanged.

mod cache;
mod claims_source;
mod issue;
mod keys;
mod legacy;
mod members;
mod payload;
mod purpose;
mod signature;
mod splice;
mod verified;
mod verify;

pub use self::{
    claims_source::{ClaimsSource, ClaimsUpdate, ReplacedClaims},
    issue::ClaimsError,
    keys::{Algorithm, JwtKeys, KeyError, SigningKey, VerifyingKey},
    legacy::{LegacyClaims, LegacyTokens},
    verified::VerifiedToken,
    verify::{InvalidToken, TokenVerifier},
};
pub(crate) use self::{
    issue::{ID_LENGTH, NewToken, mint, new_id, write_new_id},
    purpose::Purpose,
    splice::{AppClaims, Seen, successor},
    verify::RefreshToken,
};
