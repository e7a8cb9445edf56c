//! Rejections: why a request is not let in, and the response that says so in the client's
//! protocol.
//!
//! - `kind`: the kinds, with the stable code, title and status of each
//! - `cause`: what the application's logs learn beyond the kind, and the client does not
//! - `rejection`: [`Rejection`], which joins them
//! - `protocol`: which protocol the client speaks; `http`, `grpc` and `connect` write the response in it
//! - `forwarded`: the errors of other services, which a handler passes on
//! - `last_frame`: the same in a response that is still sent
//! - `make_rejection`: a response of the application's own
//! - `targeted_cache`: fields that a shared cache obeys before `Cache-Control`

mod cause;
mod connect;
mod duration;
mod forwarded;
mod grpc;
mod http;
mod kind;
mod last_frame;
mod make_rejection;
mod protocol;
#[expect(clippy::module_inception, reason = "the file holds the type of this name")]
mod rejection;
mod response;
mod response_future;
mod targeted_cache;

pub use self::{
    cause::{InvalidTokenReason, RejectionCause, RevocationCause},
    kind::RejectionKind,
    make_rejection::MakeRejection,
    rejection::Rejection,
    response_future::ResponseFuture,
};
pub(crate) use self::{
    forwarded::remove_forwarded_error,
    http::bad_request,
    protocol::Protocol,
    targeted_cache::{X_ACCEL_EXPIRES, is_targeted},
};

#[cfg(test)]
mod tests;
