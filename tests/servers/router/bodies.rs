//! Bodies that arrive slowly, or never.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::request::Builder,
};
use http_body::Frame;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_sliding_session::Grant;

use super::service::{Answer, Service, by, problem, request};

const LIMIT: Duration = Duration::from_secs(10);
const JUST_BELOW: Duration = Duration::from_millis(9_999);

/// A body of which nothing arrives.
struct Never;

impl http_body::Body for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

type Call<'a> = Pin<Box<dyn Future<Output = Answer> + 'a>>;

fn slow(service: &Service, request: Builder) -> Call<'_> {
    let request = request.header("content-type", "application/json");
    let mut call: Call<'_> = Box::pin(service.send(request, Body::new(Never)));
    assert!(answer(&mut call).is_none());
    call
}

fn answer(call: &mut Call<'_>) -> Option<Answer> {
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

fn assert_timeout(call: &mut Call<'_>) {
    let answer = answer(call).expect("an answer");
    assert_eq!(answer.problem(), problem(408, "request_timeout"));
}

#[tokio::test]
async fn p31_a_slow_body_is_given_up_after_ten_seconds() {
    let service = Service::new();
    let grant = service.owner("ada", "acme").await;
    for line in ["POST /refresh", "POST /revoke-sessions", "PATCH /security"] {
        let mut call = slow(&service, by(line, &grant));
        service.clock.advance(JUST_BELOW);
        assert!(answer(&mut call).is_none(), "{line}");
        service.clock.advance(LIMIT.saturating_sub(JUST_BELOW));
        assert_timeout(&mut call);
    }
    let form = request("POST /refresh").header("content-type", "application/x-www-form-urlencoded");
    let mut call: Call<'_> = Box::pin(service.send(form, Body::new(Never)));
    assert!(answer(&mut call).is_none());
    service.clock.advance(LIMIT);
    assert_timeout(&mut call);
}

#[tokio::test]
async fn p31_slow_bodies_take_the_places_of_the_same_user_only() {
    let service = Service::new();
    let [ada, bob] = [service.owner("ada", "acme").await, service.engineer("bob", "acme").await];
    let own = |grant: &Grant| slow(&service, by("POST /revoke-sessions", grant));
    let mut others = [own(&bob), slow(&service, request("POST /refresh"))];
    let mut calls: Vec<_> = (0..9).map(|_| own(&ada)).collect();
    assert_timeout(&mut calls[0]);
    assert!(calls[1..].iter_mut().all(|call| answer(call).is_none()));
    assert!(others.iter_mut().all(|call| answer(call).is_none()));
    let whole = json!({ "scope": "my_others" });
    service.send_json("POST /revoke-sessions", &ada, &whole).await.ok();
}

#[tokio::test]
async fn p31_slow_bodies_of_strangers_keep_nobody_from_refreshing() {
    let service = Service::new();
    let mut calls: Vec<_> = (0..1025).map(|_| slow(&service, request("POST /refresh"))).collect();
    assert_timeout(&mut calls[0]);
    assert!(calls[1..].iter_mut().all(|call| answer(call).is_none()));
    let grant = service.owner("ada", "acme").await;
    let body = json!({ "refresh_token": grant.refresh_token() });
    let json = request("POST /refresh").header("content-type", "application/json");
    service.send(json, body.to_string()).await.ok();
}

/// Half a body over a socket.
#[tokio::test]
async fn p31_a_slow_body_over_tcp_is_answered_with_408() {
    let service = Service::new();
    let mut stream = TcpStream::connect(service.serve().await).await.expect("it listens");
    let head = "POST /auth/refresh HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{\"refresh_token\":";
    stream.write_all(head.as_bytes()).await.expect("it is connected");
    let mut first = [0; 12];
    let read = stream.read_exact(&mut first);
    tokio::pin!(read);
    let answered = async {
        loop {
            tokio::select! {
                biased;
                read = &mut read => break read,
                // The server may not have read the head yet.
                () = tokio::task::yield_now() => service.clock.advance(LIMIT),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answered)
        .await
        .expect("an answer within a minute")
        .expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 408");
}
