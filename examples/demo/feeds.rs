//! What a session opens: server-sent events and a WebSocket, which end with it.

use std::{convert::Infallible, pin::pin, time::Duration};

use axum::{
    Json,
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket},
    },
    response::{Response, Sse, sse::Event},
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use tower_sliding_session::{
    Session, SlidingSessions,
    lifecycle::{Ticket, TicketError},
};

/// The close code of a WebSocket whose session has ended: the first one that is the application's.
const SESSION_ENDED: u16 = 3000;

/// `GET /events`: one `tick` a second. The stack ends the stream with the session.
pub(crate) async fn events() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(0_u64, async |number| {
        if number > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let tick = Event::default().event("tick").id(number.to_string()).data(number.to_string());
        Some((Ok(tick), number + 1))
    }))
}

/// `GET /socket`: an echo. The token of a browser is among the subprotocols.
pub(crate) async fn socket(session: Session, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |socket| echo(socket, session).await)
}

/// Closes with the code of the rejection when the session ends.
async fn echo(mut socket: WebSocket, session: Session) {
    let mut ended = pin!(session.ended());
    loop {
        tokio::select! {
            end = &mut ended => {
                let close = CloseFrame { code: SESSION_ENDED, reason: end.code().into() };
                // The client may be gone.
                let _ = socket.send(Message::Close(Some(close))).await;
                return;
            }
            message = socket.recv() => {
                let Some(Ok(message)) = message else { return };
                if let Message::Text(_) | Message::Binary(_) = message
                    && socket.send(message).await.is_err()
                {
                    return;
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct For {
    path: String,
}

/// `POST /ticket`: for one `GET` of a client that can set no header.
pub(crate) async fn ticket(
    State(sessions): State<SlidingSessions>,
    session: Session,
    Json(For { path }): Json<For>,
) -> Result<Ticket, TicketError> {
    sessions.ticket(&session).path(path).await
}
