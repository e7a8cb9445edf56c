//! What ten million sessions cost: memory, the time of a request, the longest pause while expired
//! ones are cleared away, and what a second core brings. Prints one line each, with its target.
//! Takes a minute and 1 GB; needs Linux. On a busy machine, what was measured while a thread waited
//! for a core is set aside and counted.

#[path = "../scenario/mod.rs"]
mod scenario;

mod clearing;
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
    clearing::compare(&many, &store, &clock);
}
