//! Tokens: keys, verification, minting.
//!
//! A token is verified with a held key and parsed once; where its claims stand in the payload is
//! recorded, so that a successor is the same bytes with four spans exchanged.

mod cache;
mod claims_source;
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

pub use self::{
    claims_source::{ClaimsSource, ClaimsUpdate, ReplacedClaims},
    keys::{Algorithm, JwtKeys, KeyError, SigningKey, VerifyingKey},
    legacy::{LegacyClaims, LegacyTokens},
    mint::ClaimsError,
    verified::VerifiedToken,
    verify::{InvalidToken, TokenVerifier},
};
pub(crate) use self::{
    mint::{ID_LENGTH, NewToken, mint, new_id, write_new_id},
    purpose::Purpose,
    successor::{AppClaims, Seen, successor_payload},
    verify::RefreshToken,
};
