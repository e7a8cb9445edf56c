//! What one thread logs, as text.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{
    Dispatch,
    subscriber::{DefaultGuard, NoSubscriber, set_default},
};
use tracing_subscriber::{filter::LevelFilter, fmt::format::FmtSpan};

/// While the only dispatcher is that of one thread, a callsite that another thread reaches first
/// is disabled for all threads. A second dispatcher, which is never dropped, prevents this.
static SECOND_DISPATCHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));

/// The lines logged so far.
#[derive(Clone, Default)]
pub(crate) struct RecordedLog(Arc<Mutex<Vec<u8>>>);

impl RecordedLog {
    /// Records every event and span of this thread until the guard is dropped.
    #[must_use]
    pub(crate) fn start() -> (Self, DefaultGuard) {
        LazyLock::force(&SECOND_DISPATCHER);
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("UTF-8")
    }
}

impl io::Write for RecordedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
