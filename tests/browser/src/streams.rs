//! What a session opens: streams of events over `fetch`, addresses with a ticket, sockets.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tower_sliding_session::transport::websocket_protocol;

use crate::harness::{Browser, Fault, Server, Setup, Tab, in_browser};

const CLOSED: &str = "/api/stream/closed";
const OPEN: &str = "/api/stream/open";
const HASTY: &str = "/api/stream/hasty";

fn server() -> Server {
    Server::start(Setup::patient().with(|it| it.bearer().transport(websocket_protocol()).tickets()))
}

async fn listen(tab: &Tab, path: &str) {
    tab.run::<()>(&format!("listen('{path}', window.init)")).await;
}

async fn outcome(tab: &Tab) -> String {
    tab.until("window.outcome !== null").await;
    tab.run("return outcome").await
}

pub(crate) async fn revoke(tab: &Tab) {
    let revoke = "const init = { method: 'POST', headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({ sid: session.id }) };
        await fetch('/public/revoke', init)";
    tab.run::<()>(revoke).await;
}

/// The parser sees the same events wherever the chunks of a response are cut.
#[tokio::test]
async fn a_stream_has_the_same_events_wherever_it_is_cut() {
    let server = server();
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        let cuts = r"
            const text = '\uFEFF: comment\r\nevent: tick\rdata: a\ndata:b\r\n\r\n'
              + 'id: 1\ndata:  é€😀\n\nid: x\0y\ndata\n\nevent: nothing\nid: 2\r\rretry: 1x\nretry: 9\n'
              + 'data: d:e\ndata:\n\n: ping\n\n\ndata: cut off';
            const bytes = new TextEncoder().encode(text);
            const read = async (chunks) => {
              const body = new ReadableStream({
                start(controller) {
                  for (const chunk of chunks) controller.enqueue(chunk);
                  controller.close();
                },
              });
              const headers = { 'Content-Type': 'text/event-stream' };
              const answers = [new Response(body, { headers }), new Response(null, { status: 204 })];
              const asked = [];
              const fake = { fetch: async (path, init) => {
                asked.push(init.headers.get('Last-Event-ID'));
                return answers.shift();
              } };
              const found = [];
              for await (const { type, data, lastEventId } of streams.events(fake, '/', { retry: 0 })) {
                found.push([type, data, lastEventId]);
              }
              return JSON.stringify({ found, asked });
            };
            // The pauses between the two requests pass at once.
            const { setTimeout } = window;
            window.setTimeout = (call) => setTimeout(call, 0);
            const whole = await read([bytes]);
            const differing = [];
            for (let at = 1; at < bytes.length; at += 1) {
              const one = await read([bytes.slice(0, at), bytes.slice(at)]);
              if (one !== whole) differing.push([at, one]);
            }
            const each = await read([...bytes].map((byte) => new Uint8Array([byte])));
            window.setTimeout = setTimeout;
            return { whole: JSON.parse(whole), differing, isSameByByte: each === whole };";
        let read: Value = tab.run(cuts).await;
        assert_eq!(
            read["whole"],
            json!({
                "found": [
                    ["tick", "a\nb", ""],
                    ["message", " é€😀", "1"],
                    ["message", "", "1"],
                    ["message", "d:e\n", "2"],
                ],
                "asked": [null, "2"],
            })
        );
        assert_eq!((&read["differing"], &read["isSameByByte"]), (&json!([]), &json!(true)));
    })
    .await;
}

#[tokio::test]
async fn a_closed_stream_is_opened_again_with_its_last_id_and_the_token_of_the_moment() {
    let server = Server::start(Setup::new(2, 600, 6000).with_refresh_tokens());
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({})).await;
        let token = tab.token_id().await;
        listen(&tab, CLOSED).await;
        server.recorder().reach(CLOSED, 4).await;
        let requests = server.recorder().requests(CLOSED);
        let ids = requests.iter().map(|it| it.headers.get("last-event-id").is_some());
        assert_eq!(ids.take(2).collect::<Vec<_>>(), [false, true]);
        assert!(requests.iter().all(|it| it.activity() == Some("background")));
        // The token expired meanwhile, and was refreshed.
        assert_ne!(tab.token_id().await, token);
        assert!(tab.is_signed_in().await);
        tab.until("messages.length >= 3").await;
        let first: Value = tab.run("return messages[0]").await;
        assert_eq!(first, json!({ "type": "message", "data": "one", "lastEventId": "7" }));
    })
    .await;
}

/// The server asks for 10 ms; three connections within 2.5 s would be two pauses of 1 s and 2 s.
#[tokio::test]
async fn a_server_cannot_make_a_page_reconnect_in_a_loop() {
    let server = server();
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({})).await;
        tab.run::<()>("window.from0 = performance.now()").await;
        listen(&tab, HASTY).await;
        server.recorder().reach(HASTY, 3).await;
        let elapsed: f64 = tab.run("return performance.now() - from0").await;
        assert!(elapsed >= 3000.0, "{elapsed} ms");
    })
    .await;
}

