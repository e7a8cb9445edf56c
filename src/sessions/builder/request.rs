//! Settings of the layers: how a request is classified, authenticated, checked and renewed.

use std::sync::Arc;

use http::HeaderName;

use super::settings::SlidingSessionsBuilder;
use crate::{
    clock::Clock,
    layers::OnStoreFailure,
    policy::{Policy, Profiles},
    rejection::MakeRejection,
    request_class::{Activity, Classify, PathRules},
    session::UnknownSessions,
    store::{RenewalLimiter, SessionStore},
    token::{ClaimsSource, LegacyTokens},
    transport::{Bearer, HeaderToken, SessionCookie, Transport},
};

/// How requests are classified, authenticated, checked and renewed.
impl SlidingSessionsBuilder {
    /// Adds a profile: a policy for the sessions that are started with its name. The policy that was
    /// passed to the builder is `normal`.
    pub fn profile(mut self, name: impl Into<String>, policy: Policy) -> Self {
        let name = name.into();
        if name == Profiles::NORMAL {
            self.problems.push(
                "profile: `normal` is the policy that was passed to `builder`: pass this one there"
                    .to_owned(),
            );
        } else if self.profiles.contains(&name) {
            self.problems.push(format!("profile: `{name}` is added twice: add it once"));
        }
        self.profiles = self.profiles.with(name, policy);
        self
    }

    /// Sets the classes of requests by path. By default every request is
    /// [`User`](crate::RequestClass::User).
    pub fn path_rules(mut self, rules: PathRules) -> Self {
        self.path_rules = Some(rules);
        self.once("path_rules")
    }

    /// Sets what classifies a request for which the path rules name no class.
    pub fn classify(mut self, classify: impl Classify) -> Self {
        self.classify = Some(Arc::new(classify));
        self.once("classify")
    }

    /// Sets which requests and refreshes are activity where no path rule says so: each that does not
    /// declare `Session-Activity: background` ([`Activity::Requests`], the default), or only those that
    /// declare `Session-Activity: user` ([`Activity::Declared`]).
    ///
    /// With `Declared` every client declares what its user does, such as the browser module with
    /// `activity: 'declared'`; a request that declares nothing neither counts nor renews the token.
    pub fn activity(mut self, activity: Activity) -> Self {
        self.activity = activity;
        self.once("activity")
    }

