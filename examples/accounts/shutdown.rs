//! Waits for a signal to stop the server.

/// Completes when the process receives an interrupt or a termination signal.
pub(crate) async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{self, SignalKind};
        if let Ok(mut termination) = unix::signal(SignalKind::terminate()) {
            tokio::select! {
                _ = termination.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    // An error means that signals cannot be received.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
