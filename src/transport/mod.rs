//! Transports: where a request's token is read, and how its successor is delivered.
//!
//! - `transport`: the trait [`Transport`], which you can implement
//! - `bearer`, `header_token`, `cookie_transport`, `websocket_protocol`: its implementations
//! - `cookie`: the settings of the session cookie; `cookie_header`, `set_cookie`, `cookie_error`: what
//!   it reads, writes and refuses; `several_tokens`: several cookies of its name
//! - `transports`: several of them
//! - `ticket_parameter`: where a ticket stands in a URI; `response_edits`: what a transport changes in a
//!   response
//! - `token_delivery`: the response header or cookie of a successor

mod bearer;
mod cookie;
mod cookie_error;
mod cookie_header;
mod cookie_transport;
mod header_token;
mod response_edits;
mod set_cookie;
mod several_tokens;
mod ticket_parameter;
mod token_delivery;
mod token_in_body;
#[expect(clippy::module_inception, reason = "the file holds the trait of this name")]
mod transport;
mod transports;
mod websocket_protocol;

pub use self::{
    bearer::Bearer,
    cookie::{SameSite, SessionCookie},
    cookie_error::{CookieError, CookieErrorKind},
    header_token::HeaderToken,
    set_cookie::SetCookie,
    several_tokens::SeveralTokens,
    token_delivery::{RENEWED_TOKEN, TokenDelivery},
    token_in_body::TokenInBody,
    transport::{PresentedToken, TokenOrigin, Transport, mark_sensitive},
    transports::Transports,
    websocket_protocol::{WebSocketProtocol, websocket_protocol},
};

pub(crate) use self::{
    cookie::is_token_byte,
    response_edits::ResponseEdits,
    ticket_parameter::{presented_ticket, remove_ticket},
    token_delivery::CarrierLimits,
    transport::MAX_TOKEN,
    transports::Presented,
    websocket_protocol::{offers_only_a_token, remove_token},
};

#[cfg(test)]
mod tests;
