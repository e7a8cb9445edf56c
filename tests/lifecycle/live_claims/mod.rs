//! Roles that change while their users are signed in (P37).

pub(crate) mod answers;
pub(crate) mod mints;
pub(crate) mod races;
pub(crate) mod requests;
pub(crate) mod scopes;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod two_nodes;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use http::{Request, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tower_sliding_session::{
    Grant, MaybeReady, Policy,
    sessions::SlidingSessionsBuilder,
    store::StoreError,
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};

use crate::{
    client::{service_of, session},
    empty_stores::Store,
    test_stack::{Answer, TestStack, rejected, text, with},
};

/// Longer than a busy machine takes for anything.
const BOUND: Duration = Duration::from_secs(30);

/// What the source says next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// The role in the table.
    Role,
    /// As `Role`, read at once and returned when the test lets it.
    RoleLater,
    Keep,
    Deny,
    End,
    Fails,
    Panics,
    Nothing,
}

/// The table of the app: one role for everybody. Counts how often it is asked.
#[derive(Clone)]
pub(crate) struct Roles(Arc<Table>);

struct Table {
    role: Mutex<String>,
    says: Mutex<Says>,
    asked: AtomicUsize,
    was_asked: Notify,
    may_answer: Notify,
}

impl Roles {
    fn new() -> Self {
        Self(Arc::new(Table {
            role: Mutex::new("editor".to_owned()),
            says: Mutex::new(Says::Role),
            asked: AtomicUsize::new(0),
            was_asked: Notify::new(),
            may_answer: Notify::new(),
        }))
    }

    pub(crate) fn set(&self, role: &str) {
        role.clone_into(&mut self.0.role.lock().expect("no panic"));
    }

    pub(crate) fn say(&self, says: Says) {
        *self.0.says.lock().expect("no panic") = says;
    }

    /// How often it was asked since the last call.
    pub(crate) fn asked(&self) -> usize {
        self.0.asked.swap(0, SeqCst)
    }

    /// Waits until it is asked.
    pub(crate) async fn was_asked(&self) {
        let asked = tokio::time::timeout(BOUND, self.0.was_asked.notified());
        asked.await.expect("the source is asked");
    }

    /// Lets one answer of [`Says::RoleLater`] return.
    pub(crate) fn answer(&self) {
        self.0.may_answer.notify_one();
    }
}

impl ClaimsSource for Roles {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        self.0.asked.fetch_add(1, SeqCst);
        let role = self.0.role.lock().expect("no panic").clone();
        let replaced = ClaimsUpdate::replace(&json!({ "role": role })).map_err(StoreError::new);
        let says = *self.0.says.lock().expect("no panic");
        self.0.was_asked.notify_one();
        match says {
            Says::Role => MaybeReady::ready(replaced),
            Says::RoleLater => {
                let table = Arc::clone(&self.0);
                MaybeReady::new(async move {
                    table.may_answer.notified().await;
                    replaced
                })
            }
            Says::Keep => MaybeReady::ready(Ok(ClaimsUpdate::Keep)),
            Says::Deny => MaybeReady::ready(Ok(ClaimsUpdate::Deny)),
            Says::End => MaybeReady::ready(Ok(ClaimsUpdate::End)),
            Says::Fails => MaybeReady::ready(Err(StoreError::new("the directory is away"))),
            Says::Panics => panic!("the directory has a bug"),
            Says::Nothing => MaybeReady::new(std::future::pending()),
        }
    }
}

/// A service whose source is a table of roles.
pub(crate) fn roles_of(
    store: &Store,
    set: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder,
) -> (TestStack, Roles) {
    let roles = Roles::new();
    let source = roles.clone();
    let policy = Policy::long_lived();
    let stack = service_of(policy, store, |builder| set(builder.claims_source(source)));
    (stack, roles)
}

/// The service, its table, and an editor of the account `acme` who has signed in.
pub(crate) async fn editor(store: &Store) -> (TestStack, Roles, Grant) {
    let (stack, roles) = roles_of(store, |builder| builder);
    let grant = stack.sessions.start("ada").tenant("acme").await.expect("the session starts");
    assert_eq!(roles.asked(), 1, "the sign-in gives no claims");
    roles.was_asked().await;
    (stack, roles, grant)
}

/// Writes `role` into the table and tells the service.
pub(crate) async fn change(stack: &TestStack, roles: &Roles, role: &str) {
    roles.set(role);
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    stack.sessions.claims_changed(scope).await.expect("the store answers");
}

/// A handler that returns the role that it sees.
pub(crate) async fn show_role(request: Request<()>) -> Response<String> {
    let claims: Value = session(&request).claims().expect("an object");
    Response::new(claims["role"].as_str().unwrap_or("none").to_owned())
}

/// The response to a request with `token` of a handler that returns the role that it sees.
pub(crate) async fn get(stack: &TestStack, token: &str) -> Answer {
    stack.send_to(show_role, with(token)).await
}

/// The role that the handler of a request with `token` sees.
pub(crate) async fn role_of(stack: &TestStack, token: &str) -> String {
    let response = get(stack, token).await;
    assert_eq!(rejected(&response), None);
    text(response).await
}
