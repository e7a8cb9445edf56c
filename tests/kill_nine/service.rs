//! The service that both processes run.

use std::sync::Arc;

use tower_sliding_session::{JwtKeys, Policy, SlidingSessions, store::SqlStore};

const SECRET: [u8; 32] = [7; 32];

pub(crate) fn sessions(store: SqlStore) -> SlidingSessions {
    let keys = JwtKeys::hs256(SECRET).expect("32 bytes");
    SlidingSessions::builder(keys, Policy::long_lived())
        .lifecycle_store(Arc::new(store))
        .refresh_tokens()
        .build()
        .expect("a legal configuration")
}
