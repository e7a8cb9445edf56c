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
    counts: BTreeMap<String, u64>,
    longest: BTreeMap<String, Duration>,
    violations: Vec<String>,
}

impl Answers {
    fn counted(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, answer: String, took: Duration) {
        let mut counted = self.counted();
        let longest = counted.longest.entry(answer.clone()).or_default();
        *longest = took.max(*longest);
        *counted.counts.entry(answer).or_default() += 1;
    }

    pub(crate) fn add_violation(&self, violation: String) {
        println!("VIOLATION: {violation}");
        self.counted().violations.push(violation);
    }

    /// Returns how many answers of each kind there were, and the longest time of each.
    pub(crate) fn take_summary(&self) -> String {
        let mut counted = self.counted();
        let mut text = String::new();
        for (answer, count) in std::mem::take(&mut counted.counts) {
            let longest = counted.longest.remove(&answer).unwrap_or_default();
            write!(text, "\n  {count:>8} {answer}, within {} ms", longest.as_millis())
                .expect("a text grows");
        }
        text
    }

    pub(crate) fn assert_no_violation(&self) {
        let counted = self.counted();
        assert!(counted.violations.is_empty(), "{} violations", counted.violations.len());
    }
}
