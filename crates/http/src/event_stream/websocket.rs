//! What a subscriber hears, over a WebSocket.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, close_code};
use futures::{SinkExt as _, Stream, StreamExt as _};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;

use super::{Closing, Heard, Message};

/// Bytes that a client may send in one message. It has nothing to send, so this only bounds what is
/// read before the connection is closed.
pub(crate) const MAX_MESSAGE: usize = 4096;
/// Heartbeats that a client may leave unanswered, and for whose duration it may read nothing of
/// what it is sent.
const PATIENCE: u32 = 2;
/// Time that a client gets to confirm that the connection ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// The text frame of one event.
#[derive(Debug, Serialize)]
struct Envelope<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    event: &'static str,
    data: &'a RawValue,
}

/// Why the connection ends.
enum End {
    /// The other side is gone, or reads nothing: it cannot be told why.
    Gone,
    Closed(Closing),
    /// The client does not respond to heartbeats, though it reads what it is sent.
    Silent,
    /// The client sent something other than a response to a heartbeat.
    Spoke,
    /// The client sent more than any message it may send holds.
    SpokeTooMuch,
}

/// Sends what is heard until either side ends it.
pub(crate) async fn serve(
    mut socket: WebSocket,
    heard: impl Stream<Item = Heard> + Send,
    heartbeat: Duration,
) {
    let end = {
        let mut heard = std::pin::pin!(heard);
        run(&mut socket, &mut heard, heartbeat * PATIENCE).await
        // The subscriber's place is free from here on, however long the farewell takes.
    };
    let Some(frame) = frame(&end) else { return };
    let farewell = async {
        if socket.send(Frame::Close(Some(frame))).await.is_err() {
            return;
        }
        // Until the client confirms. What it sends before or with that is ignored.
        while let Some(Ok(_)) = socket.recv().await {}
    };
    drop(timeout(FAREWELL, farewell).await);
}

async fn run(
    socket: &mut WebSocket,
    heard: &mut (impl Stream<Item = Heard> + Unpin),
    patience: Duration,
) -> End {
    let mut unanswered = 0;
    loop {
        tokio::select! {
            biased;
            received = socket.recv() => match received {
                Some(Ok(Frame::Pong(_) | Frame::Ping(_))) => unanswered = 0,
                Some(Ok(Frame::Text(_) | Frame::Binary(_))) => return End::Spoke,
                Some(Err(error)) if is_too_long(&error) => return End::SpokeTooMuch,
                Some(Ok(Frame::Close(_)) | Err(_)) | None => return End::Gone,
            },
            next = heard.next() => {
                let sent = match next {
                    Some(Heard::Messages(messages)) => {
                        timeout(patience, send(socket, &messages)).await
                    }
                    Some(Heard::Heartbeat) if unanswered >= PATIENCE => return End::Silent,
                    Some(Heard::Heartbeat) => {
                        unanswered += 1;
                        timeout(patience, socket.send(Frame::Ping(bytes::Bytes::new()))).await
                    }
                    Some(Heard::Closed(closing)) => {
                        let last = [closing.message()];
                        match timeout(patience, send(socket, &last)).await {
                            Ok(Ok(())) => return End::Closed(closing),
                            _ => return End::Gone,
                        }
                    }
                    None => return End::Gone,
                };
                if !matches!(sent, Ok(Ok(()))) {
                    return End::Gone;
                }
            }
        }
    }
}

async fn send(socket: &mut WebSocket, messages: &[Message]) -> Result<(), axum::Error> {
    for message in messages {
        let text = text(message).map_err(axum::Error::new)?;
        socket.feed(Frame::Text(text.into())).await?;
    }
    socket.flush().await
}

fn text(Message { id, name, data }: &Message) -> serde_json::Result<String> {
    let data = serde_json::from_str(data)?;
    let id = id.map(|id| id.to_string());
    serde_json::to_string(&Envelope { id, event: name, data })
}

/// How the client is told; codes are those of RFC 6455.
fn frame(end: &End) -> Option<CloseFrame> {
    let (code, reason) = match end {
        End::Gone => return None,
        End::Closed(closing @ Closing::KeyRevoked) => (close_code::POLICY, closing.as_str()),
        End::Closed(closing @ Closing::ShuttingDown) => (close_code::AWAY, closing.as_str()),
        End::Silent => (close_code::POLICY, "heartbeats are not answered"),
        End::Spoke => (close_code::UNSUPPORTED, "nothing is to be sent here"),
        End::SpokeTooMuch => (close_code::SIZE, "nothing is to be sent here"),
    };
    Some(CloseFrame { code, reason: reason.into() })
}

fn is_too_long(error: &axum::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    matches!(cause, Some(tungstenite::Error::Capacity(_)))
}
