//! Streams and sockets that end with their session, over TCP.

mod encoded;
mod grpc;
mod http;
mod talk;
mod websocket;

use std::{future::Future, time::Duration};

use tower_sliding_session::{Policy, Session, store::Exempt};

use crate::{stack::IDLE_TIMEOUT, test_stack::TestStack};

/// How long a test waits for a message.
const PATIENCE: Duration = Duration::from_secs(20);

const ABSOLUTE: Duration = Duration::from_secs(2 * 3600);
/// Within the idle timeout.
const STEP: Duration = Duration::from_secs(40 * 60);

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Idle,
    Absolute,
    SignOut,
    RevokeAll,
}

impl Cause {
    const ALL: [Self; 4] = [Self::Idle, Self::Absolute, Self::SignOut, Self::RevokeAll];

    const fn code(self) -> &'static str {
        match self {
            Self::Idle => "session_expired_idle",
            Self::Absolute => "session_expired_absolute",
            Self::SignOut | Self::RevokeAll => "session_revoked",
        }
    }

    /// Ends the session of a stream that is open since the beginning of the test.
    async fn end(self, stack: &TestStack, session: &Session) {
        match self {
            Self::Idle => {
                stack.at(IDLE_TIMEOUT);
            }
            Self::Absolute => {
                for step in 1..3 {
                    stack.at(step * STEP);
                    session.touch().await.expect("the session is active");
                }
                stack.at(ABSOLUTE);
            }
            Self::SignOut => session.sign_out().await.expect("the session is revoked"),
            Self::RevokeAll => {
                let scope = stack.sessions.user_scope(None, "ada");
                stack.sessions.revoke_all(scope, Exempt::None).await.expect("it is revoked");
            }
        }
    }
}

fn stack() -> TestStack {
    let policy = Policy::builder().idle_timeout(IDLE_TIMEOUT).absolute_timeout(ABSOLUTE);
    TestStack::new(policy.build().expect("a legal configuration"))
}

/// Waits for something that happens without a step of the clock.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens without a step of the clock")
}

/// The session of `token`, as a handler sees it.
async fn session_of(stack: &TestStack, token: &str) -> Session {
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |request: ::http::Request<()>| {
        let session = request.extensions().get::<Session>().expect("authenticated").clone();
        sender.send(session).expect("the test waits");
        std::future::ready(crate::test_stack::ok())
    };
    stack.send_to(handler, crate::test_stack::with(token)).await;
    seen.recv().await.expect("the request reached the handler")
}

/// Nothing is left of streams that are over: the server drops them a little later.
async fn nothing_is_left(stack: &TestStack) {
    let left = async {
        while stack.clock.waiting_timers() > 0 {
            tokio::task::yield_now().await;
        }
    };
    soon(left).await;
}

const _: () = assert!(STEP.as_secs() < IDLE_TIMEOUT.as_secs());
