//! Time, as a ratio to `jsonwebtoken::decode` of the same token in the same run, and allocations:
//! one line a case, what the bare service costs subtracted.

mod stack;

use std::{alloc::System, hint::black_box, time::Instant};

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    crypto::{CryptoProvider, rust_crypto},
};
use serde::Deserialize;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use self::stack::{Case, SECRET, Scenario};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: usize = 2_001;
/// Few enough that requests built ahead are still in the nearest cache when they are sent.
const REQUESTS_A_ROUND: usize = 16;

/// All claims of the token, owned, as applications declare them.
#[derive(Deserialize)]
#[expect(dead_code, reason = "parsed as an application would, and not looked at")]
struct Claims {
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

/// One line of the table.
struct Row {
    case: Case,
    occupied: bool,
    scenario: Scenario,
    stacked: Vec<u128>,
    bare: Vec<u128>,
}

impl Row {
    fn new(case: Case, occupied: bool) -> Self {
        let scenario = Scenario::new(case, occupied);
        Self { case, occupied, scenario, stacked: Vec::new(), bare: Vec::new() }
    }

    fn round(&mut self) {
        let Scenario { stacked, bare, request, .. } = &mut self.scenario;
        for (send, times) in [(stacked, &mut self.stacked), (bare, &mut self.bare)] {
            // The requests are built before the watch starts.
            let requests: Vec<_> = (0..REQUESTS_A_ROUND).map(|_| request()).collect();
            times.push(time(|| requests.into_iter().for_each(send)));
        }
    }

    fn allocations(&mut self) -> usize {
        let Scenario { stacked, bare, request, .. } = &mut self.scenario;
        let [stacked, bare] = [stacked, bare].map(|send| {
            let request = request();
            allocations(|| send(request))
        });
        stacked - bare
    }
}

fn main() {
    // Both backends may be compiled in, and then jsonwebtoken's own choice panics.
    let _ = CryptoProvider::install_default(&rust_crypto::DEFAULT_PROVIDER);
    let token = Scenario::new(Case::User, false).token;
    let key = DecodingKey::from_secret(&SECRET);
    let validation = Validation::new(Algorithm::HS256);
    let decode = || jsonwebtoken::decode::<Claims>(&token, &key, &validation).expect("it is good");

    let mut rows: Vec<Row> = Case::ALL
        .into_iter()
        .flat_map(|case| [false, true].map(|occupied| Row::new(case, occupied)))
        .collect();
    let mut decoded = Vec::new();
    for _ in 0..ROUNDS {
        decoded.push(time(|| {
            for _ in 0..REQUESTS_A_ROUND {
                drop(black_box(decode()));
            }
        }));
        rows.iter_mut().for_each(Row::round);
    }

    let decoded = median(&mut decoded);
    let ns = |took: f64| took / to_f64(REQUESTS_A_ROUND as u128);
    let allocated = allocations(|| drop(black_box(decode())));
    println!("# token\t{} bytes", token.len());
    println!("# decode\t{:.0} ns\t{allocated} allocations", ns(decoded));
    for mut row in rows {
        let allocated = row.allocations();
        let bare = median(&mut row.bare);
        let over = median(&mut row.stacked) - bare;
        let (case, entry) = (row.case, if row.occupied { "occupied" } else { "empty" });
        println!(
            "{case:?}\t{entry}\t{:.0}\t{:.0}\t{:.3}\t{allocated}",
            ns(bare),
            ns(over),
            over / decoded
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "a stopwatch, not the time of day")]
fn time(work: impl FnOnce()) -> u128 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos()
}

fn allocations(work: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    work();
    let change = region.change();
    change.allocations + change.reallocations
}

fn median(sample: &mut [u128]) -> f64 {
    let middle = sample.len() / 2;
    to_f64(*sample.select_nth_unstable(middle).1)
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of one round are far below 2^52")]
fn to_f64(value: u128) -> f64 {
    value as f64
}
