//! The whole stack of this crate on the bare service.

use tower_sliding_session::SystemClock;

use crate::{
    peer::Peer,
    scenario::{Case, Scenario},
};

pub(crate) fn peers() -> Vec<Peer> {
    [
        ("this crate, Public", Case::Public, false),
        ("this crate, User", Case::User, false),
        ("this crate, User, extensions occupied", Case::User, true),
        ("this crate, FirstSeen", Case::FirstSeen, false),
        ("this crate, Renewal", Case::Renewal, false),
    ]
    .map(|(name, case, occupied)| {
        Peer::from_scenario(name, Scenario::on(SystemClock, case, occupied))
    })
    .into()
}
