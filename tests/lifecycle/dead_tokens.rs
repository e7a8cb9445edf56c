//! What requests with a dead token cost a database.

use std::sync::Arc;

use tower_sliding_session::{
    JwtKeys, ManualClock, Policy, RejectionKind, SlidingSessions,
    store::{Exempt, SqlStore},
};

use crate::{
    client::{DAY, ada, asked},
    test_stack::{BEGIN, HOUR, MINUTE, SECRET, TestStack},
};

/// Empty databases of every kind.
fn addresses() -> Vec<String> {
    let mut addresses = Vec::new();
    if cfg!(feature = "sqlite") {
        let name = uuid::Uuid::new_v4().simple().to_string();
        addresses.push(format!("{}/{name}.db", env!("CARGO_TARGET_TMPDIR")));
    }
    #[cfg(feature = "postgres")]
    addresses.push(crate::postgres_server::schema());
    addresses
}

/// One refusal is noted in a minute: a transaction of four statements.
const NOTED: u64 = 4;

#[tokio::test]
async fn p24_p31_a_dead_token_costs_one_statement_whatever_the_number_of_requests() {
    let policy = Policy::builder().build().expect("the default policy");
    for address in addresses() {
        let clock = ManualClock::new(BEGIN);
        // The background task does nothing meanwhile: its statements would count.
        let store = SqlStore::at(&address).clock(clock.clone()).sync_interval(30 * DAY);
        let store = Arc::new(store.connect().await.expect("the database is reachable"));
        store.migrate().await.expect("the tables are created");
        let keys = JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes");
        let sessions = SlidingSessions::builder(keys, policy.clone()).clock(clock.clone());
        let sessions = sessions.lifecycle_store(Arc::clone(&store)).build().expect("legal");
        let stack = TestStack { sessions, clock };
        // The statements of 500 requests, with what they write later.
        let cost = async |grant, kind| {
            let before = store.statements();
            for _ in 0..500 {
                assert_eq!(asked(&stack, grant).await, kind);
            }
            stack.sessions.flush().await.expect("the store answers");
            store.statements() - before
        };

        let (idle, revoked, cut_off) = (ada(&stack).await, ada(&stack).await, ada(&stack).await);
        stack.sessions.revoke(revoked.session_id()).await.expect("revoked");
        let kept = [idle.session_id(), revoked.session_id()];
        let kept = kept.map(|sid| stack.sessions.session_key(sid)).to_vec();
        let scope = stack.sessions.user_scope(Some("acme"), "ada");
        stack.sessions.revoke_all(scope, Exempt::Sessions(kept)).await.expect("revoked");
        let live = ada(stack.at(20 * MINUTE)).await;
        stack.at(21 * MINUTE);
        assert_eq!(cost(&live, None).await, 1, "alive {store:?}");
        let (expired, ended) = (RejectionKind::SessionExpiredIdle, RejectionKind::SessionRevoked);
        assert_eq!(cost(&revoked, Some(ended)).await, NOTED, "revoked {store:?}");
        assert_eq!(cost(&cut_off, Some(ended)).await, NOTED, "cut off {store:?}");
        assert_eq!(cost(&idle, Some(expired)).await, 1 + NOTED, "idle {store:?}");
        stack.at(2 * HOUR);
        assert_eq!(cost(&idle, Some(expired)).await, 1 + NOTED, "expired {store:?}");
        stack.at(2 * DAY);
        assert_eq!(cost(&idle, Some(expired)).await, 1 + NOTED, "long ago {store:?}");
    }
}
