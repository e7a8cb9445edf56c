//! The longest request while expired entries are removed.

use http::Request;
use tower_sliding_session::{Clock, ManualClock, store::MemoryStore};

use crate::{
    memory::SHORT_IDLE,
    population::{Population, SeededRandom},
    report::line,
    stopwatch::{time, undisturbed},
};

const BATCHES: usize = 512;
/// The number of new sessions that trigger one cleanup of a shard, so that each batch has one.
const REQUESTS_A_BATCH: usize = 64;

/// In nanoseconds.
#[derive(Default)]
struct Longest {
    anyhow: u128,
    undisturbed: u128,
    /// Batches in which the thread waited for a core.
    set_aside: usize,
}

/// Measures in turns: requests of known sessions, of new sessions while nothing has expired, and of
/// new sessions while every inactive session has expired. The request of a new session removes
/// expired entries itself; a request that waits for it waits no longer.
pub(crate) fn compare(many: &Population, store: &MemoryStore, clock: &ManualClock) {
    let mut unknown = Population::unknown(clock, 2 * BATCHES * REQUESTS_A_BATCH);
    let (mut client, mut random, begin) = (many.client(), SeededRandom(1), clock.now());
    let before = store.len() + unknown.len();
    let mut longest: [Longest; 3] = Default::default();
    for _ in 0..BATCHES {
        let mut new = || unknown.split_off(unknown.len() - REQUESTS_A_BATCH);
        clock.set(begin);
        longest[0].see(many.requests(REQUESTS_A_BATCH, &mut random), &mut client);
        longest[1].see(new(), &mut client);
        clock.set(begin + 2 * SHORT_IDLE);
        longest[2].see(new(), &mut client);
    }
    let [known, nothing_expired, removing] = &longest;
    for (what, longest) in [
        ("us, longest request of known sessions", known),
        ("us, longest request of new sessions, nothing expired", nothing_expired),
        ("us, longest request of new sessions, expired entries removed", removing),
    ] {
        let (anyhow, set_aside) = (longest.anyhow / 1000, longest.set_aside);
        let note = format!("({anyhow} with the {set_aside} of {BATCHES} batches set aside)");
        line(what, &(longest.undisturbed / 1000).to_string(), &note);
    }
    let cleared = (before - store.len()).to_string();
    line("expired entries removed", &cleared, "");
    for (what, other) in [("known sessions", known), ("nothing expired", nothing_expired)] {
        let more = removing.undisturbed.saturating_sub(other.undisturbed) / 1000;
        line(&format!("us, removal of expired entries over {what}"), &more.to_string(), "<= 1000");
    }
}

impl Longest {
    fn see(&mut self, requests: Vec<Request<()>>, client: &mut impl FnMut(Request<()>)) {
        let times = requests.into_iter().map(|request| time(|| client(request)));
        let (longest, undisturbed) = undisturbed(|| times.max().unwrap_or_default());
        self.anyhow = self.anyhow.max(longest);
        if undisturbed {
            self.undisturbed = self.undisturbed.max(longest);
        } else {
            self.set_aside += 1;
        }
    }
}
