//! When the server is asked to stop.

/// Completes at an interrupt or a termination.
pub(crate) async fn asked_for() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut termination) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = termination.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    // An error means that no signal can be heard; then nobody is going to ask.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
