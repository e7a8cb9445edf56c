//! What a client may know of the settings.

use serde::Serialize;

use super::SlidingSessions;
use crate::policy::RenewWhen;

/// What a client wants to know before anybody has signed in; serialize it as the answer of a
/// public route. Times are in whole seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The longest time between two activities.
    pub idle_timeout: u64,
    /// The longest life of a session.
    pub absolute_timeout: u64,
    /// The life of one token.
    pub token_lifetime: u64,
    /// Whether tokens are renewed on the way.
    pub renew: bool,
    /// From which share of a token's lifetime on.
    pub renew_threshold: RenewBelow,
    /// The response header that carries a renewed token.
    pub renewed_token_header: String,
    /// What is switched on.
    pub features: Features,
}

/// The share of its lifetime below which a token is renewed: a number, or `"always"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum RenewBelow {
    /// This share.
    Share(f64),
    /// At any age.
    Word(&'static str),
}

/// What is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Features {
    /// Sessions end after a time without activity, whatever their tokens say.
    pub inactivity_based_expiration: bool,
    /// Sign-in hands out refresh tokens.
    pub refresh_tokens: bool,
}

impl SlidingSessions {
    /// What a client may know of the settings: those of the profile `normal`.
    #[must_use]
    pub fn client_config(&self) -> ClientConfig {
        let policy = self.profiles().normal();
        ClientConfig {
            idle_timeout: policy.idle_timeout().as_secs(),
            absolute_timeout: policy.absolute_timeout().as_secs(),
            token_lifetime: policy.token_lifetime().as_secs(),
            renew: policy.renews(),
            renew_threshold: match policy.renew_when() {
                RenewWhen::Threshold(share) => RenewBelow::Share(share),
                RenewWhen::Always => RenewBelow::Word("always"),
            },
            renewed_token_header: self.hub.delivery.header_name().to_string(),
            features: Features {
                inactivity_based_expiration: policy.records_activity(),
                refresh_tokens: self.hub.lifecycle.reuse_grace.is_some(),
            },
        }
    }
}