#[tokio::test]
async fn a_stream_ends_when_it_is_aborted_or_left() {
    let server = server();
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({})).await;
        tab.run::<()>(
            "window.aborter = new AbortController();
            window.init = { signal: aborter.signal }",
        )
        .await;
        listen(&tab, OPEN).await;
        tab.until("messages.length === 1").await;
        tab.run::<()>("aborter.abort()").await;
        assert_eq!(outcome(&tab).await, "end");
        // Aborted before it begins, and while it pauses.
        listen(&tab, OPEN).await;
        assert_eq!(outcome(&tab).await, "end");
        assert_eq!(server.recorder().count(OPEN), 1);
        tab.run::<()>(
            "window.aborter = new AbortController();
            window.init = { signal: aborter.signal, retry: 60 }",
        )
        .await;
        listen(&tab, CLOSED).await;
        tab.until("messages.length === 1").await;
        tab.run::<()>("aborter.abort()").await;
        assert_eq!(outcome(&tab).await, "end");
        // The loop is left.
        tab.run::<()>("listen('/api/stream/open', {}, () => true)").await;
        assert_eq!(outcome(&tab).await, "enough");
    })
    .await;
}

#[tokio::test]
async fn a_stream_ends_on_204_and_fails_on_404() {
    let server = server();
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({})).await;
        for (status, ends) in [(204, "end"), (404, "Error: no event stream: 404")] {
            let status = StatusCode::from_u16(status).expect("a status");
            server.recorder().fail(Some(Fault::Status { below: "/api/stream", status }));
            listen(&tab, CLOSED).await;
            assert!(outcome(&tab).await.starts_with(ends), "{status}");
        }
        server.recorder().fail(None);
        // A 401 of another service says nothing of the session.
        listen(&tab, "/public/foreign-401").await;
        assert!(outcome(&tab).await.starts_with("Error: no event stream: 401"));
        assert!(tab.is_signed_in().await);
    })
    .await;
}

#[tokio::test]
async fn p23_a_stream_goes_on_after_503_and_after_an_outage() {
    let mut server = server();
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({ "storage": "local" })).await;
        let status = StatusCode::SERVICE_UNAVAILABLE;
        server.recorder().fail(Some(Fault::Status { below: "/api/stream", status }));
        listen(&tab, OPEN).await;
        server.recorder().reach(OPEN, 2).await;
        server.recorder().fail(None);
        tab.until("messages.length === 1").await;
        server.stop();
        tab.run::<()>("messages.length = 0").await;
        server.restart();
        tab.until("messages.length === 1").await;
        assert!(tab.is_signed_in().await);
        assert_eq!(tab.run::<Option<String>>("return outcome").await, None);
    })
    .await;
}

#[tokio::test]
async fn p18_a_stream_ends_with_its_session_which_says_why() {
    let server = server();
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({})).await;
        listen(&tab, OPEN).await;
        tab.until("messages.length === 1").await;
        revoke(&tab).await;
        assert_eq!(outcome(&tab).await, "end");
        assert_eq!(tab.event("ended").await, json!({ "reason": "session_revoked" }));
        assert_eq!(
            tab.run::<usize>("return messages.length").await,
            1,
            "the last event is no message"
        );
        assert_eq!(server.recorder().count(OPEN), 1);
    })
    .await;
}

#[tokio::test]
async fn p18_a_stream_that_is_opened_after_the_end_ends_at_once() {
    let server = server();
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({})).await;
        revoke(&tab).await;
        listen(&tab, OPEN).await;
        assert_eq!(outcome(&tab).await, "end");
        assert_eq!(tab.event("ended").await, json!({ "reason": "session_revoked" }));
    })
    .await;
}

#[tokio::test]
async fn p38_an_address_with_a_ticket_is_good_once() {
    let server = server();
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({})).await;
        let twice = "const address = await streams.url(session, '/api/me?x=%20a&y', { ticket: '/api/ticket' });
            const ask = async () => (await fetch(address)).status;
            return [address.search.startsWith('?x=%20a&y&ticket='), await ask(), await ask()]";
        assert_eq!(tab.run::<Value>(twice).await, json!([true, 200, 401]));
        // The browser's own EventSource, which sends no header.
        let native = "const address = await streams.url(session, '/api/stream/open', { ticket: '/api/ticket' });
            const source = new EventSource(address);
            const data = await new Promise((resolve) => { source.onmessage = (event) => resolve(event.data); });
            source.close();
            return data";
        assert_eq!(tab.run::<Value>(native).await, "one");
        let stripped = "const given = { ticket: '/api/ticket', root: '/api/' };
            const address = await streams.url(session, '/api/me', given);
            return (await fetch(address)).status";
        assert_eq!(tab.run::<Value>(stripped).await, 401, "it is for `/me`");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        server.recorder().fail(Some(Fault::Status { below: "/api/ticket", status }));
        let none = "return streams.url(session, '/api/me', { ticket: '/api/ticket' })
            .catch(({ message }) => message)";
        assert_eq!(tab.run::<Value>(none).await, "no ticket: 503");
    })
    .await;
}

