//! Time and allocations of a service, less those of the bare service.

use std::{alloc::System, time::Instant};

use http::Request;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::scenario::Send;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

pub(crate) const ROUNDS: usize = 2_001;
/// Few enough that requests built in advance are still in the L1 cache when they are sent.
pub(crate) const REQUESTS_A_ROUND: usize = 16;

/// A service and the bare one, measured in alternating rounds with the same requests.
pub(crate) struct SideBySide {
    stacked: Send,
    bare: Send,
    request: Box<dyn Fn() -> Request<()>>,
    stacked_times: Vec<u128>,
    bare_times: Vec<u128>,
}

impl SideBySide {
    pub(crate) fn new(stacked: Send, bare: Send, request: Box<dyn Fn() -> Request<()>>) -> Self {
        Self { stacked, bare, request, stacked_times: Vec::new(), bare_times: Vec::new() }
    }

    pub(crate) fn round(&mut self) {
        let Self { stacked, bare, request, stacked_times, bare_times } = self;
        for (send, times) in [(stacked, stacked_times), (bare, bare_times)] {
            // Warms the caches: the other service has evicted the code of this one.
            send(request());
            // Building requests is not measured.
            let requests: Vec<_> = (0..REQUESTS_A_ROUND).map(|_| request()).collect();
            times.push(time(|| requests.into_iter().for_each(send)));
        }
    }

    /// The time of the bare service for one request, in nanoseconds.
    pub(crate) fn bare_ns(&mut self) -> f64 {
        ns_a_request(&mut self.bare_times)
    }

    /// The time of the service for one request less that of the bare one, in nanoseconds.
    pub(crate) fn ns_over(&mut self) -> f64 {
        ns_a_request(&mut self.stacked_times) - self.bare_ns()
    }

    /// The allocations of one request, less those of the bare service.
    pub(crate) fn allocations_over(&mut self) -> usize {
        let Self { stacked, bare, request, .. } = self;
        let [stacked, bare] = [stacked, bare].map(|send| {
            let request = request();
            allocations(|| send(request))
        });
        stacked - bare
    }
}

#[expect(clippy::disallowed_methods, reason = "a stopwatch, not the time of day")]
pub(crate) fn time(work: impl FnOnce()) -> u128 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos()
}

pub(crate) fn allocations(work: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    work();
    let change = region.change();
    change.allocations + change.reallocations
}

/// The time of one request in the median round, in nanoseconds.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of one round are far below 2^52")]
pub(crate) fn ns_a_request(rounds: &mut [u128]) -> f64 {
    let middle = rounds.len() / 2;
    *rounds.select_nth_unstable(middle).1 as f64 / REQUESTS_A_ROUND as f64
}
