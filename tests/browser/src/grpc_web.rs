//! A stream of gRPC-Web in a browser.

use serde_json::{Value, json};

use crate::{
    harness::{Browser, Server, Setup, in_browser},
    streams::revoke,
};

/// Reads the body as a client of gRPC-Web does: binary, or base64 in whole quads.
const READ: &str = "
    window.bytes = [];
    window.outcome = null;
    const response = await session.fetch(path);
    window.type = response.headers.get('content-type');
    const read = async () => {
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return 'end';
        const text = () => [...atob(new TextDecoder().decode(value))];
        bytes.push(...(type.includes('text') ? text().map((it) => it.charCodeAt(0)) : value));
      }
    };
    read().catch(String).then((how) => { window.outcome = how; });";

/// The frames of the body: a flag and a text each.
const FRAMES: &str = "
    const frames = [];
    const view = new DataView(Uint8Array.from(bytes).buffer);
    for (let at = 0; at < bytes.length;) {
      const length = view.getUint32(at + 1);
      const text = String.fromCharCode(...bytes.slice(at + 5, at + 5 + length));
      frames.push([bytes[at], text]);
      at += 5 + length;
    }
    return frames;";

#[tokio::test]
async fn p18_a_stream_of_grpc_web_ends_with_the_session_and_says_why() {
    for kind in ["grpc-web", "grpc-web-text"] {
        let server = Server::start(Setup::patient());
        in_browser(async move |browser: Browser| {
            let tab = browser.signed_in(&server, json!({})).await;
            tab.run::<()>(&format!("const path = '/api/stream/{kind}'; {READ}")).await;
            tab.until("bytes.length === 6").await;
            assert_eq!(tab.run::<Value>("return outcome").await, Value::Null, "it is open");
            revoke(&tab).await;
            tab.until("outcome !== null").await;
            assert_eq!(tab.run::<String>("return outcome").await, "end", "no network error");
            let frames: Vec<(u8, String)> = tab.run(FRAMES).await;
            let lines = "grpc-status:16\r\ngrpc-message:The session was revoked.\r\n\
                session-error:session_revoked\r\n";
            assert_eq!(frames, [(0, "a".to_owned()), (0x80, lines.to_owned())], "{kind}");
        })
        .await;
    }
}
