//! A middleware as applications write it: jsonwebtoken, a map of the last activity of each
//! session, and a new token for each response.
#![allow(dead_code, reason = "each binary is a crate of its own and uses its part")]

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header::AUTHORIZATION},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use dashmap::DashMap;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, get_current_timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::scenario::SECRET;

const IDLE_SECONDS: u64 = 20 * 60;

/// The claims of this crate's tokens, so that every alternative parses and mints the same.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Claims {
    sub: String,
    sid: String,
    jti: String,
    auth_time: u64,
    iat: u64,
    exp: u64,
    idle_max: u64,
    abs_max: u64,
    epoch: u64,
}

/// jsonwebtoken with keys that are built once.
pub(crate) struct Jwt {
    decoding: DecodingKey,
    encoding: EncodingKey,
    header: Header,
    validation: Validation,
}

impl Jwt {
    pub(crate) fn new() -> Self {
        Self {
            decoding: DecodingKey::from_secret(&SECRET),
            encoding: EncodingKey::from_secret(&SECRET),
            header: Header::new(Algorithm::HS256),
            validation: Validation::new(Algorithm::HS256),
        }
    }

    pub(crate) fn decode(&self, token: &str) -> Option<Claims> {
        let decoded = jsonwebtoken::decode(token, &self.decoding, &self.validation).ok()?;
        Some(decoded.claims)
    }

    pub(crate) fn encode(&self, claims: &Claims) -> Option<String> {
        jsonwebtoken::encode(&self.header, claims, &self.encoding).ok()
    }
}

/// How much of the middleware runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extent {
    Decode,
    IdleTimeout,
    /// Mints a new token for each response.
    RenewalDue,
}

struct Handwritten {
    extent: Extent,
    jwt: Jwt,
    last_seen: DashMap<String, u64>,
}

/// Wraps all routes in the middleware.
pub(crate) fn protect(router: Router, extent: Extent) -> Router {
    let state = Arc::new(Handwritten { extent, jwt: Jwt::new(), last_seen: DashMap::new() });
    router.layer(from_fn_with_state(state, middleware))
}

async fn middleware(
    State(this): State<Arc<Handwritten>>,
    mut request: Request<Body>,
    next: Next,
) -> Result<Response, StatusCode> {
    let claims = bearer(&request).and_then(|token| this.jwt.decode(token));
    let claims = Arc::new(claims.ok_or(StatusCode::UNAUTHORIZED)?);
    if this.extent >= Extent::IdleTimeout && this.is_idle(&claims) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    request.extensions_mut().insert(Arc::clone(&claims));
    let mut response = next.run(request).await;
    if this.extent >= Extent::RenewalDue && response.status().is_success() {
        let token = this.renewed(&claims).ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
        response.headers_mut().insert("x-refreshed-token", token);
    }
    Ok(response)
}

fn bearer(request: &Request) -> Option<&str> {
    request.headers().get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

impl Handwritten {
    /// Whether the session has expired; if not, records its activity.
    fn is_idle(&self, claims: &Claims) -> bool {
        let now = get_current_timestamp();
        if let Some(mut last_seen) = self.last_seen.get_mut(&claims.sid) {
            let idle = now.saturating_sub(*last_seen) > IDLE_SECONDS;
            if !idle {
                *last_seen = now;
            }
            return idle;
        }
        self.last_seen.insert(claims.sid.clone(), now);
        false
    }

    fn renewed(&self, claims: &Claims) -> Option<HeaderValue> {
        let now = get_current_timestamp();
        let claims = Claims {
            jti: Uuid::new_v4().to_string(),
            iat: now,
            exp: now + (claims.exp - claims.iat),
            ..claims.clone()
        };
        HeaderValue::try_from(self.jwt.encode(&claims)?).ok()
    }
}
