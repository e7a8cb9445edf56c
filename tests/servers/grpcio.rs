//! A tonic server behind the stack, called by Python's grpcio: a client that is not ours.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use crate::{
    stack::{IDLE_TIMEOUT, RENEWAL_DUE, stack, title},
    tonic_http2::serve,
};
use tower_sliding_session::RejectionKind;

/// The interpreter for which Debian's `python3-grpcio` is.
const PYTHON: &str = "/usr/bin/python3";

pub(crate) struct Grpcio {
    process: Child,
    calls: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Grpcio {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/grpcio_client.py");
        let mut process = Command::new(PYTHON)
            .args([script, &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/run installs python3-grpcio");
        let calls = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { process, calls, answers }
    }

    /// Calls with `token`; `kind` is `unary`, `stream`, or `held`, a stream that is read to its end: its
    /// first message is the answer, and its end the next one.
    pub(crate) fn call(&mut self, kind: &str, token: &str) -> Value {
        writeln!(self.calls, "{kind} {token}").expect("an open pipe");
        self.answer()
    }

    /// The next answer.
    pub(crate) fn answer(&mut self) -> Value {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("UTF-8");
        serde_json::from_str(&answer).expect("tests/run installs python3-grpcio")
    }
}

impl Drop for Grpcio {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p08_grpcio_reads_the_renewed_token_in_the_initial_metadata() {
    for kind in ["unary", "stream"] {
        let stack = stack(|builder| builder);
        let mut grpcio = Grpcio::start(serve(&stack).await);
        let token = stack.sign_in().await;
        let fresh = grpcio.call(kind, &token);
        assert_eq!(
            (&fresh["status"], &fresh["initial"]["x-refreshed-token"]),
            (&"OK".into(), &Value::Null)
        );
        stack.clock.advance(RENEWAL_DUE);
        let renewing = grpcio.call(kind, &token);
        assert_eq!(renewing["status"], "OK", "{kind}");
        let renewed = renewing["initial"]["x-refreshed-token"].as_str().expect("a renewed token");
        stack.clock.advance(RENEWAL_DUE);
        assert_eq!(grpcio.call(kind, renewed)["status"], "OK");
        let expired = grpcio.call(kind, &token);
        assert_rejected(&expired, RejectionKind::TokenExpired);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpcio_reads_why_a_call_is_rejected() {
    for kind in ["unary", "stream"] {
        let stack = stack(|builder| builder);
        let mut grpcio = Grpcio::start(serve(&stack).await);
        assert_rejected(&grpcio.call(kind, ""), RejectionKind::MissingToken);
        assert_rejected(&grpcio.call(kind, "a.b.c"), RejectionKind::InvalidToken);
        let idle = stack.sign_in().await;
        let revoked = stack.sessions.start("eve").await.expect("a session");
        stack.sessions.revoke(revoked.session_id()).await.expect("the session is revoked");
        assert_rejected(&grpcio.call(kind, revoked.access_token()), RejectionKind::SessionRevoked);
        stack.clock.advance(IDLE_TIMEOUT);
        assert_rejected(&grpcio.call(kind, &idle), RejectionKind::SessionExpiredIdle);
    }
}

/// Checks the status, the message and the code of a rejection.
fn assert_rejected(answer: &Value, kind: RejectionKind) {
    assert_eq!(answer["status"], "UNAUTHENTICATED");
    assert_eq!(answer["details"], title(kind));
    // A response of headers alone: grpcio takes them for trailers.
    assert_eq!(answer["trailing"]["session-error"], kind.code(), "{answer}");
}
