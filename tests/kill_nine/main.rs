//! P22: a process is killed before any statement of a transaction. After the restart nothing is
//! lost, nothing is half done, and no revoked session is active.
//!
//! This program starts itself again as the process that is killed.

#[path = "../postgres_server/mod.rs"]
mod postgres_server;
mod service;
mod victim;

use std::process::{Command, ExitStatus};

use tower_sliding_session::{
    Grant, RejectionKind, SlidingSessions,
    store::{ListQuery, SqlStore},
};

use self::service::sessions;

/// More statements than any transaction has.
const MANY: u64 = 40;

#[tokio::main]
async fn main() {
    if let Some(order) = victim::Order::received() {
        return order.carry_out().await;
    }
    let file = format!("{}/{}.db", env!("CARGO_TARGET_TMPDIR"), uuid::Uuid::new_v4().simple());
    for address in [file, postgres_server::schema()] {
        let died = p22_a_refresh_is_whole_or_not_at_all(&address).await;
        println!("a refresh died at {died} statements");
        let died = p22_a_bulk_revocation_is_whole_or_not_at_all(&address).await;
        println!("a bulk revocation died at {died} statements");
    }
}

/// The service after a restart.
async fn restarted(address: &str) -> SlidingSessions {
    let store = SqlStore::connect(address).await.expect("the database is reachable");
    store.migrate().await.expect("the tables are created");
    sessions(store)
}

/// Runs `step` in another process that is killed before its `statement`-th statement.
fn killed(address: &str, step: &str, token: &str, statement: u64) -> ExitStatus {
    let this = std::env::current_exe().expect("this program has a path");
    Command::new(this)
        .args(victim::Order::arguments(address, step, token, statement))
        .status()
        .expect("this program starts again")
}

fn refresh_token(grant: &Grant) -> &str {
    grant.refresh_token().expect("refresh tokens are on")
}

async fn p22_a_refresh_is_whole_or_not_at_all(address: &str) -> u64 {
    for statement in 1..MANY {
        let before = restarted(address).await;
        let grant = before.start("ada").tenant("acme").await.expect("the session starts");
        let survived = killed(address, "refresh", refresh_token(&grant), statement).success();

        let after = restarted(address).await;
        let next =
            after.refresh(refresh_token(&grant)).await.expect("the client can repeat the refresh");
        assert_eq!(next.session_id(), grant.session_id());
        let third = after.refresh(refresh_token(&next)).await.expect("the next refresh succeeds");
        assert_eq!(third.session_id(), grant.session_id());
        let session = after.session(grant.session_id()).await.expect("the store answers");
        assert!(session.is_some(), "statement {statement}");
        if survived {
            return statement - 1;
        }
    }
    panic!("a refresh has more than {MANY} statements");
}

async fn p22_a_bulk_revocation_is_whole_or_not_at_all(address: &str) -> u64 {
    for statement in 1..MANY {
        let before = restarted(address).await;
        let account = format!("acme-{statement}");
        let mut grants = Vec::new();
        for user in ["ada", "bob"] {
            grants.push(before.start(user).tenant(&account).await.expect("the session starts"));
        }
        let survived = killed(address, "revoke", &account, statement).success();

        let after = restarted(address).await;
        let scope = after.account_scope(&account);
        let alive = after.sessions(scope, ListQuery::first(10)).await.expect("the store answers");
        let rows =
            after.audit_log(scope, ListQuery::first(100)).await.expect("the store answers").items;
        let noted = rows.iter().filter(|row| row.event.name() == "sessions_revoked_bulk").count();
        let alive = alive.items.len();
        assert!((alive, noted) == (2, 0) || (alive, noted) == (0, 1), "{alive} {noted}");
        for grant in &grants {
            match after.refresh(refresh_token(grant)).await {
                Ok(_) => assert_eq!(alive, 2, "a revoked session is active"),
                Err(rejection) => {
                    assert_eq!(rejection.kind(), RejectionKind::InvalidRefreshToken);
                    assert_eq!(alive, 0, "a session is lost");
                }
            }
        }
        if survived {
            assert_eq!(alive, 0, "an acknowledged revocation applies");
            return statement - 1;
        }
    }
    panic!("a bulk revocation has more than {MANY} statements");
}
