//! What was answered to all clients.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

#[derive(Default)]
pub(crate) struct Answers(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    times: BTreeMap<String, Vec<Duration>>,
    violations: Vec<String>,
}

impl Answers {
    fn counted(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, answer: String, took: Duration) {
        self.counted().times.entry(answer).or_default().push(took);
    }

    pub(crate) fn add_violation(&self, violation: String) {
        println!("VIOLATION: {violation}");
        self.counted().violations.push(violation);
    }

    /// Returns how many answers of each kind there were, and the median, the 99th percentile and the longest
    /// of their times.
    pub(crate) fn take_summary(&self) -> String {
        let times = std::mem::take(&mut self.counted().times);
        let mut text = String::new();
        for (answer, mut times) in times {
            times.sort_unstable();
            let [median, p99, longest] =
                [50, 99, 100].map(|part| times[(times.len() - 1) * part / 100].as_millis());
            let count = times.len();
            write!(text, "\n  {count:>8} {answer}: {median}, {p99}, {longest} ms")
                .expect("a text grows");
        }
        text
    }

    pub(crate) fn assert_no_violation(&self) {
        let counted = self.counted();
        assert!(counted.violations.is_empty(), "{} violations", counted.violations.len());
    }
}
