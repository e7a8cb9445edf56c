//! The time of a server's clock, for the deadlines of scripts.

use std::{sync::Mutex, time::Duration};

use crate::clock::Stopwatch;

/// The server's clock, carried on by this node's monotonic one since it was last read.
pub(super) struct ServerTime(Mutex<Reading>);

#[derive(Clone, Copy)]
struct Reading {
    server_millis: i64,
    read: Stopwatch,
}

impl ServerTime {
    pub(super) fn new(server_millis: i64) -> Self {
        Self(Mutex::new(Reading::new(server_millis)))
    }

    /// Sets the time, as the server has just told it.
    pub(super) fn set(&self, server_millis: i64) {
        *self.lock() = Reading::new(server_millis);
    }

    /// The server's time after `duration`, in milliseconds since 1970.
    pub(super) fn after(&self, duration: Duration) -> i64 {
        let reading = *self.lock();
        let passed = reading.read.elapsed().saturating_add(duration).as_millis();
        reading.server_millis.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Reading {
    fn new(server_millis: i64) -> Self {
        Self { server_millis, read: Stopwatch::start() }
    }
}
