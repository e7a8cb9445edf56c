//! The cost of ten million sessions: memory, the time of a request, the longest pause while expired
//! entries are removed, and the gain of a second core. Prints one line for each, with its target.
//! Takes a minute and 1 GB; needs Linux. Rounds in which a thread waited for a core are counted and
//! not used.

#[path = "../scenario/mod.rs"]
mod scenario;

mod cleanup;
mod memory;
mod population;
mod report;
mod speed;
mod stopwatch;

use tower_sliding_session::{Clock, ManualClock, SystemClock};

use self::{population::Population, speed::ACTIVE};

const MANY: usize = 10_000_000;

fn main() {
    println!("{:<68} {:>9}  target", "what", "measured");
    let clock = ManualClock::new(SystemClock.now());
    let store = memory::fill(MANY, clock.now());
    let many = Population::new(store.clone(), &clock, ACTIVE);
    speed::compare_sizes(&many, &clock);
    speed::compare_threads(&many);
    cleanup::compare(&many, &store, &clock);
}