async fn socket(tab: &Tab, path: &str, protocols: &str) {
    let open = format!("window.ws = logged(await streams.socket(session, '{path}', {protocols}))");
    tab.run::<()>(&open).await;
}

async fn log(tab: &Tab, number: usize) -> Value {
    tab.until(&format!("log.length >= {number}")).await;
    tab.run("return log").await
}

#[tokio::test]
async fn a_websocket_opens_whether_or_not_the_server_selects_a_subprotocol() {
    let server = server();
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({})).await;
        for (protocols, selected) in
            [("['v2.app', 'v1.app']", "v1.app"), ("'v2.app'", "bearer"), ("[]", "bearer")]
        {
            socket(&tab, "/api/socket/v1.app", protocols).await;
            assert_eq!(log(&tab, 1).await, json!([format!("open {selected}")]), "{protocols}");
            tab.run::<()>("ws.send('hello')").await;
            assert_eq!(log(&tab, 2).await[1], "hello");
            tab.run::<()>("ws.close(1000)").await;
            assert_eq!(log(&tab, 3).await[2], "close 1000 ");
        }
        assert!(tab.is_signed_in().await);
    })
    .await;
}

#[tokio::test]
async fn p18_a_websocket_is_closed_with_3000_when_its_session_ends() {
    let server = server();
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({})).await;
        socket(&tab, "/api/socket/v1", "['v1']").await;
        log(&tab, 1).await;
        revoke(&tab).await;
        assert_eq!(log(&tab, 2).await, json!(["open v1", "close 3000 session_revoked"]));
        assert_eq!(tab.event("ended").await, json!({ "reason": "session_revoked" }));
    })
    .await;
}

#[tokio::test]
async fn a_refused_handshake_tells_the_session_why_and_a_lost_connection_ends_nothing() {
    let mut server = server();
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({})).await;
        socket(&tab, "/api/socket/v1", "['v1']").await;
        log(&tab, 1).await;
        server.stop();
        assert_eq!(log(&tab, 2).await, json!(["open v1", "close 1006 "]));
        socket(&tab, "/api/socket/v1", "['v1']").await;
        assert_eq!(log(&tab, 1).await, json!(["close 1006 "]));
        assert!(tab.is_signed_in().await, "the server is away");
        server.restart();
        revoke(&tab).await;
        socket(&tab, "/api/socket/v1", "['v1']").await;
        assert_eq!(log(&tab, 1).await, json!(["close 1006 "]));
        assert_eq!(tab.event("ended").await, json!({ "reason": "session_revoked" }));
    })
    .await;
}

/// What browsers make of each answer to a handshake.
#[tokio::test]
async fn p10_chromium_opens_what_the_layer_answers_and_sees_no_token() {
    let server = server();
    in_browser(async move |browser: Browser| {
        let tab = browser.signed_in(&server, json!({})).await;
        let k8s = "'base64url.bearer.authorization.k8s.io.' + btoa(token).replaceAll('=', '')";
        let opened = |protocol: &str| json!([format!("open {protocol}")]);
        let refused = json!(["close 1006 "]);
        for (offered, answer) in [
            ("['v1', 'bearer', token]".to_owned(), opened("v1")),
            ("['bearer', token, 'v1']".to_owned(), opened("v1")),
            ("['bearer', token]".to_owned(), opened("bearer")),
            ("['v2', 'bearer', token]".to_owned(), opened("bearer")),
            (format!("[{k8s}, 'v1']"), opened("v1")),
            (format!("['v2', {k8s}]"), refused.clone()),
            (format!("[{k8s}]"), refused.clone()),
            ("['v1']".to_owned(), refused.clone()),
            ("[]".to_owned(), refused),
        ] {
            let open = format!(
                "const token = session.tokenFor('/');
                 logged(new WebSocket('/api/socket/v1', {offered}))"
            );
            tab.run::<()>(&open).await;
            assert_eq!(log(&tab, 1).await, answer, "{offered}");
        }
        let elsewhere =
            "return [session.tokenFor('https://a.example/'), session.tokenFor('/') !== null]";
        assert_eq!(tab.run::<Value>(elsewhere).await, json!([null, true]));
    })
    .await;
}