    /// Sets the `iss` that tokens are minted with and must have. None by default.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.verifier = self.verifier.issuer(issuer);
        self.once("issuer")
    }

    /// Sets the `aud` that tokens are minted with and must contain. None by default.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.verifier = self.verifier.audience(audience);
        self.once("audience")
    }

    /// Sets how tokens without `sid` or `auth_time` are treated, such as those of an earlier system
    /// ([migrating](crate::guide::migrating)). They are rejected by default.
    pub fn legacy_tokens(mut self, legacy: LegacyTokens) -> Self {
        self.verifier = self.verifier.legacy(legacy);
        self.once("legacy_tokens")
    }

    /// Sets the size of the cache of verified tokens. 16,384 tokens by default; 0 switches it off.
    /// See [`TokenVerifier::cached_tokens`](crate::token::TokenVerifier::cached_tokens).
    pub fn cached_tokens(mut self, tokens: usize) -> Self {
        self.verifier = self.verifier.cached_tokens(tokens);
        self.once("cached_tokens")
    }

    /// Reads tokens from the `Authorization` header (RFC 6750), which is the default if no transport
    /// is set. If there are several transports, the first one that finds a token in the request
    /// decides, in the order of these calls.
    pub fn bearer(self) -> Self {
        self.once("bearer").transport(Bearer::new())
    }

    /// Reads tokens with a transport of your own. A renewed token is delivered according to its
    /// [origin](Transport::origin).
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transports = self.transports.with(transport);
        self
    }

    /// Reads tokens from a cookie, and sets the cookie to the renewed token.
    pub fn session_cookie(mut self, cookie: SessionCookie) -> Self {
        self.delivery = self.delivery.cookie(cookie.clone());
        self.cookie = Some(cookie.clone());
        self.once("session_cookie").transport(cookie)
    }

    /// Reads tokens from the request header `name`, whose value is the token.
    pub fn token_header(mut self, name: HeaderName) -> Self {
        if self.token_headers.contains(&name) {
            self.problems.push(format!("token_header: `{name}` is added twice: add it once"));
        }
        self.token_headers.push(name.clone());
        self.transport(HeaderToken::new(name))
    }

    /// Sets the response header that carries a renewed token. `x-refreshed-token` by default.
    pub fn renewed_token_header(mut self, name: HeaderName) -> Self {
        self.delivery = self.delivery.header(name);
        self.once("renewed_token_header")
    }

    /// Also sets `cookie` to a token that is renewed in the header. No transport reads it.
    pub fn mirror_cookie(mut self, cookie: SessionCookie) -> Self {
        self.delivery = self.delivery.mirror_cookie(cookie);
        self.once("mirror_cookie")
    }

    /// Sets the store of the layers alone: without refresh tokens, lists and account policies.
    ///
    /// By default a [`MemoryStore`](crate::store::MemoryStore) stores everything, for the lifecycle
    /// too; a restart loses it. Use
    /// [`lifecycle_store`](Self::lifecycle_store) for a store that has all of this.
    pub fn store(mut self, store: impl SessionStore) -> Self {
        self.store = Some(Arc::new(store));
        self.once("store")
    }

    /// Sets what limits the rate of renewals. A [`MemoryLimiter`](crate::store::MemoryLimiter) by
    /// default.
    pub fn renewal_limiter(mut self, limiter: impl RenewalLimiter) -> Self {
        self.renewal_limiter = Some(Arc::new(limiter));
        self.once("renewal_limiter")
    }

    /// Sets what returns the application's current claims at each renewal and refresh. Without it
    /// the claims stay as they were at sign-in until the session ends.
    pub fn claims_source(mut self, source: impl ClaimsSource) -> Self {
        self.claims_source = Some(Arc::new(source));
        self.once("claims_source")
    }

    /// Sets the clock. The system's by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self.once("clock")
    }

    /// Sets what happens to a request if the store does not answer. By default it is rejected with
    /// 503.
    pub fn on_store_failure(mut self, on_failure: OnStoreFailure) -> Self {
        self.on_store_failure = on_failure;
        self.once("on_store_failure")
    }

    /// Sets what happens to a request of a session that the store does not know. By default the
    /// session is adopted.
    pub fn unknown_sessions(mut self, unknown: UnknownSessions) -> Self {
        self.unknown_sessions = unknown;
        self.once("unknown_sessions")
    }

    /// Sets what makes the responses of rejections over plain HTTP, such as a redirect to a sign-in
    /// page. Problem details (RFC 9457) by default.
    pub fn rejections(mut self, make: impl MakeRejection) -> Self {
        self.rejections = Some(Arc::new(make));
        self.once("rejections")
    }

    /// Lets a request without a token pass, without a `Session`. A token in a cookie that is invalid,
    /// expired or revoked counts as none: a browser sends a stale cookie with every request. One in a
    /// header is still rejected.
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self.once("optional")
    }

    /// Answers CORS preflights with 204 and does not pass them on. Off by default, because a
    /// `CorsLayer` outside the stack answers them.
    pub fn allow_preflight(mut self) -> Self {
        self.allow_preflight = true;
        self.once("allow_preflight")
    }

    /// Accepts [tickets](crate::SlidingSessions::ticket) in the query parameter `ticket` of a request that
    /// is not `Public`. The parameter is then no other's: a request with another `ticket` is rejected.
    /// Off by default.
    pub fn tickets(mut self) -> Self {
        self.tickets = true;
        self.once("tickets")
    }

    /// Adds the header `Session-Expires` to each response of a session that no shared cache may store.
    /// Off by default.
    pub fn session_expires(mut self) -> Self {
        self.session_expires = true;
        self.once("session_expires")
    }
}
