//! Extractors: `Session`, `Option<Session>`, `Claims<T>`.

use std::{
    convert::Infallible,
    ops::{Deref, DerefMut},
};

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::{
    rejection::{Rejection, RejectionKind},
    session::Session,
};

/// Extracts the session of the request. Rejects a request without one with `missing_token`.
impl<S> FromRequestParts<S> for Session
where
    S: Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        parts.extensions.get().cloned().ok_or_else(|| RejectionKind::MissingToken.into())
    }
}

/// Extracts the session of the request if it has one; never rejects.
impl<S> OptionalFromRequestParts<S> for Session
where
    S: Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get().cloned())
    }
}

/// Extracts all claims of the session's token as the app's own type.
///
/// Rejects a request without a session with `missing_token`, and one whose claims do not
/// deserialize into `T` with `invalid_token`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claims<T>(pub T);

impl<T> Deref for Claims<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Claims<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<S, T> FromRequestParts<S> for Claims<T>
where
    S: Sync,
    T: DeserializeOwned,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let session: &Session =
            parts.extensions.get().ok_or(Rejection::from(RejectionKind::MissingToken))?;
        session.claims().map(Self).map_err(|_| RejectionKind::InvalidToken.into())
    }
}
