//! One measured alternative.

use http::Request;

use crate::{
    scenario::{Scenario, Send},
    side_by_side::SideBySide,
};

/// One line of the table.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) pair: SideBySide,
}

impl Peer {
    pub(crate) fn new(
        name: &'static str,
        stacked: Send,
        bare: Send,
        request: impl Fn() -> Request<()> + 'static,
    ) -> Self {
        Self { name, pair: SideBySide::new(stacked, bare, Box::new(request)) }
    }

    pub(crate) fn from_scenario(name: &'static str, scenario: Scenario) -> Self {
        let Scenario { stacked, bare, request, .. } = scenario;
        Self::new(name, stacked, bare, request)
    }
}
