//! Transports: where a request's token is read, and how its successor is delivered.
//!
//! - `transport`: the trait [`Transport`], which you can implement
//! - `bearer`, `header_token`, `cookie`: its implementations
//! - `transports`: several of them
//! - `token_delivery`: the response header or cookie of a successor

mod bearer;
mod cookie;
mod header_token;
mod set_cookie;
mod token_delivery;
mod token_in_body;
#[expect(clippy::module_inception, reason = "the file holds the trait of this name")]
mod transport;
mod transports;

pub use self::{
    bearer::Bearer,
    cookie::{CookieError, CookieErrorKind, SessionCookie},
    header_token::HeaderToken,
    set_cookie::SetCookie,
    token_delivery::{RENEWED_TOKEN, TokenDelivery},
    token_in_body::TokenInBody,
    transport::{PresentedToken, TokenOrigin, Transport, mark_sensitive},
    transports::Transports,
};

pub(crate) use self::{cookie::is_token_byte, token_delivery::CarrierLimits, transport::MAX_TOKEN};

#[cfg(test)]
mod tests;
