//! A client of the nodes: it keeps its tokens up to date and compares each answer with what it knows.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, header::AUTHORIZATION};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

use crate::{
    answers::Answers,
    node::Nodes,
    session::{Answer, KnownSession},
};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) nodes: Arc<Nodes>,
    answers: Arc<Answers>,
    pool: Pool<HttpConnector, Full<Bytes>>,
}

impl Client {
    pub(crate) fn new(nodes: Arc<Nodes>, answers: Arc<Answers>) -> Self {
        Self { nodes, answers, pool: Pool::builder(TokioExecutor::new()).build_http() }
    }

    /// Signs in; `None` if the node could not.
    pub(crate) async fn sign_in(&self, user: &str, node: usize) -> Option<Arc<KnownSession>> {
        let (answer, grant, _) = self.send("/login", node, None, json!({ "user": user })).await?;
        self.count("sign-in", &answer);
        match answer.status {
            200 => {
                let token = |name: &str| grant[name].as_str().expect("a token").to_owned();
                let session = KnownSession::new(
                    user.to_owned(),
                    token("access_token"),
                    token("refresh_token"),
                    answer.started,
                );
                Some(Arc::new(session))
            }
            503 => None,
            status => {
                self.answers.add_violation(format!("{status} for a sign-in: {grant}"));
                None
            }
        }
    }

    pub(crate) async fn request(&self, session: &KnownSession, node: usize) {
        let token = session.begin_request();
        let Some((answer, _, renewed)) = self.send("/me", node, Some(&token), Value::Null).await
        else {
            return session.end_request();
        };
        let is_expired = answer.code == "token_expired";
        self.judge(session, answer);
        if let Some(renewed) = renewed {
            session.set_access_token(&renewed);
        }
        if is_expired && session.is_in_use() {
            self.refresh(session, &token, node).await;
        }
    }

    /// Refreshes one at a time: the requests that have the same token share the exchange.
    pub(crate) async fn refresh(&self, session: &KnownSession, present: &str, node: usize) {
        let _refreshing = session.refreshing.lock().await;
        if !session.is_current(present) || !session.is_in_use() {
            return;
        }
        session.begin_request();
        let body = json!({ "refresh_token": session.refresh_token() });
        let Some((answer, grant, _)) = self.send("/auth/refresh", node, None, body).await else {
            return session.end_request();
        };
        let status = answer.status;
        self.judge(session, answer);
        if status == 200 {
            let token = |name: &str| grant[name].as_str().expect("a token").to_owned();
            session.set_tokens(&token("access_token"), &token("refresh_token"));
        }
    }

    pub(crate) async fn sign_out(&self, session: &KnownSession, node: usize) {
        session.request_end();
        let token = session.begin_request();
        let Some((answer, ..)) = self.send("/logout", node, Some(&token), Value::Null).await else {
            return session.end_request();
        };
        let (status, node) = (answer.status, answer.node);
        self.judge(session, answer);
        if status == 204 {
            session.end(node);
        }
    }

    fn judge(&self, session: &KnownSession, answer: Answer) {
        self.count("request", &answer);
        if let Err(violation) = session.judge(answer) {
            self.answers.add_violation(format!("{}: {violation}", session.user));
        }
    }

    fn count(&self, what: &str, answer: &Answer) {
        let text = format!("{what}: {} {}", answer.status, answer.code);
        self.answers.count(text, answer.completed - answer.started);
    }

    /// Sends a request; returns the answer, its body and the renewed token. `None` without an answer: the
    /// node has been stopped, or took too long.
    async fn send(
        &self,
        path: &'static str,
        node: usize,
        token: Option<&str>,
        body: Value,
    ) -> Option<(Answer, Value, Option<String>)> {
        let node = self.nodes.address(node);
        let mut request = Request::post(format!("http://{node}{path}"))
            .header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::from(body.to_string())).expect("a request");
        let started = Instant::now();
        let exchange = async {
            let response = self.pool.request(request).await.ok()?;
            let (head, body) = response.into_parts();
            Some((head, body.collect().await.ok()?.to_bytes()))
        };
        let Some((head, body)) = tokio::time::timeout(PATIENCE, exchange).await.ok().flatten()
        else {
            self.answers.count("no answer".to_owned(), started.elapsed());
            return None;
        };
        let completed = Instant::now();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = body["code"].as_str().unwrap_or_default().to_owned();
        let answer = Answer { path, node, started, completed, status: head.status.as_u16(), code };
        let renewed = head.headers.get("x-refreshed-token");
        let renewed = renewed.map(|token| token.to_str().expect("a token").to_owned());
        Some((answer, body, renewed))
    }
}
