//! What ten million sessions cost: memory, the time of a request, the longest pause while expired
//! ones are cleared away, and what a second core brings. Prints one line each, with its target.
//! Takes a minute and 1 GB; needs Linux. On a busy machine, what was measured while a thread waited
//! for a core is set aside and counted.

#[path = "../scenario/mod.rs"]
mod scenario;

mod clearing;
mod memory;
mod population;
mod speed;
mod stopwatch;

use self::population::Population;
use tower_sliding_session::{Clock, ManualClock, SystemClock};

const MANY: usize = 10_000_000;
const FEW: usize = 1_000;
/// The sessions that send requests, of ten million.
const ACTIVE: usize = 8_192;

fn main() {
    println!("{:<68} {:>9}  target", "what", "measured");
    let clock = ManualClock::new(SystemClock.now());
    let store = memory::fill(MANY, clock.now());
    let many = Population::new(store.clone(), &clock, ACTIVE);
    speed::compare_sizes(&many, &clock);
    speed::compare_threads(&many);
    clearing::compare(&many, &store, &clock);
}

/// Prints a line of the table.
fn line(what: &str, measured: &str, target: &str) {
    println!("{what:<68} {measured:>9}  {target}");
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn ratio(of: u128, to: u128) -> f64 {
    of as f64 / to as f64
}
