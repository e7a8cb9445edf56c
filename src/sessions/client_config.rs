//! The settings that a client may know.

use serde::Serialize;

use super::SlidingSessions;
use crate::policy::RenewWhen;

/// The settings that a client may know before a sign-in; a public route responds with it as JSON.
/// Times are in whole seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The longest time between two activities.
    pub idle_timeout: u64,
    /// The longest life of a session.
    pub absolute_timeout: u64,
    /// The lifetime of an access token.
    pub token_lifetime: u64,
    /// Whether tokens are renewed.
    pub renew: bool,
    /// When a token is due for renewal: a number, or `"always"`.
    pub renew_threshold: RenewWhen,
    /// The response header that carries a renewed token.
    pub renewed_token_header: String,
    /// The features that are switched on.
    pub features: Features,
}

/// The features that are switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Features {
    /// Sessions expire after a time without activity, even if their token has not expired.
    pub inactivity_based_expiration: bool,
    /// A sign-in returns a refresh token.
    pub refresh_tokens: bool,
}

impl SlidingSessions {
    /// Returns the settings that a client may know: those of the profile `normal`.
    #[must_use]
    pub fn client_config(&self) -> ClientConfig {
        let policy = self.profiles().normal();
        ClientConfig {
            idle_timeout: policy.idle_timeout().as_secs(),
            absolute_timeout: policy.absolute_timeout().as_secs(),
            token_lifetime: policy.token_lifetime().as_secs(),
            renew: policy.renews(),
            renew_threshold: policy.renew_when(),
            renewed_token_header: self.hub.delivery.header_name().to_string(),
            features: Features {
                inactivity_based_expiration: policy.records_activity(),
                refresh_tokens: self.hub.lifecycle.reuse_grace.is_some(),
            },
        }
    }
}
