//! The settings of the stream activity layer.

use std::sync::Arc;

/// Whether the bytes of a data frame count as activity.
pub(super) type CountsIf = dyn Fn(&[u8]) -> bool + Send + Sync;

#[derive(Clone, Default)]
pub(super) struct StreamActivitySettings {
    pub(super) counts_if: Option<Arc<CountsIf>>,
}
