//! A request of class `User` with a cached token: with stores of different sizes, and on one and
//! two threads.

use std::{
    hint::spin_loop,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use tower_sliding_session::{Clock, ManualClock, store::MemoryStore};

use crate::{
    population::{Population, SeededRandom},
    report::{line, ratio},
    stopwatch::{time, undisturbed},
};

/// The number of sessions that send requests, whatever the store holds.
pub(crate) const ACTIVE: usize = 8_192;
/// The number of sessions of the small store.
const FEW: usize = 1_000;

/// Compares ten million stored sessions with fewer, in alternating rounds; prints medians.
pub(crate) fn compare_sizes(many: &Population, clock: &ManualClock) {
    // As in `ratios`: few enough that they are still in the L1 cache when they are sent.
    const REQUESTS: usize = 16;
    let of = |active| Population::new(Arc::new(MemoryStore::new()), clock, active);
    let (few, only_active) = (of(FEW), of(ACTIVE));
    let mut sizes = [&few, &only_active, many].map(|it| (it, it.client(), Vec::new()));
    let (mut random, begin) = (SeededRandom(1), clock.now());
    for round in 0..4_001 {
        // Each request is later than the last, so that its activity is written.
        clock.set(begin + Duration::from_millis(round));
        for (population, client, times) in &mut sizes {
            let requests = population.requests(REQUESTS, &mut random);
            times.push(time(|| requests.into_iter().for_each(client)));
        }
    }
    let [few, only_active, many] = sizes.map(|(_, _, times)| median(times).unwrap_or_default());
    for (what, took) in [
        ("ns a request, 1,000 sessions, all active", few),
        ("ns a request, 8,192 sessions, all active", only_active),
        ("ns a request, ten million sessions, 8,192 active", many),
    ] {
        line(what, &format!("{:.0}", ratio(took, REQUESTS as u128)), "");
    }
    line("ten million over 1,000", &format!("{:.2}", ratio(many, few)), "<= 2.50");
}

/// Compares one thread with two, in alternating rounds; prints the ratio of the medians.
pub(crate) fn compare_threads(many: &Population) {
    let mut all = [Vec::new(), Vec::new()];
    let mut undisturbed = [Vec::new(), Vec::new()];
    for round in 0..400 {
        for threads in [1, 2] {
            let (throughput, was_undisturbed) = throughput(many, threads, round);
            all[threads - 1].push(throughput);
            if was_undisturbed {
                undisturbed[threads - 1].push(throughput);
            }
        }
    }
    for (what, [one, two]) in [("all", all), ("undisturbed", undisturbed)] {
        let what = format!(
            "throughput of two threads over one, {} and {} rounds {what}",
            two.len(),
            one.len()
        );
        let gain = median(two).zip(median(one)).map(|(two, one)| ratio(two, one));
        line(&what, &gain.map_or("-".to_owned(), |gain| format!("{gain:.2}")), ">= 1.70");
    }
}

/// The requests per second, and whether no thread waited for a core.
fn throughput(many: &Population, threads: usize, seed: u64) -> (u128, bool) {
    const REQUESTS: usize = 1_024;
    let arrived = &AtomicUsize::new(0);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                let mut client = many.client();
                let requests = many.requests(REQUESTS, &mut SeededRandom(seed * 2 + thread as u64));
                scope.spawn(move || {
                    arrived.fetch_add(1, SeqCst);
                    while arrived.load(SeqCst) < threads {
                        spin_loop();
                    }
                    undisturbed(|| time(|| requests.into_iter().for_each(&mut client)))
                })
            })
            .collect();
        threads.into_iter().fold((0, true), |(sum, calm), thread| {
            let (took, undisturbed) = thread.join().expect("no panic");
            (sum + REQUESTS as u128 * 1_000_000_000 / took, calm && undisturbed)
        })
    })
}

/// The median; `None` if every round was disturbed.
fn median(mut sample: Vec<u128>) -> Option<u128> {
    sample.sort_unstable();
    sample.get(sample.len() / 2).copied()
}
