//! Tokens: keys, verification, minting.
//!
//! A token is verified with a key that is set up once, and parsed once. The bytes of its claims in
//! the payload are recorded: a successor is a copy with four of them replaced.
//!
//! - `keys`, `signature`: key sets with rotation; signing and verifying bytes
//! - `verify`, `compact`, `cache`: verification, and the cache of verified tokens
//! - `payload`, `members`, `verified`: the parsed token
//! - `mint`, `successor`, `app_claims`: new tokens and successors; `ticket`: what a ticket contains
//! - `claims_source`: the application's current claims; `legacy`: tokens of an earlier system
//! - `error`: why a token, claims or a key are not accepted

mod app_claims;
mod cache;
mod claims_source;
mod compact;
mod error;
mod keys;
mod legacy;
mod members;
mod mint;
mod payload;
mod purpose;
mod signature;
mod successor;
mod ticket;
mod verified;
mod verify;

pub(crate) use self::{
    app_claims::AppClaims,
    claims_source::{CurrentClaims, GrantedClaims, ask_claims_source},
    mint::{ID_LENGTH, NewToken, SUCCESSOR_GROWTH, check_length, mint, new_id, write_new_id},
    purpose::Purpose,
    successor::{Seen, Succession, successor_payload},
    ticket::{can_have_ticket, ticket_payload},
};
pub use self::{
    claims_source::{ClaimsSource, ClaimsUpdate, ReplacedClaims},
    error::{ClaimsError, ClaimsErrorKind, InvalidToken, KeyError, KeyErrorKind, TokenTooLong},
    keys::{Algorithm, JwtKeys, SigningKey, SkippedJwk, SyncedJwks, VerifyingKey},
    legacy::{AdoptedSession, LegacyClaims, LegacyTokens},
    verified::VerifiedToken,
    verify::TokenVerifier,
};
