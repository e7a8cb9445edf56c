//! Two nodes of a service whose store is replaced by an older copy under them, or emptied.

use std::{sync::Arc, time::Duration};

use tower_sliding_session::{
    Grant, JwtKeys, ManualClock, Policy, RejectionKind, SlidingSessions,
    store::{LifecycleStore, ListQuery, RedisStore, RefreshState, SqlStore},
};

use crate::{
    client::{asked, refresh_token, state_of, tokens},
    lossy_server::LossyServer,
    test_stack::{BEGIN, MINUTE, SECRET, TestStack, rejected, renewed},
};

/// How long a machine that is busy may take to start a server.
const BOUND: Duration = Duration::from_secs(30);

/// As long as a node relies on its last reading, and more.
const STALE: Duration = Duration::from_secs(4);

/// A node of the service.
struct Node {
    stack: TestStack,
    store: Arc<dyn LifecycleStore>,
}

/// The front page's policy with tokens of five minutes, and refresh tokens.
fn policy() -> Policy {
    let builder = Policy::builder().idle_timeout(20 * MINUTE).token_lifetime(5 * MINUTE);
    builder.build().expect("a legal configuration")
}

async fn node(server: &LossyServer, clock: &ManualClock) -> Node {
    let clock = clock.clone();
    let store: Arc<dyn LifecycleStore> = match server {
        LossyServer::Redis(server) => {
            let store = RedisStore::at(server.url()).time_limit(BOUND).clock(clock.clone());
            Arc::new(store.connect().await.expect("the server runs"))
        }
        LossyServer::Sqlite { file: address, .. } | LossyServer::Postgres { address, .. } => {
            let store = SqlStore::at(address).clock(clock.clone());
            let store = store.connect().await.expect("the database is reachable");
            store.migrate().await.expect("the tables are created");
            Arc::new(store)
        }
    };
    let keys = JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes");
    let builder = SlidingSessions::builder(keys, policy()).clock(clock.clone()).refresh_tokens();
    let sessions = builder.lifecycle_store(Arc::clone(&store)).build().expect("legal");
    Node { stack: TestStack { sessions, clock }, store }
}

/// Two nodes on each kind of server.
async fn pairs() -> Vec<(LossyServer, [Node; 2], ManualClock)> {
    let mut pairs = Vec::new();
    for server in LossyServer::all() {
        let clock = ManualClock::new(BEGIN);
        let nodes = [node(&server, &clock).await, node(&server, &clock).await];
        server.copy("empty");
        pairs.push((server, nodes, clock));
    }
    pairs
}

impl Node {
    async fn sign_in(&self) -> Grant {
        self.stack.sessions.start("ada").tenant("acme").await.expect("the session starts")
    }

    /// The rejection of a request, once the store answers again.
    async fn answers(&self, token: &str) -> Option<RejectionKind> {
        let answered = async {
            loop {
                let kind = rejected(&self.stack.get(token).await);
                if kind != Some(RejectionKind::StoreUnavailable) {
                    return kind;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, answered).await.expect("the store is back")
    }

    /// Refreshes, once the store answers and refreshes go on after a loss: two intervals.
    async fn refreshes(&self, token: &str) -> Result<Grant, RejectionKind> {
        let refreshed = async {
            loop {
                match self.stack.sessions.refresh(token).await.map_err(|rejection| rejection.kind())
                {
                    Err(RejectionKind::StoreUnavailable) => {
                        self.stack.clock.advance(Duration::from_millis(50));
                        tokio::task::yield_now().await;
                    }
                    refreshed => return refreshed,
                }
            }
        };
        tokio::time::timeout(BOUND, refreshed).await.expect("the store is back")
    }

    async fn refreshed(&self, grant: &Grant) -> Grant {
        self.refreshes(refresh_token(grant)).await.expect("the token is exchanged")
    }
}

/// Lets each of `nodes` find the loss, and returns a node that knows nothing of what was before, when the
/// store has the generations of `grants`.
async fn late_node(server: &LossyServer, nodes: [&Node; 2], grants: &[(&Grant, u32)]) -> Node {
    let clock = &nodes[0].stack.clock;
    // No reading from before counts.
    clock.advance(STALE);
    for node in nodes {
        node.answers(grants[0].0.access_token()).await;
    }
    let late = node(server, clock).await;
    let written_back = async {
        for (grant, generation) in grants {
            let token = refresh_token(grant);
            let is_written_back = async || match state_of(&late.store, token).await {
                Ok(RefreshState::Known(state)) => state.generation == *generation,
                _ => false,
            };
            while !is_written_back().await {
                clock.advance(Duration::from_millis(50));
                tokio::task::yield_now().await;
            }
        }
    };
    let is_in_time = tokio::time::timeout(BOUND, written_back).await.is_ok();
    assert!(is_in_time, "{server:?}: nothing is written back");
    late
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p33_lost_activity_signs_nobody_out() {
    for (mut server, [one, other], clock) in pairs().await {
        let [active, refreshed_later, asleep] =
            [one.sign_in().await, one.sign_in().await, one.sign_in().await];
        one.store.flush().await.expect("the store answers");
        server.copy("before");
        // Two users are active for an hour, with access tokens that the layers renew.
        let mut access = [&active, &refreshed_later].map(|it| it.access_token().to_owned());
        for _ in 0..30 {
            clock.advance(2 * MINUTE);
            for token in &mut access {
                let response = one.stack.get(token).await;
                assert_eq!(rejected(&response), None, "{server:?}");
                *token = renewed(&response).unwrap_or_else(|| token.clone());
            }
        }
        one.store.flush().await.expect("the store answers");
        server.restore("before");
        clock.advance(STALE);
        // Requests and refreshes reach the node that knows nothing of that.
        assert_eq!(other.answers(&access[0]).await, None, "{server:?}: a request");
        assert_eq!(one.answers(&access[0]).await, None, "{server:?}: a request");
        clock.advance(10 * MINUTE);
        let token = refresh_token(&refreshed_later);
        let refreshed = other.refreshes(token).await;
        assert!(refreshed.is_ok(), "{server:?}: a refresh: {refreshed:?}");
        // A session that was not active since the loss expires.
        clock.advance(20 * MINUTE);
        let refused = other.refreshes(refresh_token(&asleep)).await;
        assert_eq!(
            refused.err(),
            Some(RejectionKind::SessionExpiredIdle),
            "{server:?}: it is idle"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p22_a_refresh_token_that_was_used_before_a_loss_is_not_exchanged_again() {
    for (mut server, [one, other], _) in pairs().await {
        let before = [one.sign_in().await, one.sign_in().await, one.sign_in().await];
        let ended = one.sign_in().await;
        server.copy("before");
        let mut after = Vec::new();
        for grant in &before {
            after.push(one.refreshed(grant).await);
        }
        let [used, current, unanswered] = &before;
        let latest = other.refreshed(&after[0]).await;
        assert_eq!(asked(&one.stack, &latest).await, None);
        one.stack.sessions.revoke(ended.session_id()).await.expect("it ends");
        for node in [&one, &other] {
            node.store.flush().await.expect("the store answers");
        }
        server.restore("before");
        let grants = [(&latest, 2), (current, 1), (unanswered, 1)];
        let late = late_node(&server, [&one, &other], &grants).await;
        let kind = late.answers(ended.access_token()).await;
        assert_eq!(kind, Some(RejectionKind::SessionRevoked), "{server:?}: an ended session");
        let next = late.refreshes(refresh_token(&after[1])).await;
        assert!(next.is_ok(), "{server:?}: the current token: {next:?}");
        let again = late.refreshed(unanswered).await;
        assert_eq!(tokens(&again), tokens(&after[2]), "{server:?}: a lost answer");
        let refused = late.refreshes(refresh_token(current)).await;
        let expected = RejectionKind::RefreshTokenReused;
        assert_eq!(refused.expect_err("it was used"), expected, "{server:?}");
        let refused = late.refreshes(refresh_token(used)).await;
        assert_eq!(refused.expect_err("it was used"), expected, "{server:?}");
        let kind = late.answers(latest.access_token()).await;
        assert_eq!(kind, Some(RejectionKind::SessionRevoked), "{server:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p22_an_empty_store_gets_the_sessions_back_whose_tokens_were_exchanged() {
    for (mut server, [one, other], _) in pairs().await {
        let [used, ended] = [one.sign_in().await, one.sign_in().await];
        let next = one.refreshed(&used).await;
        let latest = other.refreshed(&next).await;
        let next_of_ended = one.refreshed(&ended).await;
        assert_eq!(asked(&one.stack, &latest).await, None);
        one.stack.sessions.revoke(ended.session_id()).await.expect("it ends");
        server.empty();
        let late = late_node(&server, [&one, &other], &[(&latest, 2)]).await;
        let scope = late.stack.sessions.user_scope(Some("acme"), "ada");
        let listed = late
            .stack
            .sessions
            .sessions(scope, ListQuery::first(9))
            .await
            .expect("the store answers");
        let sids: Vec<_> = listed.items.iter().map(|session| session.sid.as_str()).collect();
        assert_eq!(sids, [used.session_id()], "{server:?}");
        for grant in [&ended, &next_of_ended] {
            let refused = late.refreshes(refresh_token(grant)).await.expect_err("it has ended");
            assert_eq!(refused, RejectionKind::InvalidRefreshToken, "{server:?}");
        }
        let refused = late.refreshes(refresh_token(&used)).await.expect_err("it was used");
        assert_eq!(refused, RejectionKind::RefreshTokenReused, "{server:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p22_a_replaced_file_beside_which_the_old_files_are_is_refused() {
    let mut server = LossyServer::sqlite(true);
    let clock = ManualClock::new(BEGIN);
    let one = node(&server, &clock).await;
    let [active, ended] = [one.sign_in().await, one.sign_in().await];
    server.copy("before");
    one.stack.sessions.revoke(ended.session_id()).await.expect("it ends");
    clock.advance(STALE);
    assert_eq!(asked(&one.stack, &active).await, None);
    server.replace_file_alone("before");
    clock.advance(STALE);
    assert_eq!(asked(&one.stack, &active).await, Some(RejectionKind::StoreUnavailable));
    let error = one.store.flush().await.expect_err("the files do not belong together");
    let reason = std::error::Error::source(&error).expect("a reason").to_string();
    assert!(reason.contains("remove them, and put the copy there again"), "{reason}");
    server.restore("before");
    clock.advance(STALE);
    assert_eq!(one.answers(active.access_token()).await, None);
    let late = node(&server, &clock).await;
    let kind = late.answers(ended.access_token()).await;
    assert_eq!(kind, Some(RejectionKind::SessionRevoked));
}
